package kmod

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// appended ends a signed module (the kernel's include/linux/module_signature.h).
const appended = "~Module signature appended~\n"

// hashes are what the last byte of a SHA-2 algorithm's object identifier says.
var hashes = [...]string{1: "sha256", 2: "sha384", 3: "sha512", 4: "sha224"}

// SignatureHash names the hash, as the kernel's crypto calls it, over which a
// module is signed, or is empty: the module is not signed, or with another.
func SignatureHash(image []byte) string {
	b, ok := bytes.CutSuffix(image, []byte(appended))
	if !ok || len(b) < 12 {
		return ""
	}
	// struct module_signature: its last four bytes are the length of what is before it.
	size := binary.BigEndian.Uint32(b[len(b)-4:])
	b = b[:len(b)-12]
	if int64(size) > int64(len(b)) {
		return ""
	}
	// A PKCS#7 message, whose first algorithm is the digest's (RFC 2315, 9.1).
	_, after, ok := bytes.Cut(b[len(b)-int(size):], []byte("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"))
	if !ok || len(after) == 0 || int(after[0]) >= len(hashes) {
		return ""
	}
	return hashes[after[0]]
}

// Hashers are the modules with the processor's own form of a hash.
func (x *Index) Hashers(hash string) []string {
	var out []string
	for _, n := range x.Match("crypto-" + hash) {
		if m := x.modules[n]; m != nil && strings.HasPrefix(m.Path, "kernel/arch/") {
			out = append(out, n)
		}
	}
	return out
}

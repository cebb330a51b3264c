package kmod

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// signed appends a signature that holds body.
func signed(image, body string) string {
	size := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return image + body + "\x00\x00\x02\x00\x00\x00\x00\x00" + string(size) + appended
}

const sha2 = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"

func TestSignatureHash(t *testing.T) {
	for name, c := range map[string]struct{ image, want string }{
		"sha256":                   {signed("\x7fELF", "0\x82"+sha2+"\x01\x05\x00"), "sha256"},
		"sha512, then its signer":  {signed("", sha2+"\x03"+sha2+"\x01"), "sha512"},
		"sha1":                     {signed("\x7fELF", "\x06\x05\x2b\x0e\x03\x02\x1a"), ""},
		"another of that family":   {signed("\x7fELF", sha2+"\x09"), ""},
		"zero":                     {signed("\x7fELF", sha2+"\x00"), ""},
		"cut off":                  {signed("\x7fELF", sha2), ""},
		"only the module holds it": {signed(sha2+"\x01", "\x30"), ""},
		"longer than the file":     {"\x00\x00\x02\x00\x00\x00\x00\x00\xff\xff\xff\xff" + appended, ""},
		"no room":                  {"\x01" + appended, ""},
		"not signed":               {"\x7fELF" + sha2 + "\x01", ""},
		"empty":                    {"", ""},
	} {
		if got := SignatureHash([]byte(c.image)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzSignatureHash(f *testing.F) {
	f.Add([]byte(signed("\x7fELF", sha2+"\x01")))
	f.Add([]byte("\x00\x00\x02\x00\x00\x00\x00\x00\xff\xff\xff\xff" + appended))
	f.Fuzz(func(t *testing.T, b []byte) { SignatureHash(b) })
}

func TestHashers(t *testing.T) {
	x, err := Load(tree(t, map[string]string{
		"modules.dep":   "kernel/arch/x86/crypto/sha256-ssse3.ko:\nkernel/crypto/sha256_generic.ko:\nkernel/drivers/crypto/padlock-sha.ko:\n",
		"modules.alias": "alias crypto-sha256 sha256_generic\nalias crypto-sha256 sha256_ssse3\nalias crypto-sha256 padlock_sha\nalias crypto-sha512 sha256_generic\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	for hash, want := range map[string][]string{"sha256": {"sha256_ssse3"}, "sha512": nil, "": nil} {
		if d := cmp.Diff(want, x.Hashers(hash)); d != "" {
			t.Errorf("%s: %s", hash, d)
		}
	}
}

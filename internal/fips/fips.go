// Package fips checks files against the .hmac files that distributions put
// beside them for FIPS 140: keyed hashes whose keys are public, so that they
// find damage, not malice. It knows those of hmaccalc's and libkcapi's
// sha512hmac, fipscheck, libgcrypt and GnuTLS.
//
// It certifies nothing: bareroot is no validated module.
package fips

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"strings"
)

// keys are those that the tools are built with.
var keys = [...]string{
	"FIPS-FTW-RHT2009",                                // hmaccalc, libkcapi's sha*hmac
	"orboDeJITITejsirpADONivirpUkvarP",                // fipscheck, GnuTLS, OpenSSL 1.x of Red Hat
	"What am I, a doctor or a moonshuttle conductor?", // libgcrypt
}

// ErrWrong is the error for a file that is not the one the value was made of.
var ErrWrong = errors.New("does not match its check value")

// Values are the check values of a .hmac file. A value without a name is that
// of the file which the .hmac file is named after.
type Values []Value

// Value is the check value of one file.
type Value struct {
	Path string // as the file has it; "" for none
	Sum  []byte
}

// maxFile bounds a .hmac file, which has a few lines.
const maxFile = 64 << 10

// Read reads a .hmac file.
func Read(file string) (Values, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	v, err := Parse(string(b))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return v, nil
}

// Parse reads the text of a .hmac file: a line "SUM" or "SUM  PATH" a file, or
// GnuTLS's sections "[NAME]" with "path = PATH" and "hmac = SUM".
func Parse(text string) (out Values, err error) {
	section, file := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			section, file = strings.Trim(line, "[]"), ""
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if section != "" {
			key, value, _ := strings.Cut(line, "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			switch key {
			case "path":
				file = value
			case "hmac":
				if file == "" {
					file = section
				}
				word, rest = value, file
			}
			if key != "hmac" {
				continue
			}
		}
		sum, err := hex.DecodeString(word)
		if err != nil || hashOf(len(sum)) == nil {
			return nil, errors.New("it has no check value of HMAC-SHA1, -SHA256, -SHA384 or -SHA512")
		}
		out = append(out, Value{strings.TrimLeft(rest, " *"), sum})
	}
	if out == nil {
		return nil, errors.New("there is no check value in it")
	}
	return out, nil
}

// Of is the value of the file with that base name; nil if it is not among them.
func (v Values) Of(name string) []byte {
	for _, x := range v {
		if path.Base(x.Path) == name {
			return x.Sum
		}
	}
	if len(v) == 1 && (v[0].Path == "" || path.Base(v[0].Path) != name) {
		return v[0].Sum // the file was renamed since: a kernel's image is
	}
	return nil
}

func hashOf(size int) func() hash.Hash {
	switch size {
	case sha1.Size:
		return sha1.New
	case sha256.Size:
		return sha256.New
	case sha512.Size384:
		return sha512.New384
	case sha512.Size:
		return sha512.New
	}
	return nil
}

// Check reads the file and compares.
func Check(file string, sum []byte) error {
	h := hashOf(len(sum))
	if h == nil {
		return fmt.Errorf("%s: no hash has %d bytes", file, len(sum))
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var all []hash.Hash
	var to []io.Writer
	for _, k := range keys {
		m := hmac.New(h, []byte(k))
		all, to = append(all, m), append(to, m)
	}
	if _, err := io.Copy(io.MultiWriter(to...), f); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	for _, m := range all {
		if bytes.Equal(m.Sum(nil), sum) {
			return nil
		}
	}
	return fmt.Errorf("%s %w", file, ErrWrong)
}

// Beside is where the .hmac file of a file is by convention.
func Beside(file string) string {
	return path.Join(path.Dir(file), "."+path.Base(file)+".hmac")
}

// ModulesFile lists the modules that must be loaded and tested before anything
// else, in the ramdisk; the name is dracut's.
const ModulesFile = "/etc/fipsmodules"

// KernelFile is the check value of the kernel's image in the ramdisk, for a
// /boot that has none.
const KernelFile = "/usr/lib/bareroot/kernel.hmac"

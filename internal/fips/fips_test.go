package fips

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Both sums were made by openssl with the tools' keys over "kernel\n".
const (
	text   = "kernel\n"
	sum512 = "dc5670907a73b2675e5d62fef5eacc2028211ac64ca6790949e0e850133c266c19f02f2320eacb5806df0c49a3d66a3d9b0ff6ea4ce9cb82af330c2cf057d3bc"
	sum256 = "a52ea21da805fee05d54dda7d7cb26a85378a1588b5ffff1d4640092f79edfa5"
)

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vmlinuz-6.1")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ hmac, of string }{
		"sha512hmac":     {sum512 + "  /boot/vmlinuz-6.1\n", "vmlinuz-6.1"},
		"renamed":        {sum512 + "  /lib/modules/6.1/vmlinuz\n", "vmlinuz-6.1"},
		"among others":   {strings.Repeat("00", 64) + "  a\n" + sum512 + " *vmlinuz-6.1\n", "vmlinuz-6.1"},
		"fipscheck":      {sum256 + "\n", "anything"},
		"gnutls":         {"[global]\nformat-version = 1\n[libx.so.1]\npath = /usr/lib/libx.so.1.2\nhmac = " + sum256 + "\n[liby]\nhmac=" + strings.Repeat("00", 32), "libx.so.1.2"},
		"gnutls by name": {"[libx.so.1]\nhmac = " + sum256 + "\n", "libx.so.1"},
	} {
		v, err := Parse(c.hmac)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := Check(file, v.Of(c.of)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	v, _ := Parse(strings.Repeat("00", 64))
	if err := Check(file, v.Of("vmlinuz-6.1")); !errors.Is(err, ErrWrong) {
		t.Errorf("another sum: %v", err)
	}
	if err := Check(file, nil); err == nil {
		t.Error("no sum")
	}
	v, _ = Parse(sum256 + " a\n" + sum256 + " b\n")
	if v.Of("c") != nil {
		t.Error("a value for a file that is not named")
	}
	for _, bad := range []string{"", "# nothing\n", "xyz", "0011", "[x]\nhmac = zz\n"} {
		if v, err := Parse(bad); err == nil {
			t.Errorf("%q: %v", bad, v)
		}
	}
}

func TestKeys(t *testing.T) {
	var got []string
	for i, h := range []func([]byte) []byte{
		func(k []byte) []byte { m := hmac.New(sha512.New, k); m.Write([]byte(text)); return m.Sum(nil) },
		func(k []byte) []byte { m := hmac.New(sha256.New, k); m.Write([]byte(text)); return m.Sum(nil) },
	} {
		got = append(got, hex.EncodeToString(h([]byte(keys[i]))))
	}
	if d := cmp.Diff([]string{sum512, sum256}, got); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sum512 + "  /boot/vmlinuz\n")
	f.Add("[a]\npath = b\nhmac = " + sum256)
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Parse(s)
		if (err == nil) != (len(v) > 0) {
			t.Errorf("%v, %v", v, err)
		}
		for _, x := range v {
			if hashOf(len(x.Sum)) == nil {
				t.Errorf("a sum of %d bytes", len(x.Sum))
			}
		}
	})
}

package fips

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
)

// TestChecks: what lets a boot go on, and the words it is refused with.
func TestChecks(t *testing.T) {
	m := hmac.New(sha512.New, []byte("FIPS-FTW-RHT2009"))
	m.Write([]byte("kernel"))
	sum := hex.EncodeToString(m.Sum(nil))
	whole := map[string]string{
		"proc/sys/crypto/fips_enabled": "1\n", "proc/crypto": "name         : sha3-512\ndriver       : sha3-512-generic\nmodule       : kernel\n",
		"etc/fipsmodules": "sha256\nsha3-512\n", "sysroot/boot/vmlinuz-6.1": "kernel", "sysroot/boot/.vmlinuz-6.1.hmac": sum + "  /boot/vmlinuz-6.1\n",
	}
	for name, c := range map[string]struct {
		line   string
		change map[string]string // "" removes
		agent  bool
		want   string // "": it goes on
	}{
		"off":               {"quiet", map[string]string{"etc/fipsmodules": ""}, false, ""},
		"off by 0":          {"fips=0", map[string]string{"etc/fipsmodules": ""}, false, ""},
		"on":                {"fips=1", nil, false, ""},
		"by grub":           {"fips=1 BOOT_IMAGE=(hd0,gpt2)/vmlinuz-6.1", nil, false, ""},
		"boot in the name":  {"fips=1 BOOT_IMAGE=/boot/vmlinuz-6.1", nil, false, ""},
		"sum in ramdisk":    {"fips=1", map[string]string{"sysroot/boot/.vmlinuz-6.1.hmac": "", "usr/lib/bareroot/kernel.hmac": sum}, false, ""},
		"bare":              {"fips", nil, false, "fips=1"},
		"not in the kernel": {"fips=1", map[string]string{"proc/sys/crypto/fips_enabled": ""}, false, "CONFIG_CRYPTO_FIPS"},
		"word not its own":  {"fips=1", map[string]string{"proc/sys/crypto/fips_enabled": "0\n"}, false, "own command line"},
		"ramdisk without":   {"fips=1", map[string]string{"etc/fipsmodules": ""}, false, "--add-feature fips"},
		"cipher missing":    {"fips=1", map[string]string{"etc/fipsmodules": "blowfish\n"}, false, "cipher blowfish"},
		"no sum":            {"fips=1", map[string]string{"sysroot/boot/.vmlinuz-6.1.hmac": ""}, false, ".vmlinuz-6.1.hmac is not there"},
		"changed kernel":    {"fips=1", map[string]string{"sysroot/boot/vmlinuz-6.1": "other"}, false, "does not match"},
		"changed, skipped":  {"fips=1 rd.fips.skipkernel", map[string]string{"sysroot/boot/vmlinuz-6.1": "other"}, false, ""},
		"no kernel":         {"fips=1", map[string]string{"sysroot/boot/vmlinuz-6.1": ""}, false, "is boot= right?"},
		"no such device":    {"fips=1 boot=UUID=12", nil, false, "boot=UUID=12"},
		"agent":             {"fips=1", nil, true, "rd.fips.skipkernel"},
		"agent, skipped":    {"fips=1 rd.fips.skipkernel=1", nil, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range whole {
				if changed, ok := c.change[file]; ok {
					text = changed
				}
				write(t, dir, file, text)
			}
			for file, text := range c.change {
				write(t, dir, file, text)
			}
			ch := &Checks{
				Line: cmdline.Parse(c.line, "test"), Kver: "6.1", Root: !c.agent, dir: dir, Say: t.Logf,
				Load: func(name string) error {
					if name == "sha256" || name == "tcrypt" {
						return nil
					}
					return fmt.Errorf("no module %s", name)
				},
				Device: func(context.Context, string) (string, error) { return "", errors.New("it did not appear") },
			}
			var got error
			for _, s := range cmdline.Stages {
				if got = ch.Stage(t.Context(), s); got != nil {
					break
				}
			}
			if (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.Error(), c.want) {
				t.Errorf("%v, want %q", got, c.want)
			}
		})
	}
}

func write(t *testing.T, dir, file, text string) {
	t.Helper()
	p := filepath.Join(dir, file)
	if text == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

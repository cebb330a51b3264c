package build

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func fipscheckSum(b []byte) string {
	m := hmac.New(sha256.New, []byte("orboDeJITITejsirpADONivirpUkvarP"))
	m.Write(b)
	return fmt.Sprintf("%x\n", m.Sum(nil))
}

// TestFIPS: .hmac files come along and must fit, also that of the kernel; init
// is told which ciphers to load.
func TestFIPS(t *testing.T) {
	lib, kernel := fakeELF(62, false, "", "library"), fakeKernel()
	m := hmac.New(sha512.New, []byte("FIPS-FTW-RHT2009"))
	m.Write(kernel)
	kernelSum := fmt.Sprintf("%x", m.Sum(nil))
	sound := func(t *testing.T) (string, Options) {
		root, o := sysroot(t)
		put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_RD_ZSTD=y\nCONFIG_CRYPTO_FIPS=y\n"))
		put(t, root, "usr/lib/modules/6.1.0-10/modules.builtin", []byte("kernel/drivers/virtio/virtio.ko\nkernel/crypto/tcrypt.ko\n"))
		put(t, root, "usr/lib/modules/6.1.0-10/modules.alias", []byte("alias crypto-crc32c crc32c_generic\nalias crc32c crc32c_generic\n"))
		put(t, root, "usr/lib64/libx.so.1.2", lib)
		put(t, root, "usr/lib64/.libx.so.1.2.hmac", []byte(fipscheckSum(lib)))
		put(t, root, "usr/lib64/fipscheck/libx.so.1.hmac", []byte(fipscheckSum(lib)))
		if err := os.Symlink("libx.so.1.2", filepath.Join(root, "usr/lib64/libx.so.1")); err != nil {
			t.Fatal(err)
		}
		put(t, root, "boot/.vmlinuz-6.1.0-10.hmac", []byte(kernelSum+"  /lib/modules/6.1.0-10/vmlinuz\n"))
		o.AddFeatures, o.Install = []string{"fips"}, []string{"/usr/lib64/libx.so.1"}
		return root, o
	}
	_, o := sound(t)
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	have := unpack(t, out)
	for name, want := range map[string]string{
		"usr/lib64/.libx.so.1.2.hmac": fipscheckSum(lib), "usr/lib64/fipscheck/libx.so.1.hmac": fipscheckSum(lib),
		"etc/fipsmodules": "crc32c\n", "usr/lib/bareroot/kernel.hmac": kernelSum + "\n",
	} {
		if !strings.HasSuffix(have[name], " "+want) {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
	if strings.Contains(strings.Join(res.Notices, "\n"), "hmac") {
		t.Errorf("notices %q", res.Notices)
	}
	for name, c := range map[string]struct {
		spoil func(root string)
		want  []string // nil: a notice
	}{
		"library changed": {func(root string) { put(t, root, "usr/lib64/libx.so.1.2", append(lib, 0)) }, []string{"usr/lib64/libx.so.1", "check value", "reinstall"}},
		"no check value":  {func(root string) { put(t, root, "usr/lib64/fipscheck/libx.so.1.hmac", []byte("none\n")) }, []string{"fipscheck/libx.so.1.hmac"}},
		"kernel changed":  {func(root string) { put(t, root, "boot/vmlinuz-6.1.0-10", []byte("other")) }, []string{"vmlinuz-6.1.0-10", "check value"}},
		"no FIPS mode": {func(root string) {
			put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_RD_ZSTD=y\n"))
		}, []string{"CONFIG_CRYPTO_FIPS"}},
		"no tests":       {func(root string) { put(t, root, "usr/lib/modules/6.1.0-10/modules.builtin", nil) }, []string{"no module tcrypt"}},
		"kernel without": {func(root string) { os.Remove(filepath.Join(root, "boot/.vmlinuz-6.1.0-10.hmac")) }, nil},
	} {
		root, o := sound(t)
		c.spoil(root)
		r, err := plan(t, o)
		if c.want == nil {
			if err != nil || !strings.Contains(strings.Join(r.notices, "\n"), "has no .hmac file") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) || !IsInputError(err) {
				t.Errorf("%s: %v does not say %q", name, err, w)
			}
		}
	}
}

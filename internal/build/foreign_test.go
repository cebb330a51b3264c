package build

import (
	"debug/elf"
	"path/filepath"
	"strings"
	"testing"
)

// arm64 makes a small distribution of another architecture.
func arm64(t *testing.T) (string, Options) {
	t.Helper()
	root := t.TempDir()
	tree := "lib/modules/6.1.0-9-arm64/"
	put(t, root, tree+"modules.dep", []byte("kernel/fs/ext4/ext4.ko:\n"))
	put(t, root, tree+"kernel/fs/ext4/ext4.ko", fakeELF(elf.EM_AARCH64, false, "license=GPL\x00", ""))
	image := make([]byte, 1<<16)
	copy(image[0x38:], "ARM\x64")
	copy(image[5000:], "Linux version 6.1.0-9-arm64 (builder) #1\x00")
	put(t, root, "boot/vmlinuz-6.1.0-9-arm64", image)
	put(t, root, "bin/busybox", fakeELF(elf.EM_AARCH64, false, "", appletStrings))
	put(t, root, "bin/tool", fakeELF(elf.EM_AARCH64, false, "", "tool"))
	own := t.TempDir()
	put(t, own, "bareroot-init", fakeELF(elf.EM_AARCH64, false, "", stamp(testID)))
	return root, Options{Sysroot: root, BuildID: testID, Init: filepath.Join(own, "bareroot-init"), Install: []string{"tool"}}
}

// TestForeignArchitecture: a root of another architecture is read, never run,
// and what is of a third one is named.
func TestForeignArchitecture(t *testing.T) {
	_, o := arm64(t)
	out := filepath.Join(t.TempDir(), "set")
	m := buildDir(t, o, out).Manifest
	if m.Arch != "arm64" || m.Kver != "6.1.0-9-arm64" {
		t.Errorf("manifest %+v", m)
	}
	have := unpack(t, out)
	for _, p := range []string{"usr/lib/modules/6.1.0-9-arm64/kernel/fs/ext4/ext4.ko.zst", "usr/bin/tool", "usr/bin/sh"} {
		if have[p] == "" {
			t.Errorf("%s is not in", p)
		}
	}
	for name, c := range map[string]struct {
		spoil func(string, *Options)
		want  []string
	}{
		"init": {func(root string, o *Options) {
			put(t, root, "x/init", fakeELF(elf.EM_X86_64, false, "", stamp(testID)))
			o.Init = filepath.Join(root, "x/init")
		}, []string{"kernel", "arm64", "amd64"}},
		"busybox": {func(root string, o *Options) {
			put(t, root, "bin/busybox", fakeELF(elf.EM_X86_64, false, "", appletStrings))
		}, []string{"busybox", "amd64", "arm64"}},
		"module": {func(root string, o *Options) {
			put(t, root, "lib/modules/6.1.0-9-arm64/kernel/fs/ext4/ext4.ko", fakeELF(elf.EM_X86_64, false, "", ""))
		}, []string{"ext4.ko", "amd64", "arm64"}},
		"program": {func(root string, o *Options) { put(t, root, "bin/tool", fakeELF(elf.EM_X86_64, false, "", "tool")) }, []string{"bin/tool", "amd64", "arm64"}},
		"kernel": {func(root string, o *Options) {
			b := make([]byte, 4096)
			copy(b[0x202:], "HdrS\x0f\x02")
			b[0x236] = 1
			put(t, root, "boot/vmlinuz-6.1.0-9-arm64", b)
		}, []string{"kernel", "amd64", "arm64"}},
		"kernel version": {func(root string, o *Options) {
			b := make([]byte, 4096)
			copy(b[0x38:], "ARM\x64")
			copy(b[100:], "Linux version 5.10.0 (x)")
			put(t, root, "boot/vmlinuz-6.1.0-9-arm64", b)
		}, []string{"5.10.0", "6.1.0-9-arm64"}},
	} {
		root, o := arm64(t)
		c.spoil(root, &o)
		_, err := Dir(t.Context(), o, filepath.Join(t.TempDir(), "set"), false)
		if err == nil || !IsInputError(err) {
			t.Errorf("%s of another architecture: %v", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
}

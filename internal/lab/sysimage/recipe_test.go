package sysimage

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func host(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestHostRecipe(t *testing.T) {
	for name, tc := range map[string]struct {
		files   map[string]string
		sources []string
		kernel  string
		fails   string
	}{
		"debian 12": {map[string]string{"etc/os-release": "ID=debian\nVERSION_CODENAME=bookworm\n", "etc/apt/sources.list.d/debian.sources": "Types: deb\n"},
			[]string{"/etc/apt/sources.list.d/debian.sources"}, "linux-image-cloud-amd64", ""},
		"old style": {map[string]string{"etc/os-release": "ID=debian\nVERSION_CODENAME=bookworm\n", "etc/apt/sources.list": "deb x y z\n"},
			[]string{"/etc/apt/sources.list"}, "linux-image-cloud-amd64", ""},
		"ubuntu": {map[string]string{"etc/os-release": "ID=ubuntu\nVERSION_CODENAME=noble\n", "etc/apt/sources.list": "# moved\n", "etc/apt/sources.list.d/ubuntu.sources": "Types: deb\n"},
			[]string{"/etc/apt/sources.list.d/ubuntu.sources"}, "linux-image-virtual", ""},
		"fedora":     {map[string]string{"etc/os-release": "ID=\"fedora\"\n"}, nil, "", `"fedora"`},
		"no sources": {map[string]string{"etc/os-release": "ID=debian\nVERSION_CODENAME=bookworm\n"}, nil, "", "no package sources"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := hostRecipe(host(t, tc.files))
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("error %v, expected one with %q", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.sources, r.Sources); d != "" {
				t.Error(d)
			}
			if !strings.Contains(strings.Join(r.Packages, " "), tc.kernel) {
				t.Errorf("packages %v, expected %s", r.Packages, tc.kernel)
			}
			other := r
			other.Packages = append(other.Packages[:len(r.Packages):len(r.Packages)], "more")
			if again := r; r.hash() == other.hash() || r.hash() != again.hash() {
				t.Error("the hash does not follow the recipe")
			}
		})
	}
}

// The overlay holds each directory once, before what is in it, and no root
// in fstab.
func TestTarball(t *testing.T) {
	b, err := tarball(overlay("debian", "ID=debian\n"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{".": true}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Clean(h.Name)
		if seen[name] || !seen[filepath.Dir(name)] {
			t.Errorf("%s comes twice, or before its directory", name)
		}
		seen[name] = true
		if name == "etc/fstab" {
			text, err := io.ReadAll(r)
			if err != nil || strings.Contains(string(text), " / ") {
				t.Errorf("fstab %q %v", text, err)
			}
		}
	}
	if !seen["etc/systemd/system/systemd-networkd-wait-online.service"] || !seen["boot/grub/grub.cfg"] {
		t.Error("entries are missing")
	}
}

func TestGrub(t *testing.T) {
	boot := bytes.Repeat([]byte{0xaa}, 512)
	got, err := bootSector(boot, 2048)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte{0xaa}, 440)
	binary.LittleEndian.PutUint64(want[0x5c:], 2048)
	want[0x66], want[0x67] = 0x90, 0x90
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	core, err := coreImage(make([]byte, 1000), 2048, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(core) != 1024 || binary.LittleEndian.Uint64(core[500:]) != 2049 || binary.LittleEndian.Uint16(core[508:]) != 1 || binary.LittleEndian.Uint16(core[510:]) != 0x820 {
		t.Errorf("core image: %d bytes, %x", len(core), core[500:512])
	}
	for name, err := range map[string]error{
		"short boot.img": second(bootSector(boot[:100], 1)),
		"tiny core.img":  second(coreImage(make([]byte, 100), 1, 10)),
		"no room":        second(coreImage(make([]byte, 10000), 1, 10)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ []byte, err error) error { return err }

// A cached image whose files were cut short is not used.
func TestOpenChecksSizes(t *testing.T) {
	dir := host(t, map[string]string{metaName: `{"zst_size":3,"squashfs_size":2}`, rawName: "abc", squashfsName: "ab"})
	if _, err := open(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, rawName), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir); err == nil || !strings.Contains(err.Error(), "expected 3") {
		t.Errorf("error %v", err)
	}
}

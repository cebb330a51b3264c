package disk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loop makes a file of old data a block device with the given sectors.
func loop(t *testing.T, size int64, sector string) string {
	t.Helper()
	return loopOf(t, makeDisk(t, size, 0xee), sector)
}

func loopOf(t *testing.T, file, sector string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a loop device; the same writer is tested on files")
	}
	out, err := exec.Command("losetup", "--find", "--show", "--partscan", "--sector-size", sector, file).CombinedOutput()
	if err != nil {
		t.Skipf("this machine gives no loop device: %v: %s", err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", dev, err, out)
		}
	})
	return dev
}

func partitions(dev string) int {
	name := filepath.Base(dev)
	parts, _ := filepath.Glob("/sys/block/" + name + "/" + name + "p[0-9]*")
	return len(parts)
}

// kernelReadsGPT tries it with a disk made by another program.
func kernelReadsGPT(t *testing.T) bool {
	path := filepath.Join(t.TempDir(), "gpt")
	if err := os.WriteFile(path, gptImage(t, 8<<20, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	return partitions(loopOf(t, path, "512")) == 3
}

// On a real block device: exclusive, past the page cache, zeros over old
// data where the image has holes, and the kernel sees the partitions.
func TestBlockDevice(t *testing.T) {
	for sector, size := range map[string]int{"512": 512, "4096": 4096} {
		t.Run(sector, func(t *testing.T) {
			dev := loop(t, 64<<20, sector)
			image := gptImage(t, 24<<20, uint(size))
			copy(image[20<<20:], bytes.Repeat([]byte{9}, 3000))
			if err := deploy(dev, image, int64(len(image)), nil, nil); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(dev)
			if err != nil {
				t.Fatal(err)
			}
			end := len(image) - 33*size
			if !bytes.Equal(got[HeadSize:end], image[HeadSize:end]) {
				t.Error("the device does not hold the image")
			}
			g, err := ParseGPT(got[:HeadSize])
			if err != nil || g.Sector != size || g.Alternate != 64<<20/int64(size)-1 {
				t.Errorf("table %+v, error %v", g, err)
			}
			switch n := partitions(dev); {
			case !kernelReadsGPT(t):
				t.Log("not checked: this kernel is built without GPT support and sees no partitions anywhere")
			case n != 3:
				t.Errorf("the kernel sees %d partitions", n)
			}
			found, _, mark, err := Content(dev, 64<<20)
			if err != nil || mark != nil || len(found) != 1 || found[0] != "GPT partition table, 3 partitions" {
				t.Errorf("content %q, mark %v, error %v", found, mark, err)
			}
		})
	}
}

func TestBlockDeviceWrongSectors(t *testing.T) {
	dev := loop(t, 64<<20, "4096")
	err := deploy(dev, gptImage(t, 24<<20, 512), 24<<20, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "made for sectors of 512 bytes, the disk has sectors of 4096") {
		t.Fatal(err)
	}
	b, err := os.ReadFile(dev)
	if err != nil {
		t.Fatal(err)
	}
	if b[0] != 0xee {
		t.Error("the disk was touched")
	}
}

func TestBlockDeviceInUse(t *testing.T) {
	dev := loop(t, 64<<20, "512")
	first, err := Open(dev)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Open(dev); err == nil || !strings.Contains(err.Error(), "mounted or part of an array") {
		t.Errorf("opened twice: %v", err)
	}
}

func TestContent(t *testing.T) {
	mkfs := func(args ...string) func(t *testing.T, p string) {
		return func(t *testing.T, p string) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Fatalf("%v: install e2fsprogs and util-linux", err)
			}
			if out, err := exec.Command(args[0], append(args[1:], p)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	put := func(off int64, b []byte) func(t *testing.T, p string) {
		return func(t *testing.T, p string) {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(b, off); err != nil {
				t.Fatal(err)
			}
		}
	}
	lvm := make([]byte, 1024)
	copy(lvm[512:], "LABELONE")
	const size = 32 << 20
	for name, tc := range map[string]struct {
		make func(t *testing.T, p string)
		want string // joined, or its start
	}{
		"blank":         {func(*testing.T, string) {}, ""},
		"ext4":          {mkfs("mkfs.ext4", "-q", "-F", "-L", "old"), "ext4 (label old)"},
		"swap":          {mkfs("mkswap"), "swap"},
		"unknown start": {put(700000, []byte{1}), "unknown data in the first MiB"},
		"unknown end":   {put(size-5, []byte{1}), "unknown data in the last MiB"},
		"odd lvm label": {put(0, lvm), "unknown data in the first MiB"},
		"damaged GPT":   {put(512, []byte(gptMagic)), "damaged GPT partition table"},
	} {
		t.Run(name, func(t *testing.T) {
			p := makeDisk(t, size, 0)
			tc.make(t, p)
			found, _, _, err := Content(p, size)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(found, "; "); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

package build

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// small is the smallest ramdisk that finds a root on a disk.
var small = []string{"--drivers", "virtio_pci virtio_blk ext4 crc32c_generic"}

// TestCompressions: the same ramdisk in each compression starts the same root.
func TestCompressions(t *testing.T) {
	vmtest.AllOnly(t) // TestContents and other tests start lz4 and zstd
	disk := vmtest.MarkerRoot(t, 16<<20, "")
	for _, how := range []string{"xz", "zstd", "gzip", "lz4", "none", "best"} {
		t.Run(how, func(t *testing.T) {
			ramdisk := vmtest.Ramdisk(t, append([]string{"--compress", how}, small...)...)
			v := vmtest.Boot(t, vmtest.Direct(t, ramdisk, "quiet root=/dev/vda", qemu.Disk{Path: disk}))
			v.Expect(vmtest.Marker+` on /dev/vda ext4`, 3*time.Minute)
			v.WaitPowerOff(time.Minute)
		})
	}
}

// TestDamagedSegment: a byte that changed on the way is the kernel's to find,
// and nothing starts from half a ramdisk. What is damaged is behind init, in the
// second segment: a damaged init is refused by the kernel. lz4, the default for
// both, has no checksum and would not do.
func TestDamagedSegment(t *testing.T) {
	vmtest.AllOnly(t)
	b, err := os.ReadFile(vmtest.Ramdisk(t, append(small[:len(small):len(small)], "--compress", "zstd")...))
	if err != nil {
		t.Fatal(err)
	}
	zstd := []byte{0x28, 0xb5, 0x2f, 0xfd}
	second := 4 + bytes.Index(b[4:], zstd)
	if !bytes.HasPrefix(b, zstd) || second%4 != 0 || second+256<<10 > len(b) {
		t.Fatalf("the ramdisk of %d bytes does not consist of segments in zstd: the second would begin at %d", len(b), second)
	}
	b[second+256<<10] ^= 0xff
	damaged := put(t, 0o644, string(b), t.TempDir(), "damaged.img")
	v := vmtest.Boot(t, vmtest.Direct(t, damaged, ""))
	v.Expect(`Initramfs unpacking failed: `, 2*time.Minute)
	v.Expect(`FAILED: stage cmdline: this ramdisk is not whole`, time.Minute)
}

// TestFIPSAndCompat32: with fips=1 the ciphers are tested and the kernel's image
// on /boot is checked; a changed one is refused. On the way a 32-bit program that
// the builder has not seen, as one that is downloaded in the ramdisk, finds its
// loader, libc and libstdc++. They have nothing to do with each other but the
// guest.
func TestFIPSAndCompat32(t *testing.T) {
	k := vmtest.Kernel(t)
	tree, err := distro.Packages(t.Context(), vmtest.CacheDir(t), "i386", programs32)
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(k.Image)
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha512.New, []byte("FIPS-FTW-RHT2009"))
	m.Write(image)
	name := "vmlinuz-" + k.Version
	bootDisk := func(image []byte) string {
		dir, disk := t.TempDir(), vmtest.BlankDisk(t, 32<<20)
		put(t, 0o644, string(image), dir, name)
		put(t, 0o644, fmt.Sprintf("%x  /boot/%s\n", m.Sum(nil), name), dir, "."+name+".hmac")
		if _, err := hosttool.Run(t.Context(), "mkfs.ext4", "-q", "-F", "-L", "boot", "-d", dir, disk); err != nil {
			t.Fatal(err)
		}
		return disk
	}
	hook := put(t, 0o755, `#!/bin/sh
[ "$(od -An -tx1 -j4 -N1 /opt/gperf | tr -d ' ')" = 01 ] || echo "it is no 32-bit program"
printf 'a\nb\n' | /opt/gperf | grep -q 'produced by gperf' && echo "32 bits run"
`, t.TempDir(), "gperf")
	ramdisk := vmtest.Ramdisk(t, append([]string{"--sysroot", tree, "--busybox", "/bin/busybox", "--add-feature", "compat32 fips",
		"--include", filepath.Join(tree, "usr/bin/gperf"), "/opt/gperf", "--hook", "pre-trigger", hook}, small...)...)
	root := vmtest.MarkerRoot(t, 16<<20, "cat /proc/sys/crypto/fips_enabled", "mkfs.ext4", "-q", "-F", "-L", "root")
	words := "fips=1 boot=LABEL=boot root=LABEL=root rd.shell=0 bareroot.emergency.delay=1 rd.emergency=poweroff"
	start := func(image []byte) *vmtest.VM {
		v := vmtest.Boot(t, vmtest.Direct(t, ramdisk, words, qemu.Disk{Path: root}, qemu.Disk{Path: bootDisk(image)}))
		v.Expect(`32 bits run`, 4*time.Minute)
		return v
	}
	t.Run("sound", func(t *testing.T) {
		v := start(image)
		v.Expect(vmtest.Marker+`.*\r?\n1\r?\n`, 4*time.Minute)
		v.WaitPowerOff(2 * time.Minute)
	})
	t.Run("changed", func(t *testing.T) {
		vmtest.AllOnly(t)
		v := start(append(bytes.Clone(image), 0))
		v.Expect(`the kernel's image .*`+name+` does not match its check value`, 4*time.Minute)
		v.WaitPowerOff(2 * time.Minute)
	})
}

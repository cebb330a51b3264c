package roots

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func splitNames(s string) []string { return strings.Fields(s) }

// parted is a disk whose second partition is a root.
func parted(t *testing.T) string {
	t.Helper()
	fs := extRoot(t, "my root", nil)
	disk := vmtest.BlankDisk(t, 80*mib)
	tool(t, "sh", "-c", `printf 'label: gpt\nsize=4M, uuid=44444444-2222-4333-8444-555555555555\nsize=64M, name="root part", uuid=`+partUUID+`\n' | sfdisk -q `+disk)
	tool(t, "tune2fs", "-U", luksUUID, fs)
	// The second partition starts after 1 MiB and the first.
	tool(t, "dd", "if="+fs, "of="+disk, "bs=1M", "seek=5", "conv=notrunc", "status=none")
	return disk
}

// TestSpellings: one disk with a partition, forms of root= that name it. The
// others are in the tests of package device.
func TestSpellings(t *testing.T) {
	vmtest.AllOnly(t)
	disk := parted(t)
	for _, form := range []string{
		`LABEL="my root"`, "PARTUUID=44444444-2222-4333-8444-555555555555/PARTNROFF=1", "/dev/disk/by-id/virtio-ROOTDISK-part2", "254:2",
	} {
		t.Run(form, func(t *testing.T) {
			v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t), "root="+form, qemu.Disk{Path: disk, Serial: "ROOTDISK"}))
			v.Expect(vmtest.Marker+` on /dev/vda2 ext4`, boot)
			v.WaitPowerOff(time.Minute)
		})
	}
}

// TestCheck: a filesystem that needs a check gets one; one that cannot be
// repaired without a person stops the boot.
func TestCheck(t *testing.T) {
	t.Run("repaired", func(t *testing.T) {
		disk := extRoot(t, "broken", nil)
		tool(t, "debugfs", "-w", "-R", "set_super_value state 2", disk)
		tool(t, "debugfs", "-w", "-R", "clri /mnt", disk)
		v := start(t, "root=LABEL=broken", qemu.Disk{Path: disk})
		v.Expect(`e2fsck: broken: Entry 'mnt' in / .*CLEARED`, boot)
		v.Expect(`warning: /dev/vda: errors were found and corrected`, time.Minute)
		v.Expect(vmtest.Marker+` on /dev/vda ext4`, boot)
		v.WaitPowerOff(time.Minute)
		tool(t, "e2fsck", "-n", "-f", disk)
	})
	t.Run("a person is needed", func(t *testing.T) {
		vmtest.AllOnly(t)
		disk := extRoot(t, "broken", nil)
		tool(t, "debugfs", "-w", "-R", "clri <2>", disk)
		v := start(t, "root=LABEL=broken"+off, qemu.Disk{Path: disk})
		v.Expect(`FAILED: stage mount: e2fsck found errors on /dev/vda that it does not correct by itself \(exit code 4\)`, boot)
		v.WaitPowerOff(time.Minute)
	})
}

// TestUsr: /usr on a filesystem of its own, by the root's fstab, which also
// has options for the root.
func TestUsr(t *testing.T) {
	vmtest.AllOnly(t)
	root := extRoot(t, "r", map[string]string{"etc/fstab": "LABEL=r / ext4 noatime 0 1\nLABEL=u /usr ext4 ro 0 2\n"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "usr-is-here"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	v := start(t, "root=LABEL=r", qemu.Disk{Path: root}, qemu.Disk{Path: ext(t, "u", dir)})
	v.Expect(vmtest.Marker+` on /dev/vd\w ext4 rw,noatime`, boot)
	v.Expect(`usr-is-here`, time.Minute)
	v.Expect(`/dev/vd\w /usr ext4 ro`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

// TestNever: a root that never appears; the message says what was waited for,
// what was seen, and what could be made of it.
func TestNever(t *testing.T) {
	disk := extRoot(t, "other", nil)
	v := start(t, "root=LABEL=nowhere rd.lvm.lv=vg/lv rd.retry=15"+off, qemu.Disk{Path: disk})
	v.Expect(`FAILED: stage initqueue: .*not there within 15s: volume vg/lv \(rd.lvm.lv\): no physical volume seen; devices seen: .*vda \(ext4 LABEL=other\)`, boot)
	v.WaitPowerOff(time.Minute)
}

// TestFallback: a root that does not come, and the one to use then.
func TestFallback(t *testing.T) {
	vmtest.AllOnly(t)
	disk := extRoot(t, "second", nil)
	v := start(t, "root=LABEL=first rootfallback=LABEL=second rd.retry=9", qemu.Disk{Path: disk})
	v.Expect(`rootfallback=LABEL=second is tried`, boot)
	v.Expect(vmtest.Marker+` on /dev/vda ext4`, boot)
	v.WaitPowerOff(time.Minute)
}

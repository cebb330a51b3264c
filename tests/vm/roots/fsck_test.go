package roots

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestJournals: roots that were not unmounted. On a device that takes no writes
// they are mounted without their journal, with a warning; elsewhere the kernel
// replays it, also for "ro" and without a check. In the same guest: a root whose
// /usr is a subvolume beside it, by mount.usrflags= alone.
func TestJournals(t *testing.T) {
	vmtest.AllOnly(t)
	ext, xfs, sub := vmtest.BlankDisk(t, 64*mib), vmtest.BlankDisk(t, 320*mib), vmtest.BlankDisk(t, 128*mib)
	vmtest.Prepare(t, []string{"mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "btrfs"}, "cat /proc/mounts", `
modprobe xfs; modprobe btrfs
mkfs.btrfs -q -L sub /dev/vdc
mkdir /s
mount /dev/vdc /s
btrfs subvolume create /s/@; btrfs subvolume create /s/@usr
cp -a /marker/. /s/@
umount /s
mkfs.ext4 -q -L dirty /dev/vda
mkfs.xfs -q -L dirty /dev/vdb
mkdir /e /x
mount /dev/vda /e
mount -t xfs /dev/vdb /x
for d in /e /x; do cp -a /marker/. $d; chroot $d /bin/busybox --install -s /bin; umount $d; done
mount /dev/vda /e
mount -t xfs /dev/vdb /x
for d in /e /x; do echo >$d/late; done # the journals hold no more than this
sync`, qemu.Disk{Path: ext}, qemu.Disk{Path: xfs}, qemu.Disk{Path: sub})
	for _, c := range []struct{ name, disk, drive, words, kernel, said, root string }{
		{"write-protected ext4", ext, ",readonly=on", "", `recovery required on readonly filesystem`, `is write-protected and its journal is not empty; it is mounted as it is \(noload\)`, `ext4 ro,\S*no(load|recovery)`},
		{"write-protected xfs", xfs, ",readonly=on", "", `recovery required on read-only device`, `is write-protected and its journal is not empty; it is mounted as it is \(norecovery\)`, `xfs ro,\S*norecovery`},
		{"ext4", ext, "", "rd.skipfsck ", `recovery required on readonly filesystem`, `EXT4-fs \(vda\): recovery complete`, `ext4 `},
		{"xfs", xfs, "", "", `XFS \(vda\): Starting recovery`, `XFS \(vda\): Ending recovery`, `xfs `},
		{"subvolume", sub, "", "root=LABEL=sub rootflags=subvol=@ mount.usrflags=subvol=@usr,noatime", `Btrfs`, `/usr of the root is LABEL=sub`, `btrfs (?s:.*) /usr btrfs ro,noatime,\S*subvol=/@usr`},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := vmtest.Direct(t, full(t), "root=LABEL=dirty ro "+c.words)
			spec.Args = []string{"-drive", "if=none,id=root,format=raw,file=" + c.disk + c.drive, "-device", "virtio-blk-pci,drive=root"}
			v := vmtest.Boot(t, spec)
			v.Expect(c.kernel, boot)
			v.Expect(c.said, boot)
			v.Expect(vmtest.Marker+` on /dev/vda `+c.root, boot)
			v.WaitPowerOff(time.Minute)
		})
	}
}

// TestCheckByHand: errors that only a person may correct; the screen says how,
// and the boot goes on once that is done.
func TestCheckByHand(t *testing.T) {
	vmtest.AllOnly(t)
	disk := extRoot(t, "broken", nil)
	tool(t, "debugfs", "-w", "-R", "set_super_value state 2", disk)
	tool(t, "debugfs", "-w", "-R", "sif /mnt block[0] 0", disk)
	v := start(t, "root=LABEL=broken rd.shell", qemu.Disk{Path: disk})
	v.Expect(`This boot stopped in stage mount. What failed:\s+e2fsck found errors on /dev/vda that it does not correct by itself \(exit code 4\)`, boot)
	v.Expect(`What is missing:\s+a filesystem without errors on /dev/vda`, time.Minute)
	v.Expect(`Try:\s+e2fsck -n /dev/vda .*\s+e2fsck /dev/vda; exit .*\s+echo fsck.mode=skip`, time.Minute)
	v.Expect(`bareroot:\S*# `, time.Minute)
	v.Send("e2fsck -y /dev/vda; exit\n")
	v.Expect(vmtest.Marker+` on /dev/vda ext4`, boot)
	v.WaitPowerOff(time.Minute)
	tool(t, "e2fsck", "-n", "-f", disk)
}

// TestCheckReboots: a check that changed what the kernel has read already.
func TestCheckReboots(t *testing.T) {
	vmtest.AllOnly(t)
	program := filepath.Join(t.TempDir(), "e2fsck")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$*: the root was changed\"\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, "--include", program, "/usr/sbin/e2fsck"), "root=/dev/vda forcefsck", qemu.Disk{Path: extRoot(t, "r", nil)}))
	v.Expect(`e2fsck: -p -C 1 -f /dev/vda: the root was changed`, boot)
	v.Expect(`reboot because e2fsck corrected /dev/vda: the machine must be started again`, boot)
	v.Expect(`Linux version`, boot)
	v.Expect(`the root was changed`, boot)
}

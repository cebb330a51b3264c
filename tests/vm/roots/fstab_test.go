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

// giveBack is what systemd-shutdown does at its end.
const giveBack = `
mount -o bind /run/initramfs /run/initramfs
cd /run/initramfs
pivot_root . oldroot
exec chroot . /shutdown poweroff
`

// dracutRamdisk is what "bareroot dracut" makes.
func dracutRamdisk(t *testing.T, words ...string) string {
	t.Helper()
	k := vmtest.Kernel(t)
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		t.Fatal(err)
	}
	img := filepath.Join(t.TempDir(), "dracut.img")
	tool(t, append(append([]string{bin, "dracut", "-q", "-N", "-k", k.ModulesDir}, words...), img, k.Version)...)
	return img
}

// damagedFAT is a vfat volume with a lost cluster and tables that differ.
func damagedFAT(t *testing.T, label string) string {
	t.Helper()
	disk := vmtest.BlankDisk(t, 64*mib)
	tool(t, "mkfs.vfat", "-F", "16", "-n", label, disk)
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The first table is after four reserved sectors.
	if _, err := f.WriteAt([]byte{0x00, 0x50}, 4*512+100); err != nil {
		t.Fatal(err)
	}
	return disk
}

// TestFstabs: every fstab that init mounts from, with every check of what it
// mounts: the ramdisk's own (dracut --mount), fstab.sys, the root's lines with
// x-initrd.mount; and /usr on a volume, by mount.usr=. The root is a XFS that
// was not unmounted, so that its check needs its journal replayed first.
func TestFstabs(t *testing.T) {
	vmtest.AllOnly(t)
	root, vg := vmtest.BlankDisk(t, 320*mib), vmtest.BlankDisk(t, 96*mib)
	flash := vmtest.BlankDisk(t, 64*mib)
	tool(t, "mkfs.f2fs", "-q", "-l", "flash", flash)
	out := ext(t, "out", t.TempDir())
	vmtest.Prepare(t, []string{"lvm", "mkfs.ext4", "mkfs.xfs"}, stand+giveBack, `
export DM_DISABLE_UDEV=1
modprobe dm_mod; modprobe xfs
lvm vgcreate -q vg /dev/vdb
lvm lvcreate -q -y -L 40M -n usr vg
lvm lvcreate -q -y -l 100%FREE -n var vg
mkfs.ext4 -q -L usr /dev/vg/usr
mkfs.ext4 -q -L var /dev/vg/var
mkdir /new
mount /dev/vg/usr /new; echo >/new/usr-is-here; umount /new
lvm vgchange -q -an
mkfs.xfs -q -L xroot /dev/vda
mount /dev/vda /new
cp -a /marker/. /new
mkdir -p /new/boot/efi /new/flash /new/scratch
cat >/new/etc/fstab <<F
LABEL=xroot / xfs noatime 0 1
UUID=gone /data ext4 defaults 0 2
/dev/mapper/vg-var /var ext4 x-initrd.mount,nosuid 0 2
F
echo "LABEL=flash /flash f2fs noatime 0 2" >/new/etc/fstab.sys
sync`, qemu.Disk{Path: root}, qemu.Disk{Path: vg})
	ramdisk := dracutRamdisk(t, "-a", "lvm fsck", "--mount", "LABEL=EFI /boot/efi vfat umask=0077 0 2", "--mount", "LABEL=out /only-here ext4 ro 0 2",
		"--mount", "LABEL=nowhere /none ext4 nofail 0 2", "--mount", "tmpfs /scratch tmpfs size=2M", "--mount", "LABEL=out / ext4")
	esp := damagedFAT(t, "EFI")
	v := vmtest.Boot(t, vmtest.Direct(t, ramdisk, "root=LABEL=xroot ro forcefsck mount.usr=/dev/vg/usr mount.usrfstype=ext4 mount.usrflags=ro,noatime",
		qemu.Disk{Path: root}, qemu.Disk{Path: vg}, qemu.Disk{Path: esp}, qemu.Disk{Path: flash}, qemu.Disk{Path: out}))
	v.Expect(`checking /dev/vd. \(xfs\)`, boot)
	v.Expect(`checked /dev/vd. in`, boot)
	v.Expect(`checking /dev/mapper/vg-usr \(ext4\)`, boot)
	v.Expect(`/usr of the root is /dev/vg/usr \(/dev/mapper/vg-usr, ext4\)`, boot)
	v.Expect(`fsck.vfat: Reclaimed 1 unused cluster`, boot)
	v.Expect(`/dev/vd.: errors were found and corrected`, boot)
	v.Expect(`mounted LABEL=EFI \(/dev/vd., vfat\) at /sysroot/boot/efi, as the ramdisk's /etc/fstab says`, boot)
	v.Expect(`mounted LABEL=out \(/dev/vd., ext4\) at /only-here`, boot)
	v.Expect(`the ramdisk's /etc/fstab: find LABEL=nowhere: .*the boot goes on without \(nofail\)`, boot)
	v.Expect(`mounted tmpfs at /sysroot/scratch`, boot)
	v.Expect(`checking /dev/vd. \(f2fs\)`, boot)
	v.Expect(`mounted LABEL=flash .* at /sysroot/flash, as the root's /etc/fstab.sys says`, boot)
	v.Expect(`mounted /dev/mapper/vg-var \(\S+, ext4\) at /sysroot/var, as the root's /etc/fstab says`, boot)
	v.Expect(`stay for the shutdown: the root stands on devices`, boot)
	v.Expect(vmtest.Marker+` on /dev/vd. xfs \S*noatime`, boot)
	mounts := v.Expect(`(?s)usr-is-here.*poweroff: the ramdisk takes the root apart`, boot)[0]
	for _, want := range []string{
		"/dev/mapper/vg-usr /usr ext4 ro,noatime", " /boot/efi vfat rw", "tmpfs /scratch tmpfs", " /flash f2fs rw,", "/dev/mapper/vg-var /var ext4 rw,nosuid",
	} {
		if !strings.Contains(mounts, want) {
			t.Errorf("the root's mounts lack %q", want)
		}
	}
	if strings.Contains(mounts, "only-here") {
		t.Error("what is mounted beside the root is still mounted")
	}
	v.Expect(`all that the root stood on is released`, boot)
	v.WaitPowerOff(time.Minute)
	tool(t, "fsck.vfat", "-n", esp)
}

package roots

import (
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestKinds guards in ./test, in one guest, what TestStacks, TestUsr and
// TestResume look at one by one: a btrfs over two disks with a subvolume as the
// root, /usr apart on xfs on a thin volume, a resume device without an image.
func TestKinds(t *testing.T) {
	d := []qemu.Disk{{Path: vmtest.BlankDisk(t, 128*mib)}, {Path: vmtest.BlankDisk(t, 128*mib)}, {Path: vmtest.BlankDisk(t, 400*mib)}}
	vmtest.Prepare(t, []string{"lvm", "mkfs.xfs", "mkfs.btrfs", "btrfs", "thin_check"}, "ls /usr; cat /proc/mounts", `
export DM_DISABLE_UDEV=1
for m in btrfs xfs dm_mod dm_thin_pool; do modprobe $m; done
mkdir /new
lvm vgcreate -q thick /dev/vdc
lvm lvcreate -q -y -L 340M --thinpool pool thick
lvm lvcreate -q -y -V 320M --thin -n usr thick/pool
mkfs.xfs -q -L usr /dev/thick/usr
mount /dev/thick/usr /new
echo >/new/usr-is-here
umount /new
lvm vgchange -q -an
mkfs.btrfs -q -L pool -d raid0 -m raid1 /dev/vda /dev/vdb
btrfs device scan
mount /dev/vda /new
btrfs subvolume create /new/@
cp -a /marker/. /new/@
echo 'LABEL=usr /usr xfs ro 0 2' >/new/@/etc/fstab
umount /new`, d...)
	swap := vmtest.BlankDisk(t, 32*mib)
	tool(t, "mkswap", "-q", "-L", "sleep", swap)
	v := start(t, "root=LABEL=pool rootflags=subvol=@ rd.lvm.lv=thick/usr resume=LABEL=sleep", append(d, qemu.Disk{Path: swap})...)
	v.Expect(vmtest.Marker+` on /dev/vd\w btrfs \S*subvol=/@`, boot)
	v.Expect(`usr-is-here`, time.Minute)
	v.Expect(`/dev/mapper/thick-usr /usr xfs ro`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

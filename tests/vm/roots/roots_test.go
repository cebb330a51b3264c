// Package roots boots local roots in virtual machines: real arrays, volumes,
// encrypted devices and filesystems, made by the distribution's programs in a
// guest, found by a ramdisk that was built as an operator builds it.
package roots

import (
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func TestMain(m *testing.M) { vmtest.Main(m) }

const (
	mib = 1 << 20
	// boot is what a boot may take on a slow, busy host.
	boot = 4 * time.Minute
)

// disks are blank disks.
func disks(t *testing.T, sizes ...int64) []qemu.Disk {
	t.Helper()
	var out []qemu.Disk
	for _, s := range sizes {
		out = append(out, qemu.Disk{Path: vmtest.BlankDisk(t, s)})
	}
	return out
}

// all is a ramdisk that assembles everything.
func all(t *testing.T, words ...string) string {
	t.Helper()
	return vmtest.Ramdisk(t, append([]string{"--add-feature", "mdraid lvm crypt fsck"}, words...)...)
}

// stand says what the root stands on, from its own /sys.
const stand = `
for b in /sys/block/md* /sys/block/dm-*; do
  [ -e $b ] || continue
  echo STACK ${b##*/} $(cat $b/dm/name $b/md/level $b/md/degraded 2>/dev/null) on $(ls $b/slaves)
done
ls -l /dev/mapper /run/udev/data
cat /proc/mounts`

// TestStack: LVM on LUKS on a RAID that lost a member, with the passphrase
// typed on the serial console, wrong at first.
func TestStack(t *testing.T) {
	d := disks(t, 96*mib, 96*mib)
	const uuid = "11111111-2222-4333-8444-555555555555"
	vmtest.Prepare(t, []string{"mdadm", "cryptsetup", "lvm", "mkfs.ext4"}, stand, `
export MDADM_NO_UDEV=1 DM_DISABLE_UDEV=1
for m in raid1 dm_crypt dm_mod xts; do modprobe $m; done
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --homehost=other --name=stack --uuid=aaaaaaaa:bbbbbbbb:cccccccc:dddddddd /dev/vda /dev/vdb
printf secret | cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid `+uuid+` --key-file - /dev/md0
printf secret | cryptsetup open --key-file - /dev/md0 plain
lvm pvcreate /dev/mapper/plain
lvm vgcreate vg-a /dev/mapper/plain
lvm lvcreate -y -l 100%FREE -n the-root vg-a
mkfs.ext4 -q -L "my root" /dev/vg-a/the-root
mkdir /new
mount /dev/vg-a/the-root /new
cp -a /marker/. /new
umount /new
lvm vgchange -an
cryptsetup close plain
mdadm --wait-clean --scan || true
mdadm --stop /dev/md0`, d...)
	v := vmtest.Boot(t, vmtest.Direct(t, all(t),
		`root=/dev/vg-a/the-root rd.md.uuid=aaaaaaaa:bbbbbbbb:cccccccc:dddddddd rd.luks.uuid=luks-`+uuid+` rd.lvm.lv=vg-a/the-root bareroot.degraded=5`, d[1]))
	v.Expect(`md\d+ lacks members; it is started with vda`, boot)
	v.Expect(`Passphrase for /dev/md\d+ \(luks-1111\S+\): `, boot)
	v.Send("guess\n")
	v.Expect(`the passphrase is wrong \(1 of 5\)`, boot)
	v.Expect(`try 2 of 5: `, boot)
	v.Send("secret\n")
	v.Expect(vmtest.Marker+` on /dev/mapper/vg--a-the--root ext4 ro\S* pid 1`, boot)
	v.Expect(`STACK md\d+ raid1 1 on vda`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

package vmtest

import (
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
)

// TestPrepare makes a marker root on a disk inside a guest, and boots it.
func TestPrepare(t *testing.T) {
	AllOnly(t) // the guards of package roots stand on it
	disk := BlankDisk(t, 64<<20)
	Prepare(t, []string{"mkfs.ext4"}, "echo the script ran", `
mkfs.ext4 -q -L made /dev/vda
mkdir /new
mount /dev/vda /new
cp -a /marker/. /new
umount /new`, qemu.Disk{Path: disk})
	v := Boot(t, Direct(t, Ramdisk(t), "quiet root=LABEL=made rw", qemu.Disk{Path: disk}))
	v.Expect(Marker+` on /dev/vda ext4 rw\S* pid 1`, 2*time.Minute)
	v.Expect(`the script ran`, 20*time.Second)
	v.WaitPowerOff(time.Minute)
}

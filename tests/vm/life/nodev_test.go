package life

import (
	"testing"

	"bareroot/tests/vm/vmtest"
)

// TestNoDevtmpfs: on a kernel that does not make device nodes init says so, makes
// those of what is there, and the shell of the boot that fails is one to work in.
func TestNoDevtmpfs(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, "--include", helper(t), "/nodev"), "rdinit=/nodev root=/dev/vda rd.retry=3 rd.shell"))
	v.Expect(`mount devtmpfs on /dev .*no such device; devices that appear from now on have no nodes`, boundBoot)
	v.Expect(`This boot stopped in stage initqueue`, boundBoot)
	v.Expect(prompt, boundStep)
	v.Send("ls -l /dev/null /dev/console /dev/kmsg /dev/ttyS0 /dev/urandom; grep devtmpfs /proc/mounts; echo \"<4>said\" >/dev/kmsg; head -c 4 /dev/urandom | wc -c; echo end-$((40+2))\n")
	v.Expect(`(?s)crw-rw-rw- .* 1, *3 .*/dev/null.*said.*\b4\s+end-42`, boundStep)
	v.Send("poweroff\n")
	v.WaitPowerOff(boundStep)
}

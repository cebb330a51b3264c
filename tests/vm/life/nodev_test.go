package life

import (
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestNoDevtmpfs: on a kernel that does not make device nodes init says so and
// makes them, also of what comes with a driver: a shell is one to work in, and the
// root is found.
func TestNoDevtmpfs(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, "--include", helper(t), "/nodev"), "rdinit=/nodev root=/dev/vda rd.break=pre-pivot", qemu.Disk{Path: vmtest.MarkerRoot(t, 64<<20, "ls -l /dev/vda")}))
	v.Expect(`mount devtmpfs on /dev .*no such device; init makes the nodes in /dev`, boundBoot)
	v.Expect(`a shell before stage pre-pivot;`, boundBoot)
	v.Expect(prompt, boundStep)
	v.Send("ls -l /dev/null /dev/console /dev/kmsg /dev/ttyS0 /dev/urandom; grep devtmpfs /proc/mounts; echo \"<4>said\" >/dev/kmsg; head -c 4 /dev/urandom | wc -c; echo end-$((40+2))\n")
	v.Expect(`(?s)crw-rw-rw- .* 1, *3 .*/dev/null.*said.*\b4\s+end-42`, boundStep)
	v.Send("exit\n")
	v.Expect(`brw------- .* 25[0-9], *0 .*/dev/vda`, boundBoot)
}

package life

import (
	"testing"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestWaysDown: the root gives the machine back to the ramdisk with every word
// that systemd-shutdown has, one boot after the other: kexec starts the kernel
// that the root loaded, reboot the machine, kexec without a kernel reboots it,
// halt stops it and poweroff (of other tests) switches it off.
func TestWaysDown(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	ramdisk := vmtest.Ramdisk(t, hook(t, "shutdown", "10-word.sh", "echo \"down by $1 and $ACTION\"\n")...)
	tree := vmtest.MarkerTree(t, `
n=$(($(cat /count 2>/dev/null)+1))
echo $n >/count
echo "boot $n, $(grep -c BY-KEXEC /proc/cmdline) by kexec"
case $n in
1) /helper kexec /kernel /ramdisk "console=ttyS0,115200 no_timer_check panic=-1 root=/dev/vda rw BY-KEXEC" && w=kexec ;;
2) w=reboot ;;
3) w=kexec ;;
*) w=halt ;;
esac
mount -o bind /run/initramfs /run/initramfs
cd /run/initramfs
pivot_root . oldroot
exec chroot . /shutdown $w
`)
	for from, to := range map[string]string{helper(t): "helper", vmtest.Kernel(t).Image: "kernel", ramdisk: "ramdisk"} {
		if _, err := hosttool.Run(t.Context(), "cp", from, tree+"/"+to); err != nil {
			t.Fatal(err)
		}
	}
	disk := vmtest.BlankDisk(t, 192<<20)
	if _, err := hosttool.Run(t.Context(), "mkfs.ext4", "-q", "-F", "-d", tree, disk); err != nil {
		t.Fatal(err)
	}
	v := vmtest.Boot(t, vmtest.Direct(t, ramdisk, "root=/dev/vda rw", qemu.Disk{Path: disk}))
	for _, step := range []string{`boot 1, 0 by kexec`, `down by kexec and kexec`, `boot 2, 1 by kexec`, `down by reboot and reboot`, `boot 3, 0 by kexec`, `down by kexec and kexec`,
		`kexec: invalid argument`, `boot 4, 0 by kexec`, `down by halt and halt`, `reboot: System halted`} {
		v.Expect(step, boundBoot)
	}
}

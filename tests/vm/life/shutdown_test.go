package life

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// giveBack is what systemd-shutdown does at its end, in a marker root: it
// makes the kept ramdisk the root and runs its /shutdown as PID 1.
const giveBack = `
echo "kept: $(du -sm /run/initramfs | cut -f1) MiB"
sleep 1000 </dev/null >/dev/null 2>&1 &
mount -t tmpfs -o size=1M inner /mnt
mount -o bind /run/initramfs /run/initramfs
cd /run/initramfs
pivot_root . oldroot
exec chroot . /shutdown poweroff
`

// TestShutdown: nothing of the ramdisk runs on in the root, what its fstab names
// is mounted there, and the root gives the machine back to the ramdisk, which
// takes it apart.
func TestShutdown(t *testing.T) {
	t.Parallel()
	words := hook(t, "pre-pivot", "10-daemon", "#!/bin/sh\nsleep 1001 </dev/null >/dev/null 2>&1 &\n(exec -a x true) 2>/dev/null\n")
	words = append(words, hook(t, "pre-shutdown", "10-pre.sh", "echo \"pre-shutdown for $1, root at $OLDROOT\"; ls $OLDROOT/sbin/init\n")...)
	words = append(words, hook(t, "shutdown", "10-late.sh", "n=$((${n:-0}+1)); export n; echo \"shutdown hook, try $n: $*\"; [ -z \"$(grep oldroot /proc/mounts)\" ] && [ $n -ge 3 ]\n")...)
	fstab := filepath.Join(t.TempDir(), "fstab")
	if err := os.WriteFile(fstab, []byte("tmpfs /var tmpfs size=1M 0 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	words = append(words, "--include", fstab, "/etc/fstab")
	disk := vmtest.MarkerRoot(t, 64<<20, "grep var /proc/mounts; ps -o pid,args | grep -v -e '\\[' -e 'ps -o' -e grep\n"+giveBack)
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, words...), "root=/dev/vda rw", qemu.Disk{Path: disk}))
	v.Expect(`mounted tmpfs at /sysroot/var, as the ramdisk's /etc/fstab says`, boundBoot)
	v.Expect(`left over and asked to end: sleep`, boundStep)
	v.Expect(vmtest.Marker+` on /dev/vda`, boundStep)
	v.Expect(`tmpfs /var tmpfs \S*size=1024k`, boundStep)
	v.Expect(`kept: (\d+) MiB`, boundStep)
	v.Expect(`poweroff: the ramdisk takes the root apart`, boundStep)
	v.Expect(`pre-shutdown for poweroff, root at /oldroot`, boundStep)
	v.Expect(`/oldroot/sbin/init`, boundStep)
	v.Expect(`left over and asked to end: sleep`, boundStep)
	v.Expect(`the old root is unmounted`, boundStep)
	v.Expect(`shutdown hook, try 3: poweroff`, boundStep)
	v.Expect(`all that the root stood on is released`, boundStep)
	v.WaitPowerOff(boundStep)
	before, _, _ := strings.Cut(v.Text(), "kept: ")
	_, before, _ = strings.Cut(before, vmtest.Marker)
	if strings.Contains(before, "sleep 1001") {
		t.Errorf("a program of the ramdisk runs on in the root:\n%s", before)
	}
	out, err := hosttool.Run(t.Context(), "dumpe2fs", "-h", disk)
	if err != nil || !strings.Contains(string(out), "Filesystem state:         clean") || strings.Contains(string(out), "needs_recovery") {
		t.Errorf("the root's filesystem is not clean, %v:\n%s", err, out)
	}
}

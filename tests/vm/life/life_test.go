// Package life boots ramdisks through their life cycle: stages, hooks, shells,
// failures, the hand-over to the root and the way back. See docs/hooks.md.
package life

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func TestMain(m *testing.M) {
	vmtest.Main(m, func(ctx context.Context, cacheDir string) error {
		if os.Getenv("BAREROOT_TEST_ALL") == "" {
			return nil
		}
		_, err := distro.Packages(ctx, cacheDir, "amd64", volumePackages...)
		return err
	})
}

const (
	boundBoot = 3 * time.Minute
	boundStep = 60 * time.Second
	prompt    = `bareroot:\S*# `
)

// hook writes a hook and gives the words of "bareroot build" for it.
func hook(t *testing.T, stage, name, text string) []string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"--hook", stage, p}
}

// run types a command into the shell on the console and waits for its end.
func run(t *testing.T, v *vmtest.VM, command string) {
	t.Helper()
	v.Send(command + "; echo end-$((40+2))\n")
	v.Expect(`end-42`, boundStep)
}

// TestStages stops before every stage, runs a hook in every stage, and shows
// what goes from hook to hook and to the root.
func TestStages(t *testing.T) {
	t.Parallel()
	stages := cmdline.Stages[:]
	var words []string
	for _, s := range stages {
		words = append(words, hook(t, s, "10-"+s+".sh", `echo "hook of $BAREROOT_STAGE root=$root fstype=$fstype rflags=$rflags NEWROOT=$NEWROOT seen=$SEEN"
export SEEN="$SEEN $BAREROOT_STAGE"
exit 0
`)...)
	}
	words = append(words, hook(t, "initqueue/settled", "10-settled.sh", "[ -b /dev/vda ] && echo \"settled with a disk\" && touch /tmp/settled\n")...)
	words = append(words, hook(t, "initqueue/finished", "10-finished.sh", "[ -e /tmp/settled ] && [ -e /tmp/go ]\n")...)
	words = append(words, hook(t, "initqueue/timeout", "10-late.sh", "echo \"too late to wait\"; touch /tmp/go\n")...)
	words = append(words, hook(t, "pre-pivot", "20-program", "#!/bin/sh\necho \"program of $BAREROOT_STAGE with$SEEN\"; echo from-a-hook >$NEWROOT/hooked\n")...)
	disk := vmtest.MarkerRoot(t, 64<<20, "cat /hooked /run/initramfs/init.log | grep -v Linux; ps -o pid,args | grep -v '\\['; grep CapBnd /proc/1/status")
	var breaks []string
	for _, s := range stages {
		word := "rd.break=" + s
		if s == "pre-pivot" {
			word = "break=bottom" // initramfs-tools's
		}
		breaks = append(breaks, word)
	}
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, words...), "root=/dev/vda rw rootflags=noatime rd.retry=24 drop_capabilities=CAP_SYS_MODULE rd.break "+strings.Join(breaks, " "), qemu.Disk{Path: disk}))
	for i, s := range stages {
		v.Expect(`a shell before stage `+s+`;`, boundBoot)
		v.Expect(prompt, boundStep)
		v.Send("exit\n")
		seen := ""
		if i > 0 {
			seen = " " + strings.Join(stages[:i], " ")
		}
		v.Expect(fmt.Sprintf(`10-%s.sh: hook of %s root=/dev/vda fstype=auto rflags=noatime,rw NEWROOT=/sysroot seen=%s\r?\n`, s, s, seen), boundStep)
		if s == "initqueue" {
			// Conditions that are not true hold the boot until something makes them so.
			v.Expect(`settled with a disk`, boundStep)
			v.Expect(`two thirds of rd.retry are over`, boundStep)
			v.Expect(`too late to wait`, boundStep)
		}
		if s == "pre-pivot" {
			v.Expect(`20-program: program of pre-pivot with cmdline pre-udev .*pre-pivot`, boundStep)
		}
	}
	v.Expect(`a shell before stage switch-root;`, boundStep)
	v.Expect(prompt, boundStep)
	v.Send("exit\n")
	v.Expect(vmtest.Marker+` on /dev/vda ext4 rw,noatime\S* pid 1`, boundStep)
	v.Expect(`from-a-hook`, boundStep)
	v.Expect(`bareroot: switching to /dev/vda`, boundStep)
	v.Expect(`CapBnd:\s+[0-9a-f]{8}fffeffff`, boundStep) // drop_capabilities=CAP_SYS_MODULE
	v.WaitPowerOff(boundStep)
}

// TestEmergency: a root that is not there. The first screen says so on both
// consoles, the operator names another root in the shell, and the boot goes on
// without a reboot; the report is there for the root.
func TestEmergency(t *testing.T) {
	t.Parallel()
	disk := vmtest.MarkerRoot(t, 64<<20, "cat /run/initramfs/rdsosreport.txt", "mkfs.ext4", "-q", "-F", "-L", "right")
	spec := vmtest.Direct(t, vmtest.Ramdisk(t), "root=LABEL=wrong rd.retry=15 cifspass=geheim console=tty0 console=ttyS0,115200", qemu.Disk{Path: disk})
	v := vmtest.Boot(t, spec)
	v.Expect(`This boot stopped in stage initqueue. What failed:`, boundBoot)
	v.Expect(`LABEL=wrong.* seen: .*LABEL=right`, boundStep)
	v.Expect(`What was done before:`, boundStep)
	v.Expect(`What is missing:\s+the device of root=LABEL=wrong`, boundStep)
	v.Expect(`Try:\s+blkid`, boundStep)
	v.Expect(prompt, boundStep)
	v.Send("blkid\n")
	v.Expect(`/dev/vda.*right`, boundStep)
	v.Expect(prompt, boundStep)
	run(t, v, "echo root=LABEL=right >/run/initramfs/cmdline.d/fix.conf")
	// The screen has it, too, and a shell of its own, which may come later, and
	// whose end goes on as well.
	v.Send("for i in $(seq 60); do grep -q 'bareroot:/# ' /dev/vcs1 && break; sleep 1; done; cat /dev/vcs1; echo; echo screen-$((1+1))\n")
	onScreen := v.Expect(`(?s)cat /dev/vcs1;(.*)screen-2`, 2*boundStep)[1]
	for _, want := range []string{"bareroot: FAILED: stage initqueue", "This boot stopped in stage initqueue", "bareroot:/# "} {
		if !strings.Contains(onScreen, want) {
			t.Errorf("the screen lacks %q:\n%s", want, onScreen)
		}
	}
	v.Send("for p in /proc/[0-9]*; do [ \"$(readlink $p/fd/0)\" = /dev/tty1 ] && kill -9 ${p#/proc/}; done\n")
	v.Expect(`the shell on /dev/tty1 was left; the boot goes on`, boundStep)
	v.Expect(vmtest.Marker+` on /dev/vda ext4`, boundStep)
	v.Expect(`\+ bareroot failure`, boundStep)
	v.Expect(`failed: .*LABEL=wrong`, boundStep)
	v.Expect(`\+ dmesg`, boundStep)
	v.WaitPowerOff(boundStep)
	_, report, _ := strings.Cut(v.Text(), "+ bareroot failure")
	if strings.Contains(report, "geheim") || !strings.Contains(report, "cifspass=***") {
		t.Error("the report shows a password, or not where one was")
	}
}

// TestFailingHooks: a hook that fails stops the boot with its last words, goes on
// without it when it is removed, and a condition that is never true is named.
func TestFailingHooks(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	words := hook(t, "initqueue/finished", "10-never", "#!/bin/sh\necho the moon is not full\nexit 1\n")
	words = append(words, hook(t, "pre-mount", "10-check.sh", "echo \"secret of $SITE_PASSWORD\"; echo \"wrong disk\" >&2; exit 3\n")...)
	words = append(words, hook(t, "mount", "10-mount.sh", "mount -t ext4 /dev/vda $NEWROOT\n")...)
	words = append(words, hook(t, "cmdline", "10-root.sh", "export rootok=1 SITE_PASSWORD=geheim\n")...)
	words = append(words, hook(t, "emergency", "10-note.sh", "echo \"stopped in $1\"\n")...)
	disk := vmtest.MarkerRoot(t, 64<<20, "cat /run/initramfs/rdsosreport.txt")
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, words...), "rd.retry=15", qemu.Disk{Path: disk}))
	v.Expect(`stopped in initqueue`, boundBoot)
	v.Expect(`hook 10-never of stage initqueue/finished: exit code 1; it said: the moon is not full`, boundStep)
	v.Expect(`What is missing:\s+the success of \S+10-never`, boundStep)
	v.Expect(prompt, boundStep)
	v.Send("rm /usr/lib/bareroot/hooks/initqueue/finished.d/10-never; exit\n")
	v.Expect(`hook 10-check.sh of stage pre-mount: exit code 3; it said: secret of geheim / wrong disk`, boundStep)
	v.Expect(`sh -x \S+10-check.sh`, boundStep)
	v.Expect(prompt, boundStep)
	v.Send("rm /usr/lib/bareroot/hooks/pre-mount.d/10-check.sh; exit\n")
	v.Expect(`/sysroot was mounted by a hook`, boundStep)
	v.Expect(vmtest.Marker+` on /dev/vda`, boundStep)
	v.WaitPowerOff(boundStep)
}

// TestOtherRoot: a root that does not mount; another one is named in the shell
// and is the root of the boot.
func TestOtherRoot(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	right := vmtest.MarkerRoot(t, 64<<20, "true")
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t), "root=/dev/disk/by-id/virtio-BLANK rootfstype=ext4 rd.ctty=ttyS0 rd.retry=30", qemu.Disk{Path: vmtest.BlankDisk(t, 32<<20), Serial: "BLANK"}, qemu.Disk{Path: right, Serial: "RIGHT"}))
	v.Expect(`This boot stopped in stage mount`, boundBoot)
	v.Expect(prompt, boundStep)
	v.Send("echo root=/dev/disk/by-id/virtio-RIGHT >/run/initramfs/cmdline.d/fix.conf; exit\n")
	v.Expect(vmtest.Marker+` on /dev/vd\w ext4`, boundStep)
	v.WaitPowerOff(boundStep)
}

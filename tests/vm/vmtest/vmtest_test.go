package vmtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"bareroot/internal/cpio"
	"bareroot/internal/lab/qemu"
)

func TestMain(m *testing.M) { Main(m) }

// bound is what a step may take on a slow, busy host.
const bound = 3 * time.Minute

// TestKernelPanic boots the real kernel without a ramdisk, as far as it gets.
func TestKernelPanic(t *testing.T) {
	k := Kernel(t)
	v := Boot(t, qemu.Spec{Kernel: k.Image, Append: "console=ttyS0 no_timer_check", MemoryMiB: 512})
	if got := v.Expect(`Linux version (\S+) `, bound); got[1] != k.Version {
		t.Errorf("it booted %s, not %s", got[1], k.Version)
	}
	v.Expect(`Kernel panic - not syncing: VFS: Unable to mount root fs`, bound)
	v.PowerCut()
	if v.State().On {
		t.Error("it is on after its power was cut")
	}
}

// TestOnce: a boot override for one boot is gone after the guest's reset.
func TestOnce(t *testing.T) {
	k := Kernel(t)
	v := New(t, qemu.Spec{Kernel: k.Image, Append: "console=ttyS0 no_timer_check quiet panic=-1", MemoryMiB: 512,
		NICs: []qemu.NIC{{}}, Disks: []qemu.Disk{{Size: 1 << 20}}})
	if err := v.SetOverride(t.Context(), qemu.Override{Enabled: "Once", Target: "Pxe"}); err != nil {
		t.Fatal(err)
	}
	v.PowerOn()
	v.Expect(`Kernel panic`, bound)
	v.Expect(`SeaBIOS`, bound)
	if s := v.State(); s.Starts != 2 || !s.On || s.Override.Enabled != "Disabled" {
		t.Errorf("after the reset: %+v; expected a second start without override", s)
	}
	// Set while it runs, it counts from the next reset.
	if err := v.SetOverride(t.Context(), qemu.Override{Enabled: "Continuous", Target: "Pxe"}); err != nil {
		t.Fatal(err)
	}
	v.Expect(`Kernel panic`, bound)
	v.Expect(`SeaBIOS`, bound)
	if s := v.State(); s.Starts != 3 || s.Override.Enabled != "Continuous" {
		t.Errorf("after the second reset: %+v; expected a third start with override", s)
	}
}

// TestShell types to a guest, cuts its power, and switches it on again.
func TestShell(t *testing.T) {
	k := Kernel(t)
	shell := filepath.Join(t.TempDir(), "shell.cpio")
	writeShell(t, shell)
	v := Boot(t, qemu.Spec{Kernel: k.Image, Initrds: []string{shell}, Append: "console=ttyS0 no_timer_check quiet panic=-1", MemoryMiB: 512,
		NICs: []qemu.NIC{{}}, Disks: []qemu.Disk{{Size: 16 << 20}}})
	for range 2 {
		v.Expect(`BusyBox v`, bound)
		v.Expect(`ready # `, bound)
		v.Send("echo got $((6 * 7)) $(ls /sys/bus/pci/devices | wc -l)\n")
		v.Expect(`got 42 \d+\n`, bound)
		v.PowerCut()
		v.PowerOn()
	}
	v.Expect(`BusyBox v`, bound)
	v.Expect(`ready # `, bound)
	v.Send("poweroff -f\n")
	v.WaitPowerOff(bound)
	if n := v.State().Starts; n != 3 {
		t.Errorf("started %d times, expected 3", n)
	}
	if !v.DiskHas(0, 0, make([]byte, 512)) {
		t.Error("the disk is not blank")
	}
}

func writeShell(t *testing.T, path string) {
	t.Helper()
	box, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static, or set %s=REASON", err, envNoVM)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	for _, err := range []error{
		w.Dir("bin", 0o755), w.Dir("dev", 0o755), w.Dir("proc", 0o755), w.Dir("sys", 0o755),
		w.File("bin/busybox", 0o755, box),
		w.File("init", 0o755, []byte("#!/bin/busybox sh\n/bin/busybox --install -s /bin\nmount -t proc p /proc\nmount -t sysfs s /sys\n"+
			"mount -t devtmpfs d /dev\nexec </dev/console >/dev/console 2>&1\nexport PS1='ready # '\nexec setsid cttyhack sh\n")),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

package life

import (
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// watched is a machine with a watchdog whose root never feeds it.
func watched(t *testing.T, words string) *vmtest.VM {
	disk := vmtest.MarkerRoot(t, 64<<20, "echo the root hangs; while :; do sleep 100; done")
	spec := vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "watchdog"), "root=/dev/vda rd.driver.blacklist=iTCO_wdt bareroot.watchdog=8 "+words, qemu.Disk{Path: disk})
	spec.Args = []string{"-device", "i6300esb", "-action", "watchdog=reset"}
	return vmtest.Boot(t, spec)
}

// TestWatchdog: a root that hangs is reset, because the watchdog was handed
// over running.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	v := watched(t, "")
	v.Expect(`watchdog: i6300ESB timer resets the machine when it was not fed for 8 s`, boundBoot)
	v.Expect(`the root hangs`, boundStep)
	v.Expect(`Linux version`, boundStep)
}

// TestWatchdogPanic: a kernel that panicked in the ramdisk is reset; while the
// operator thinks in a shell the machine is not.
func TestWatchdogPanic(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	v := watched(t, "rd.break=pre-mount panic=0")
	v.Expect(`a shell before stage pre-mount`, boundBoot)
	v.Expect(prompt, boundStep)
	run(t, v, "sleep 25")
	v.Send("echo c >/proc/sysrq-trigger\n")
	v.Expect(`Kernel panic`, boundStep)
	v.Expect(`Linux version`, boundStep)
}

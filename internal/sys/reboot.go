package sys

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Actions of Reboot.
const (
	ActReboot   = "reboot"
	ActPowerOff = "poweroff"
	ActHalt     = "halt"
	ActKexec    = "kexec" // into the kernel that was loaded
)

// Reboot writes what is cached, unmounts what it can, and ends the kernel's
// run. A device that no longer answers holds it up for 20 s at most. It
// returns only if the kernel refuses.
func Reboot(action string) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		unix.Sync()
		unmountAll()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
	}
	cmd := unix.LINUX_REBOOT_CMD_RESTART
	switch action {
	case ActPowerOff:
		cmd = unix.LINUX_REBOOT_CMD_POWER_OFF
	case ActHalt:
		cmd = unix.LINUX_REBOOT_CMD_HALT
	case ActKexec:
		cmd = unix.LINUX_REBOOT_CMD_KEXEC
	}
	if err := unix.Reboot(cmd); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

// unmountAll unmounts filesystems on devices, the deepest first; what is busy
// becomes read-only.
func unmountAll() {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	var targets []string
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 2 && (strings.HasPrefix(f[0], "/dev/") || f[2] == "overlay") {
			targets = append(targets, Unescape(f[1]))
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(targets)))
	for _, t := range targets {
		if unix.Unmount(t, 0) != nil {
			_ = unix.Mount("", t, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		}
	}
}

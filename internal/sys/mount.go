// Package sys holds thin wrappers around Linux system calls that more than
// one part of the ramdisk needs: mounts, modules, loop devices, reboot, the
// kernel log; and what more than one part of the project does with files. It
// makes no decisions. See mount(2), init_module(2), loop(4),
// reboot(2), kmsg(4).
package sys

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "rw": 0, "defaults": 0, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC,
	"sync": unix.MS_SYNCHRONOUS, "noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME,
	"strictatime": unix.MS_STRICTATIME, "bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC, "move": unix.MS_MOVE,
	"remount": unix.MS_REMOUNT, "silent": unix.MS_SILENT, "lazytime": unix.MS_LAZYTIME,
}

// Mount mounts source on target, which is made if missing. opts is a comma
// list as for mount(8); what is no flag goes to the filesystem.
func Mount(source, target, fstype, opts string) error {
	var flags uintptr
	var data []string
	for _, o := range strings.Split(opts, ",") {
		if f, ok := mountFlags[o]; ok {
			flags |= f
		} else if o != "" {
			data = append(data, o)
		}
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	if err := unix.Mount(source, target, fstype, flags, strings.Join(data, ",")); err != nil {
		return fmt.Errorf("mount %s on %s (type %q, options %q): %w", source, target, fstype, opts, err)
	}
	return nil
}

// SwapOff stops swapping to a device or file.
func SwapOff(path string) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return fmt.Errorf("stop swapping to %s: %w", path, err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(p)), 0, 0); errno != 0 {
		return fmt.Errorf("stop swapping to %s: %w", path, errno)
	}
	return nil
}

// Unmount detaches target.
func Unmount(target string) error {
	if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	return nil
}

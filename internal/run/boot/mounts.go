package boot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"bareroot/internal/run/device"
	"bareroot/internal/sys"
)

// mountAll mounts the kernel's filesystems. It tries all and reports what
// failed. nodes: the kernel has no devtmpfs, so that the nodes of /dev are ours to make.
func mountAll() (nodes bool, err error) {
	unix.Umask(0o022)
	var errs []error
	for _, m := range []struct{ source, target, fstype, opts string }{
		{"proc", "/proc", "proc", "nosuid,noexec,nodev"},
		{"sysfs", "/sys", "sysfs", "nosuid,noexec,nodev"},
		{"devtmpfs", "/dev", "devtmpfs", "mode=0755,nosuid"},
		{"devpts", "/dev/pts", "devpts", "mode=0620,gid=5,nosuid,noexec,ptmxmode=000"},
		{"tmpfs", "/dev/shm", "tmpfs", "mode=1777,nosuid,nodev"},
		{"tmpfs", "/run", "tmpfs", "mode=0755,nosuid,nodev"},
	} {
		err := sys.Mount(m.source, m.target, m.fstype, m.opts)
		if err == nil || errors.Is(err, unix.EBUSY) {
			continue
		}
		if m.fstype == "devtmpfs" {
			nodes = true
			err = errors.Join(fmt.Errorf("%w; init makes the nodes in /dev", err), sys.Mount("tmpfs", m.target, "tmpfs", "mode=0755,nosuid,noatime"), device.MakeNodes("/sys", m.target))
		}
		errs = append(errs, err)
	}
	for _, d := range []string{"/tmp", "/run/initramfs", dropDir, "/run/bareroot", "/etc", "/root", "/sysroot"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			errs = append(errs, fmt.Errorf("make %s: %w", d, err))
		}
	}
	_ = os.Chmod("/tmp", 0o1777|os.ModeSticky)
	for to, from := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2"} {
		_ = os.Symlink(from, to)
	}
	// Not in the ramdisk from the start: what the kernel asks for before init
	// runs are other makes of algorithms that it has built in, and it would wait for
	// a program to start each time.
	link("/init", "/usr/sbin/modprobe")
	link("/init", "/usr/sbin/unlock") // for the operator
	if _, err := os.Stat("/usr/bin/blkid"); err != nil {
		link("/init", "/usr/sbin/blkid")
	}
	link("../bareroot/boot.log", "/run/initramfs/init.log") // dracut's name
	// Without this the kernel drops lines of a busy writer to its log.
	_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0)
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		// Missing where the module is not in the ramdisk; nothing here depends on it.
		_ = sys.Mount("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", "nosuid,noexec,nodev")
	}
	return nodes, errors.Join(errs...)
}

// openConsole makes /dev/console our standard files. The kernel does so only
// if the ramdisk holds that node; devtmpfs always does.
func openConsole() {
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	for std := range 3 {
		_ = unix.Dup3(fd, std, 0)
	}
	if fd > 2 {
		_ = unix.Close(fd)
	}
}

// link makes a symlink where nothing is.
func link(to, at string) {
	if _, err := os.Lstat(at); err != nil {
		_ = os.Symlink(to, at)
	}
}

package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// moved are the mounts that go along to the root.
var moved = [...]string{"/dev", "/proc", "/sys", "/run"}

// Switch makes Target the root of the machine and runs init there as PID 1.
// It returns only if that failed before the old root was given up, with the
// machine as it was; afterwards an error is final.
func Switch(init string, args, env []string) (err error, final bool) {
	for _, d := range moved {
		if err := os.MkdirAll(filepath.Join(Target, d), 0o755); err != nil {
			return fmt.Errorf("switch to the root: it lacks %s and cannot get it: %w", d, err), false
		}
	}
	var old unix.Stat_t
	if err := unix.Stat("/", &old); err != nil {
		return fmt.Errorf("switch to the root: %w", err), false
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/", &fs); err != nil || (fs.Type != unix.RAMFS_MAGIC && fs.Type != unix.TMPFS_MAGIC) {
		return fmt.Errorf("switch to the root: / is no ramdisk (type %#x, %v); nothing is deleted there", fs.Type, err), false
	}
	for i, d := range moved {
		if err := unix.Mount(d, filepath.Join(Target, d), "", unix.MS_MOVE, ""); err != nil {
			for _, back := range moved[:i] {
				_ = unix.Mount(filepath.Join(Target, back), back, "", unix.MS_MOVE, "")
			}
			return fmt.Errorf("switch to the root: move %s: %w", d, err), false
		}
	}
	if err := unix.Chdir(Target); err != nil {
		return fmt.Errorf("switch to the root: %w", err), true
	}
	root, err := os.Open("/")
	if err != nil {
		return fmt.Errorf("switch to the root: %w", err), true
	}
	// The ramdisk's files are memory that the root can use.
	removeAll(int(root.Fd()), uint64(old.Dev))
	root.Close()
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("switch to the root: move it to /: %w", err), true
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("switch to the root: %w", err), true
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("switch to the root: %w", err), true
	}
	err = syscall.Exec(init, append([]string{init}, args...), env)
	return fmt.Errorf("switch to the root: run %s: %w", init, err), true
}

// removeAll empties the directory fd without leaving the filesystem dev.
func removeAll(fd int, dev uint64) {
	dup, err := unix.Dup(fd)
	if err != nil {
		return
	}
	d := os.NewFile(uintptr(dup), "")
	names, _ := d.Readdirnames(-1)
	d.Close()
	for _, n := range names {
		var st unix.Stat_t
		if unix.Fstatat(fd, n, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || uint64(st.Dev) != dev {
			continue
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			_ = unix.Unlinkat(fd, n, 0)
			continue
		}
		if sub, err := unix.Openat(fd, n, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err == nil {
			removeAll(sub, dev)
			unix.Close(sub)
		}
		_ = unix.Unlinkat(fd, n, unix.AT_REMOVEDIR)
	}
}

package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/sys"
)

// Where the parts of a volatile root are, by systemd's names
// (systemd-volatile-root.service(8)).
const (
	overlayDir  = "/run/systemd/overlay-sysroot"
	volatileDir = "/run/systemd/volatile-sysroot"
)

// volatileMode is what systemd.volatile= asks of the ramdisk: "overlay", "yes"
// or "". "state" is the business of the root's systemd.
func volatileMode(l cmdline.Line) string {
	switch w, ok := l.Last("systemd.volatile"); {
	case !ok:
	case w.Value == "overlay":
		return "overlay"
	case w.Bare, w.Value == "yes", w.Value == "1", w.Value == "on", w.Value == "true":
		return "yes"
	}
	return ""
}

// Volatile makes the mounted root one that forgets, if systemd.volatile= says
// so: memory over it, or memory with its /usr. The device's filesystem is not
// written to.
func Volatile(l cmdline.Line, log *console.Log, module func(string)) error {
	mode := volatileMode(l)
	if mode == "" {
		return nil
	}
	mount := overlay
	if mode == "yes" {
		mount = justUsr
	}
	if err := mount(module); err != nil {
		return fmt.Errorf("systemd.volatile=%s: %w", mode, err)
	}
	log.Infof("the root is volatile (systemd.volatile=%s)", mode)
	return nil
}

// overlay puts memory over Target, and over a /usr of its own, which what lies
// over Target would hide.
func overlay(module func(string)) error {
	module("overlay")
	if err := sys.Mount("tmpfs", overlayDir, "tmpfs", "strictatime,mode=0755"); err != nil {
		return err
	}
	lower, at := filepath.Join(overlayDir, "usr"), filepath.Join(Target, "usr")
	apart, err := mountpoint(at)
	if err != nil {
		return err
	}
	if apart {
		if err := sys.Mount(at, lower, "", "move"); err != nil {
			return err
		}
	}
	if err := over(Target, Target, "root"); err != nil || !apart {
		return err
	}
	return over(lower, at, "usr")
}

// over mounts lower with memory over it.
func over(lower, at, name string) error {
	var dirs [2]string
	for i, d := range []string{"-upper", "-work"} {
		dirs[i] = filepath.Join(overlayDir, name+d)
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			return err
		}
	}
	return sys.Mount("overlay-"+name, at, "overlay", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, dirs[0], dirs[1]))
}

// mountpoint says whether something is mounted at path.
func mountpoint(path string) (bool, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(sys.ParseMountinfo(string(text)), func(m sys.MountPoint) bool { return m.Target == path }), nil
}

// justUsr makes Target memory that holds nothing but the root's /usr,
// read-only, and the links into it.
func justUsr(func(string)) error {
	usr := resolveIn(Target, "/usr")
	if _, err := os.Stat(usr); err != nil {
		return fmt.Errorf("the root has no /usr: %w", err)
	}
	if err := sys.Mount("tmpfs", volatileDir, "tmpfs", "strictatime,mode=0755"); err != nil {
		return err
	}
	to := filepath.Join(volatileDir, "usr")
	if err := sys.Mount(usr, to, "", "rbind"); err != nil {
		return err
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", to, err)
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if link, err := os.Readlink(filepath.Join(Target, d)); err == nil {
			if err := os.Symlink(link, filepath.Join(volatileDir, d)); err != nil {
				return err
			}
		}
	}
	if err := sys.Unmount(Target); err != nil {
		return err
	}
	if err := sys.Mount(volatileDir, Target, "", "move"); err != nil {
		return err
	}
	return os.Remove(volatileDir)
}

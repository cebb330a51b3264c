package rootfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bareroot/internal/sys"
)

// optionalLimit is how long a device is waited for that the boot can do
// without (nofail).
const optionalLimit = 10 * time.Second

// line is what an fstab wants mounted, and where.
type line struct {
	Mountpoint
	fstab  string // the file that has it
	source string // of a bind mount
	target string // as the ramdisk sees it
}

// MountFstabs mounts what fstabs name for the ramdisk to mount, beside the root
// and /usr: every line of the ramdisk's own /etc/fstab (dracut --mount and
// --add-fstab) and of /etc/fstab.sys, the root's before the ramdisk's, and the
// lines of the root's /etc/fstab with systemd's x-initrd.mount. As in dracut a
// place is one in the root if the root has that folder, else one in the
// ramdisk; those are given back, because the root never sees them. What is
// mounted already is left as it is.
func MountFstabs(ctx context.Context, e *Env) (outside []string, err error) {
	for _, l := range fstabLines(e) {
		if l.target == "" {
			l.target = resolveIn(Target, l.Target)
			if !folder(l.target) || strings.HasPrefix(l.Target+"/", Target+"/") {
				l.target = l.Target
			}
		}
		l.target = filepath.Clean(l.target) // the root's own line is about what is mounted
		info, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return outside, fmt.Errorf("mount what %s names: %w", l.fstab, err)
		}
		if slices.ContainsFunc(sys.ParseMountinfo(string(info)), func(m sys.MountPoint) bool { return m.Target == l.target }) {
			e.Log.Debugf("%s: %s is mounted already", l.fstab, l.target)
			continue
		}
		done, err := l.mount(ctx, e)
		switch {
		case err == nil:
		case hasOption(l.Options, "nofail") && ctx.Err() == nil:
			e.Log.Warnf("%s: %v; the boot goes on without (nofail)", l.fstab, err)
		default:
			return outside, fmt.Errorf("%s of %s: %w", l.Target, l.fstab, err)
		}
		if done && l.target != Target && !strings.HasPrefix(l.target, Target+"/") {
			outside = append(outside, l.target)
		}
	}
	return outside, nil
}

func fstabLines(e *Env) []line {
	var out []line
	read := func(path, title string) (exists bool) {
		text, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		for _, m := range ParseFstab(string(text)) {
			out = append(out, line{Mountpoint: m, fstab: title, source: m.Source})
		}
		return true
	}
	read("/etc/fstab", "the ramdisk's /etc/fstab")
	if !read(resolveIn(Target, "/etc/fstab.sys"), "the root's /etc/fstab.sys") {
		read("/etc/fstab.sys", "the ramdisk's /etc/fstab.sys")
	}
	// The root's own places are in the root.
	if text, err := os.ReadFile(resolveIn(Target, "/etc/fstab")); err == nil && e.Line.Bool(true, "rd.fstab") {
		for _, m := range ParseFstab(string(text)) {
			if hasOption(m.Options, "x-initrd.mount") && m.Target != "/" {
				out = append(out, line{m, "the root's /etc/fstab", resolveIn(Target, m.Source), resolveIn(Target, m.Target)})
			}
		}
	}
	return slices.DeleteFunc(out, func(l line) bool {
		return l.FS == "swap" || !filepath.IsAbs(l.Target) || hasOption(l.Options, "noauto")
	})
}

// mount mounts one line. Not done without an error is what cannot be mounted
// here at all.
func (l line) mount(ctx context.Context, e *Env) (done bool, err error) {
	opts, ro := kernelOptions(l.Options)
	mode := "rw"
	if ro {
		mode = "ro"
	}
	opts = append([]string{mode}, opts...)
	bind := hasOption(l.Options, "bind") || hasOption(l.Options, "rbind")
	switch {
	case bind:
		err = sys.Mount(l.source, l.target, "", strings.Join(opts, ","))
	case strings.HasPrefix(l.Source, "/dev/") || strings.Contains(l.Source, "=") && !strings.HasPrefix(l.Source, "/"):
		return true, l.device(ctx, e, opts)
	case memory(e, l.FS):
		err = sys.Mount(l.Source, l.target, l.FS, strings.Join(opts, ","))
	default:
		e.Log.Warnf("%s has %s on %s (%s), which is not mounted here", l.fstab, l.Target, l.Source, l.FS)
		return false, nil
	}
	if err == nil {
		e.Log.Infof("mounted %s at %s, as %s says", l.Source, l.target, l.fstab)
	}
	return err == nil, err
}

// device mounts what is on a block device.
func (l line) device(ctx context.Context, e *Env, opts []string) error {
	limit := e.Limit
	if hasOption(l.Options, "nofail") {
		limit = min(limit, optionalLimit)
	}
	dev, b, err := e.Devices.Wait(ctx, l.Source, limit)
	if err != nil {
		return fmt.Errorf("find %s: %w", l.Source, err)
	}
	dev = mapperName(dev)
	fs := l.FS
	if fs == "auto" {
		fs = b.FS
	}
	if l.Pass != "0" && !hasOption(l.Options, "_netdev") {
		if err := check(ctx, e, fs, dev, false); err != nil {
			return err
		}
	}
	if err := mountType(e, dev, l.target, fs, opts); err != nil {
		return err
	}
	e.Log.Infof("mounted %s (%s, %s) at %s, as %s says", l.Source, dev, fs, l.target, l.fstab)
	return nil
}

// memory says whether the kernel has a filesystem that needs neither a device
// nor a network.
func memory(e *Env, fs string) bool {
	if !slices.Contains([]string{"tmpfs", "ramfs", "overlay", "proc", "sysfs", "debugfs", "tracefs", "configfs", "efivarfs"}, fs) {
		return false
	}
	e.Module(fs)
	return true
}

// hasOption says whether a comma list of mount options has one.
func hasOption(opts, name string) bool {
	return slices.Contains(strings.Split(opts, ","), name)
}

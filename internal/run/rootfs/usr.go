package rootfs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"bareroot/internal/sys"
)

// usr mounts /usr below the mounted root if that has it on a filesystem of its
// own: the root's init may be there. mount.usr= and its companions are
// systemd's words; without mount.usr= and a line in the fstab, the companions
// are about a part of the root's own device, such as a subvolume.
func usr(ctx context.Context, e *Env, fstab []Mountpoint, readOnly bool) (mounted bool, err error) {
	m, ok := findMount(fstab, "/usr")
	if v, given := e.Line.Get("mount.usr"); given && v != "" {
		m, ok = Mountpoint{Source: v, Target: "/usr", FS: "auto", Pass: "2"}, true
	}
	fs, fsGiven := e.Line.Get("mount.usrfstype")
	flags, flagsGiven := e.Line.Get("mount.usrflags")
	if v, given := e.Line.Get("root"); given && !ok && (fsGiven || flagsGiven) {
		m, ok = Mountpoint{Source: strings.TrimPrefix(v, "block:"), Target: "/usr", FS: "auto", Pass: "0"}, true
	}
	if fsGiven {
		m.FS = fs
	}
	if flagsGiven {
		m.Options = flags
	}
	if !ok || m.FS == "none" || strings.Contains(","+m.Options+",", ",bind,") {
		return false, nil
	}
	if !strings.HasPrefix(m.Source, "/dev/") && !strings.Contains(m.Source, "=") {
		e.Log.Warnf("/usr of the root is on %s (%s), which is not mounted here", m.Source, m.FS)
		return false, nil
	}
	dev, b, err := e.Devices.Wait(ctx, m.Source, e.Limit)
	if err != nil {
		return false, fmt.Errorf("find /usr, which the root's fstab or mount.usr= has on %s: %w", m.Source, err)
	}
	dev = mapperName(dev)
	if fs = m.FS; fs == "auto" || fs == "" {
		fs = b.FS
	}
	if m.Pass != "0" {
		if err := check(ctx, e, fs, dev, false); err != nil {
			return false, err
		}
	}
	opts, ro := kernelOptions(m.Options)
	mode := "rw"
	if ro || readOnly || e.Line.Bool(false, "rd.usrmount.ro") {
		mode = "ro"
	}
	target := resolveIn(Target, "/usr")
	if err := mountType(e, dev, target, fs, append([]string{mode}, opts...)); err != nil {
		return false, fmt.Errorf("mount /usr of the root: %w", err)
	}
	e.Log.Infof("/usr of the root is %s (%s, %s)", m.Source, dev, fs)
	return true, nil
}

func findMount(fstab []Mountpoint, target string) (Mountpoint, bool) {
	for _, m := range fstab {
		if m.Target == target {
			return m, true
		}
	}
	return Mountpoint{}, false
}

// mountType mounts with one of a comma list of types; "" tries all that the
// kernel knows.
func mountType(e *Env, dev, target, types string, opts []string) error {
	list := strings.Split(types, ",")
	if types == "" {
		b, _ := os.ReadFile("/proc/filesystems")
		list = nil
		for _, line := range strings.Split(string(b), "\n") {
			if f := strings.Fields(line); len(f) == 1 {
				list = append(list, f[0])
			}
		}
		if len(list) == 0 {
			return fmt.Errorf("mount %s: nothing is known of its filesystem", dev)
		}
	}
	var err error
	for _, t := range list {
		e.Module(t)
		if err = sys.Mount(dev, target, t, strings.Join(opts, ",")); err == nil {
			return nil
		}
	}
	return err
}

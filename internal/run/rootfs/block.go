package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/assemble"
	"bareroot/internal/run/device"
	"bareroot/internal/sys"
)

// block is a root on a local block device, whatever that is made of.
type block struct {
	spec   cmdline.Root
	fstype string // rootfstype=
	flags  string // rootflags=
	ro     bool
	fstab  bool // the root's own line for / is looked at

	dev    string
	fs     string
	found  device.Block
	mounts []string
}

func newBlock(spec cmdline.Root, l cmdline.Line) (Root, error) {
	b := &block{spec: spec, ro: true, fstab: l.Bool(true, "rd.fstab")}
	if b.fstype, _ = l.Get("rootfstype"); b.fstype == "auto" {
		b.fstype = ""
	}
	b.flags, _ = l.Get("rootflags")
	if w, ok := l.Last("ro", "rw"); ok {
		b.ro = w.Key == "ro"
	}
	return b, nil
}

func (b *block) Describe() string { return b.spec.String() }
func (b *block) Network() bool    { return false }

func (b *block) Prepare(ctx context.Context, e *Env) error {
	limit := e.Limit
	fallback, given := cmdline.Fallback(e.Line)
	if given {
		limit = limit * 2 / 3
	}
	dev, found, err := e.Devices.Wait(ctx, b.spec.Device, limit)
	if err != nil && given && ctx.Err() == nil {
		e.Log.Warnf("find root %s: %v; rootfallback=%s is tried", b.spec, err, fallback)
		dev, found, err = e.Devices.Wait(ctx, fallback, e.Limit-limit)
	}
	if err != nil {
		return fmt.Errorf("find root %s: %w", b.spec, err)
	}
	b.dev, b.found = mapperName(dev), found
	if b.fs = b.fstype; b.fs == "" {
		b.fs = found.FS
	}
	what := b.fs
	if what == "" {
		what = "no filesystem that is known here"
	}
	e.Log.Infof("root %s is %s (%s)", b.spec, dev, what)
	return nil
}

// mapperName is the name of a mapped device that people know; mount(8) uses it
// too, so that it is what /proc/mounts shows.
func mapperName(dev string) string {
	if title := sys.Line(filepath.Join("/sys/class/block", filepath.Base(dev), "dm/name")); title != "" {
		p := filepath.Join("/dev/mapper", title)
		if real, err := filepath.EvalSymlinks(p); err == nil && real == dev {
			return p
		}
	}
	return dev
}

func (b *block) mount(e *Env, source, target, fs string, opts []string) error {
	if err := mountType(e, source, target, fs, opts); err != nil {
		return err
	}
	b.mounts = append(b.mounts, target)
	return nil
}

// unreplayed are the options that mount a filesystem without its journal.
var unreplayed = map[string]string{"ext3": "noload", "ext4": "noload", "xfs": "norecovery", "btrfs": "rescue=nologreplay", "f2fs": "norecovery"}

func (b *block) mode() string {
	if b.ro {
		return "ro"
	}
	return "rw"
}

func (b *block) Mount(ctx context.Context, e *Env) error {
	if err := check(ctx, e, b.fs, b.dev, false); err != nil {
		return err
	}
	opts := []string{b.mode()}
	if b.flags != "" {
		opts = append(opts, b.flags)
	}
	journal, err := b.journal(ctx, e)
	if err != nil {
		return err
	}
	opts = append(opts, journal...)
	err = b.mount(e, b.dev, Target, b.fs, opts)
	if !b.ro && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS)) {
		e.Log.Warnf("%s cannot be written; it is mounted read-only", b.dev)
		b.ro = true
		opts[0] = "ro"
		err = b.mount(e, b.dev, Target, b.fs, opts)
	}
	if word := unreplayed[b.fs]; word != "" && b.ro && errors.Is(err, unix.EROFS) && writeProtected(b.dev) {
		e.Log.Warnf("%s is write-protected and its journal is not empty; it is mounted as it is (%s), so what was written last may be missing", b.dev, word)
		journal, opts = append(journal, word), append(opts, word)
		err = b.mount(e, b.dev, Target, b.fs, opts)
	}
	if errors.Is(err, unix.EUCLEAN) {
		// It seemed to be clean.
		e.Log.Warnf("%v", err)
		if cerr := check(ctx, e, b.fs, b.dev, true); cerr != nil {
			return cerr
		}
		err = b.mount(e, b.dev, Target, b.fs, opts)
	}
	if err != nil {
		return b.explain(err)
	}
	text, _ := os.ReadFile(resolveIn(Target, "/etc/fstab")) // a root without one says nothing
	fstab := ParseFstab(string(text))
	if own, ok := findMount(fstab, "/"); ok && b.fstab && b.flags == "" {
		if err := b.again(e, own, journal); err != nil {
			return b.explain(err)
		}
	}
	mounted, err := usr(ctx, e, fstab, b.ro)
	if mounted {
		b.mounts = append(b.mounts, filepath.Join(Target, "usr"))
	}
	return err
}

// journal is the mount option for root.journaldev=.
func (b *block) journal(ctx context.Context, e *Env) ([]string, error) {
	form, given := e.Line.Get("root.journaldev")
	key := map[string]string{"xfs": "logdev", "ext3": "journal_path", "ext4": "journal_path", "reiserfs": "jdev"}[b.fs]
	if !given || form == "" || key == "" {
		return nil, nil
	}
	dev, _, err := e.Devices.Wait(ctx, form, e.Limit)
	if err != nil {
		return nil, fmt.Errorf("find the root's journal (root.journaldev=%s): %w", form, err)
	}
	return []string{key + "=" + dev}, nil
}

// again mounts the root with the options of its own fstab.
func (b *block) again(e *Env, own Mountpoint, journal []string) error {
	opts, _ := kernelOptions(own.Options)
	if len(opts) == 0 {
		return nil
	}
	if err := sys.Unmount(Target); err != nil {
		e.Log.Warnf("%v", err)
		return nil
	}
	b.mounts = nil
	always := append([]string{b.mode()}, journal...)
	err := b.mount(e, b.dev, Target, b.fs, append(always[:len(always):len(always)], opts...))
	if err == nil {
		e.Log.Debugf("the root's fstab gives the options %s", strings.Join(opts, ","))
		return nil
	}
	e.Log.Warnf("with the options of its own fstab (%s): %v; mounted without", strings.Join(opts, ","), err)
	return b.mount(e, b.dev, Target, b.fs, always)
}

// explain adds what a person would look for after a failed mount.
func (b *block) explain(err error) error {
	hint := ""
	switch {
	case b.fs == "crypto_LUKS":
		hint = "it is encrypted; give rd.luks.uuid=" + b.found.UUID + " and the root on it"
	case b.fs == "LVM2_member":
		hint = "it is a physical volume of LVM; the root is on a volume of it"
	case b.found.On.RAID():
		hint = "it is a member of an array; the root is on the array"
	case b.fs == "swap" || b.fs == "swsuspend":
		hint = "it is swap space"
	case b.fstype == "" && b.fs == "":
		hint = "no filesystem that is known here was found on it; rootfstype= names one"
	case errors.Is(err, unix.ENODEV):
		hint = "this kernel and ramdisk have no " + b.fs
	case b.fs == "btrfs" && b.found.On.Count > 1:
		hint = fmt.Sprintf("it is device %d of %d; rootflags=degraded mounts it when one is lost", b.found.On.Dev, b.found.On.Count)
	case errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EBADMSG):
		hint = "the filesystem is damaged; check it in the shell"
	}
	if hint == "" {
		return fmt.Errorf("mount root: %w", err)
	}
	return fmt.Errorf("mount root: %w; %s", err, hint)
}

func (b *block) HandOver(context.Context, *Env) error { return nil }

func (b *block) Stop() {
	for _, m := range slices.Backward(b.mounts) {
		_ = sys.Unmount(m)
	}
	b.mounts = nil
}

// NeedsShutdown says whether the mounted root stands on devices that can only
// be stopped after it was unmounted, and so from outside of it.
func NeedsShutdown(root string) bool {
	var st unix.Stat_t
	if unix.Stat(root, &st) != nil {
		return false
	}
	dev := st.Dev
	if unix.Major(dev) == 0 { // btrfs has numbers of its own
		b, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			return false
		}
		var src unix.Stat_t
		for _, line := range strings.Split(string(b), "\n") {
			if f := strings.Fields(line); len(f) > 2 && f[1] == root && unix.Stat(f[0], &src) == nil && src.Mode&unix.S_IFMT == unix.S_IFBLK {
				dev = src.Rdev
			}
		}
	}
	return assemble.NeedsStop(fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev)))
}

package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
)

// Where the ramdisk waits for the shutdown, and the mark by which hooks ask
// for it. Both are dracut's.
const (
	keepDir  = "/run/initramfs"
	keepMark = keepDir + "/.need_shutdown"
)

// notKept is what a shutdown does not need: it runs on the kernel and with the
// modules that are there.
var notKept = []string{"usr/lib/modules", "usr/lib/firmware", rdconf.AgentPath[1:], rdconf.AgentPacked[1:], "sysroot", "tmp", "root", "etc/bareroot/config.json", "usr/lib/bareroot/xattrs.json"}

// keepForShutdown copies the ramdisk to where the root's init finds it when the
// root is gone, if that is needed.
func (b *Boot) keepForShutdown() error {
	why, whole := "", true
	_, marked := os.Stat(keepMark)
	switch {
	case b.hooks.Any("pre-shutdown", "shutdown"):
		why = "it has hooks for the shutdown"
	case marked == nil:
		why = "a hook asks for it (" + keepMark + ")"
	case rootfs.NeedsShutdown(rootfs.Target) || rootfs.NeedsShutdown(filepath.Join(rootfs.Target, "usr")):
		// Devices are stopped by init itself, except arrays whose metadata a program
		// keeps.
		why, whole = "the root stands on devices that can only be stopped without it", externalArrays("/sys")
	case networkMount() != "":
		why, whole = "the root hangs on the network", false
	}
	if why == "" {
		b.log.Debugf("the root needs no ramdisk to shut down")
		return nil
	}
	n, err := copyRamdisk("/", keepDir, func(rel string) bool {
		return !slices.Contains(notKept, rel) && (whole || slices.Contains(smallest, filepath.Base(rel)))
	})
	if err == nil {
		_ = os.Remove(filepath.Join(keepDir, "shutdown"))
		err = os.Symlink("init", filepath.Join(keepDir, "shutdown"))
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(keepDir, "oldroot"), 0o755)
	}
	if err != nil {
		return fmt.Errorf("keep the ramdisk for the shutdown: %w", err)
	}
	b.log.Infof("%d MiB of the ramdisk stay for the shutdown: %s", (n+1<<19)>>20, why)
	return nil
}

// smallest are the programs of a ramdisk that only unmounts and stops devices:
// init, and a shell for rd.break.
var smallest = []string{"init", "busybox"}

// externalArrays says whether there are arrays whose metadata mdmon keeps.
func externalArrays(sysfs string) bool {
	files, _ := filepath.Glob(filepath.Join(sysfs, "block/md*/md/metadata_version"))
	return slices.ContainsFunc(files, func(p string) bool { return strings.HasPrefix(sys.Line(p), "external:") })
}

// copyRamdisk copies what is on one filesystem: folders, links, and the files
// that are wanted by their path below from. Folders
// of notKept are left out. It gives the bytes of files; after a failure none
// are left.
func copyRamdisk(from, to string, wanted func(rel string) bool) (int64, error) {
	var root unix.Stat_t
	if err := unix.Stat(from, &root); err != nil {
		return 0, fmt.Errorf("copy %s: %w", from, err)
	}
	var total int64
	var made []string
	links := map[uint64]string{}
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return nil // gone meanwhile
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			if slices.Contains(notKept, rel) {
				return fs.SkipDir
			}
			if err := os.MkdirAll(dst, os.FileMode(st.Mode&0o7777)); err != nil {
				return err
			}
			if st.Dev != root.Dev { // a mount: the place for it
				return fs.SkipDir
			}
			return nil
		}
		if st.Mode&unix.S_IFMT == unix.S_IFREG && !wanted(rel) {
			return nil
		}
		_ = os.Remove(dst)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(target, dst)
		case unix.S_IFREG:
			if st.Nlink > 1 {
				if first, ok := links[st.Ino]; ok {
					return os.Link(first, dst)
				}
				links[st.Ino] = dst
			}
			n, err := sys.CopyFile(p, dst, os.FileMode(st.Mode&0o7777))
			total += n
			if err == nil {
				made = append(made, dst)
			}
			return err
		}
		return nil // device nodes are devtmpfs's business
	})
	if err != nil {
		for _, p := range made { // memory that the root lacks
			_ = os.Remove(p)
		}
	}
	return total, err
}

// mountsBelow lists the mount points below dir in /proc/self/mountinfo's text,
// the newest first.
func mountsBelow(mountinfo, dir string) []string {
	var out []string
	for _, m := range sys.ParseMountinfo(mountinfo) {
		if m.Target == dir || strings.HasPrefix(m.Target, strings.TrimRight(dir, "/")+"/") {
			out = append(out, m.Target)
		}
	}
	slices.Reverse(out)
	return out
}

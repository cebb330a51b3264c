package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bareroot/internal/sys"
	"golang.org/x/sys/unix"
)

// ownNodes makes /dev when the kernel does not: nodes for all devices that are
// there now, so that there are a console, a log and a shell in which a person
// can work. Devices whose drivers are loaded later get none.
func ownNodes(sysfs, dev string) error {
	errs := []error{sys.Mount("tmpfs", dev, "tmpfs", "mode=0755,nosuid,noatime")}
	for kind, mode := range map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK} {
		entries, err := os.ReadDir(filepath.Join(sysfs, "dev", kind))
		if err != nil {
			errs = append(errs, fmt.Errorf("make device nodes: %w", err))
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(sysfs, "dev", kind, e.Name(), "uevent"))
			if err != nil {
				continue // it went
			}
			name, perm, number, ok := nodeOf(string(text))
			if !ok {
				continue
			}
			p := filepath.Join(dev, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), unix.Mknod(p, mode|perm, int(number))); err != nil && !errors.Is(err, fs.ErrExist) {
				errs = append(errs, fmt.Errorf("make device node %s: %w", p, err))
			}
			_ = os.Chmod(p, os.FileMode(perm)) // the umask took some
		}
	}
	return errors.Join(errs...)
}

// nodeOf reads the text of a device's uevent file: name below /dev, permissions
// and number. Not all devices have a node.
func nodeOf(uevent string) (name string, perm uint32, number uint64, ok bool) {
	perm = 0o600
	var major, minor uint64
	var err [3]error
	for line := range strings.Lines(uevent) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch k {
		case "DEVNAME":
			name = v
		case "MAJOR":
			major, err[0] = strconv.ParseUint(v, 10, 12)
		case "MINOR":
			minor, err[1] = strconv.ParseUint(v, 10, 20)
		case "DEVMODE":
			var p uint64
			p, err[2] = strconv.ParseUint(v, 0, 12)
			perm = uint32(p)
		}
	}
	if errors.Join(err[:]...) != nil || name == "" || !filepath.IsLocal(name) {
		return "", 0, 0, false
	}
	return name, perm, unix.Mkdev(uint32(major), uint32(minor)), true
}

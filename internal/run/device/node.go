package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MakeNodes makes nodes below dev for all devices that sysfs has, as the kernel
// does where it has devtmpfs.
func MakeNodes(sysfs, dev string) error {
	var errs []error
	for kind, mode := range map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK} {
		entries, err := os.ReadDir(filepath.Join(sysfs, "dev", kind))
		if err != nil {
			errs = append(errs, fmt.Errorf("make device nodes: %w", err))
		}
		for _, e := range entries {
			if err := makeNode(filepath.Join(sysfs, "dev", kind, e.Name()), dev, mode); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// node makes or removes the node of a device that comes or goes.
func (m *Manager) node(u Uevent) {
	mode := uint32(unix.S_IFCHR)
	if u.Subsystem == "block" {
		mode = unix.S_IFBLK
	}
	switch {
	case u.DevName == "" || !filepath.IsLocal(u.DevName):
	case u.Action == "add":
		if err := makeNode(filepath.Join(m.sys, u.DevPath), m.dev, mode); err != nil {
			m.Log.Warnf("%v", err)
		}
	case u.Action == "remove":
		_ = os.Remove(filepath.Join(m.dev, u.DevName))
	}
}

// makeNode makes the node of the device with that folder in sysfs, if it shall
// have one and has none.
func makeNode(dir, dev string, mode uint32) error {
	text, err := os.ReadFile(filepath.Join(dir, "uevent"))
	if err != nil {
		return nil // it went
	}
	name, perm, number, ok := nodeOf(string(text))
	if !ok {
		return nil
	}
	p := filepath.Join(dev, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return fmt.Errorf("make device node %s: %w", p, err)
	}
	err = unix.Mknod(p, mode|perm, int(number))
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err == nil:
		err = os.Chmod(p, os.FileMode(perm)) // the umask took some
	}
	if err != nil {
		return fmt.Errorf("make device node %s: %w", p, err)
	}
	return nil
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

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/cpio"
)

// secret is a key that is in the ramdisk.
type secret struct{ path, device string }

// hostFile is a file of the machine's root, at its place in the ramdisk.
func (o *Options) hostFile(name, why string) (item, error) {
	real, err := within(o.HostRoot, name)
	if err != nil {
		return item{}, inputError{fmt.Errorf("%s: %w", why, err)}
	}
	f, err := os.OpenFile(real, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return item{}, inputError{fmt.Errorf("%s: %w", why, err)}
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return item{}, inputError{fmt.Errorf("%s: %w", why, err)}
	}
	if !fi.Mode().IsRegular() {
		return item{}, inputError{fmt.Errorf("%s: %s is no regular file", why, real)}
	}
	return item{Path: ramdiskPath(name), Mode: cpio.TypeRegular | 0o400, From: real, Size: fi.Size(), Why: why}, nil
}

// crypttab adds what the lines of the machine's crypttab need besides keys: the
// programs that give some, and headers that are not on their devices.
func (f *files) crypttab() error {
	for _, c := range f.r.crypttab {
		if s := c.Script(); s != "" {
			found, err := f.program(s, "key script of "+c.Name+" in crypttab")
			if err == nil && !found {
				f.r.notices = append(f.r.notices, fmt.Sprintf("the key script %s of %s in crypttab is not below %s: the ramdisk asks for the passphrase", s, c.Name, f.o.Sysroot))
			}
			if err := f.r.without(f.o, err); err != nil {
				return err
			}
		}
		if h := c.Header(); h != "" {
			it, err := f.o.hostFile(h, "LUKS header of "+c.Name+" in crypttab")
			if err == nil {
				f.put(it)
			}
			if err := f.r.without(f.o, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// crypttabItems are the machine's crypttab, as far as the boot needs it, and the
// keys that it wants in the ramdisk. A crypttab or key of the operator's stays.
func (r *recipe) crypttabItems(o *Options) ([]item, error) {
	own := func(p string) bool {
		return slices.ContainsFunc(r.tools, func(it item) bool { return it.Path == p && it.regular() })
	}
	if len(r.crypttab) == 0 || own("etc/crypttab") {
		return nil, nil
	}
	var text strings.Builder
	var items []item
	for _, c := range r.crypttab {
		fmt.Fprintln(&text, c.Line())
		key, named := c.Key()
		if key == "" || own(ramdiskPath(key)) {
			continue
		}
		it, err := o.hostFile(key, "key of "+c.Name+" in crypttab")
		switch {
		case errors.Is(err, fs.ErrNotExist) && named:
			r.notices = append(r.notices, fmt.Sprintf("the key file %s of %s in crypttab is not there: the ramdisk asks for the passphrase", key, c.Name))
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			if err := r.without(o, err); err != nil {
				return nil, err
			}
		default:
			items = append(items, it)
			r.secrets = append(r.secrets, secret{key, c.Name})
		}
	}
	return append(items, file("etc/crypttab", 0o600, text.String(), "lines of this machine's crypttab that its root needs")), nil
}

// exposed are notices for keys in an output that others can read.
func (r *recipe) exposed(out output) (notices []string) {
	if who := out.readers(); who != "" {
		for _, s := range r.secrets {
			notices = append(notices, fmt.Sprintf("%s holds %s, the key of %s, and %s can read it", out.name(), s.path, s.device, who))
		}
	}
	return notices
}

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"bareroot/internal/build/feature"
	"bareroot/internal/cpio"
	"bareroot/internal/fips"
)

func wantsFIPS(f feature.Info) bool { return f.FIPS }

// hmac takes the .hmac files of a program or library, or of a link to one,
// along and checks them: a file that was changed since its package was made
// fails its own test in FIPS mode.
func (f *files) hmac(from string) error {
	if !f.r.has(wantsFIPS) {
		return nil
	}
	base := path.Base(from)
	tries := []string{fips.Beside(from)}
	for _, d := range []string{"usr/lib64/hmaccalc", "usr/lib/hmaccalc", "usr/lib64/fipscheck", "usr/lib/fipscheck"} {
		tries = append(tries, path.Join(d, base+".hmac"))
	}
	for _, p := range tries {
		real, err := within(f.o.Sysroot, p)
		if err != nil {
			continue
		}
		fi, err := os.Stat(real)
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		target, err := within(f.o.Sysroot, from)
		if err != nil {
			return inputError{fmt.Errorf("check %s: %w", from, err)}
		}
		values, err := fips.Read(real)
		if err == nil {
			sum := values.Of(base)
			if sum == nil {
				sum = values.Of(filepath.Base(target))
			}
			if sum == nil {
				continue // it is about other files
			}
			err = fips.Check(target, sum)
		}
		if err != nil {
			return inputError{fmt.Errorf("check %s by %s: %w; reinstall its package", from, p, err)}
		}
		f.put(item{Path: ramdiskPath(p), Mode: cpio.TypeRegular | 0o644, From: real, Size: fi.Size(), Why: "check value of " + from})
	}
	return nil
}

// fips adds what init reads in FIPS mode: the ciphers to load, and the check
// value of the kernel.
func (f *files) fips() error {
	for _, w := range f.r.features {
		if !w.FIPS {
			continue
		}
		var list []string
		for _, m := range w.Modules {
			if names, _ := f.r.index.Lookup(m); len(names) > 0 {
				list = append(list, m)
			}
		}
		f.put(file(strings.TrimPrefix(fips.ModulesFile, "/"), 0o644, strings.Join(append(list, ""), "\n"), "ciphers that init loads and tests with fips=1"))
		return f.kernelHMAC()
	}
	return nil
}

// kernelHMAC takes the kernel's .hmac file along and checks it, if the kernel is
// at hand, too.
func (f *files) kernelHMAC() error {
	if f.r.kver == "" {
		return nil
	}
	tries, err := f.o.below("boot/vmlinuz-"+f.r.kver, "boot/Image-"+f.r.kver, "boot/vmlinux-"+f.r.kver)
	if err != nil {
		return inputError{fmt.Errorf("find the kernel's check value: %w", err)}
	}
	tries = append(tries, filepath.Join(f.r.index.Dir(), "vmlinuz"))
	if f.o.Kernel != "" {
		tries = []string{f.o.Kernel}
	}
	for _, kernel := range tries {
		values, err := fips.Read(fips.Beside(kernel))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return inputError{fmt.Errorf("check the kernel: %w", err)}
		}
		sum := values.Of(filepath.Base(kernel))
		if sum == nil {
			return inputError{fmt.Errorf("check the kernel: %s does not name %s", fips.Beside(kernel), filepath.Base(kernel))}
		}
		if err := fips.Check(kernel, sum); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return inputError{fmt.Errorf("check the kernel: %w (%s)", err, fips.Beside(kernel))}
		}
		it := file(strings.TrimPrefix(fips.KernelFile, "/"), 0o644, fmt.Sprintf("%x\n", sum), "check value of the kernel's image")
		it.From = fips.Beside(kernel)
		f.put(it)
		return nil
	}
	f.r.notices = append(f.r.notices, fmt.Sprintf("kernel %s has no .hmac file: with fips=1 init refuses it, unless there is one on /boot, or rd.fips.skipkernel is given", f.r.kver))
	return nil
}

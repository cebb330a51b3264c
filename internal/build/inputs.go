package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// findModules returns the tree of the kernel to build for, and its version.
// Without modules there may be neither: the ramdisk then suits any kernel.
func (o *Options) findModules() (dir, kver string, err error) {
	if !o.NoKernel {
		return o.findTree()
	}
	if kver = o.Kver; kver == "" && o.Kernel != "" {
		if kver, _, err = kernelRelease(o.Kernel); err != nil {
			return "", "", inputError{fmt.Errorf("read kernel: %w", err)}
		}
	}
	if kver == "" {
		if dir, kver, err = o.findTree(); err != nil {
			return "", "", nil
		}
	}
	return dir, kver, nil
}

func (o *Options) findTree() (dir, kver string, err error) {
	parents := []string{o.ModulesDir}
	if o.ModulesDir == "" {
		if parents, err = o.below("lib/modules", "usr/lib/modules"); err != nil {
			return "", "", inputError{fmt.Errorf("find kernel modules: %w", err)}
		}
	}
	var parent string
	var entries []os.DirEntry
	for _, parent = range parents {
		if entries, err = os.ReadDir(parent); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return "", "", inputError{fmt.Errorf("find kernel modules: %w; install a kernel there, or name its folder with --sysroot or --modules-dir", err)}
	}
	if _, err := os.Stat(filepath.Join(parent, "modules.dep")); err == nil && o.ModulesDir != "" {
		// The tree itself was given.
		abs, err := filepath.Abs(parent)
		if err != nil {
			return "", "", err
		}
		if kver = filepath.Base(abs); o.Kver != "" && o.Kver != kver {
			return "", "", inputError{fmt.Errorf("--modules-dir %s is the tree of kernel %s, not of --kver %s", parent, kver, o.Kver)}
		}
		return parent, kver, nil
	}
	var have []string
	for _, e := range entries {
		if fi, err := os.Stat(filepath.Join(parent, e.Name())); err == nil && fi.IsDir() {
			have = append(have, e.Name())
		}
	}
	slices.SortFunc(have, compareVersions)
	switch {
	case o.Kver != "" && (o.Kver != filepath.Base(o.Kver) || o.Kver == ".."):
		return "", "", inputError{fmt.Errorf("--kver %q is no kernel version", o.Kver)}
	case o.Kver != "" && !slices.Contains(have, o.Kver):
		return "", "", inputError{fmt.Errorf("%s has no kernel %s, it has %s", parent, o.Kver, orNone(have))}
	case o.Kver != "":
		return filepath.Join(parent, o.Kver), o.Kver, nil
	case len(have) == 0:
		return "", "", inputError{fmt.Errorf("%s has no kernel in it; install one, or name another folder with --modules-dir", parent)}
	}
	// The newest that depmod has seen: leftovers of removed kernels are common.
	for _, kver := range slices.Backward(have) {
		if _, err := os.Stat(filepath.Join(parent, kver, "modules.dep")); err == nil {
			return filepath.Join(parent, kver), kver, nil
		}
	}
	kver = have[len(have)-1]
	return filepath.Join(parent, kver), kver, nil
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// findKernel returns the kernel's file.
func (o *Options) findKernel(modules, kver string) (string, error) {
	tries := []string{o.Kernel}
	if o.Kernel == "" && kver == "" {
		return "", inputError{errors.New("a boot set needs a kernel: name it with --kernel or --kver")}
	}
	if o.Kernel == "" {
		boot, err := o.below("boot/vmlinuz-"+kver, "boot/vmlinux-"+kver, "boot/kernel-"+kver, "boot/Image-"+kver)
		if err != nil {
			return "", inputError{fmt.Errorf("find kernel: %w", err)}
		}
		tries = append(boot, filepath.Join(modules, "vmlinuz"))
	}
	for _, name := range tries {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) && o.Kernel == "" {
			continue
		}
		if errors.Is(err, fs.ErrPermission) {
			return "", inputError{fmt.Errorf("read kernel: %w; run as root, or give a readable copy with --kernel", err)}
		}
		if err != nil {
			return "", inputError{fmt.Errorf("read kernel: %w", err)}
		}
		f.Close()
		release, arch, err := kernelRelease(name)
		if err != nil {
			return "", inputError{fmt.Errorf("read kernel: %w", err)}
		}
		o.kernelArch = arch
		if release != "" && kver != "" && release != kver {
			return "", inputError{fmt.Errorf("kernel %s is version %s, the modules are of %s; give both of one version with --kver, --kernel and --modules-dir", name, release, kver)}
		}
		return name, nil
	}
	return "", inputError{fmt.Errorf("no kernel for %s: looked for %s; name it with --kernel", kver, strings.Join(tries, ", "))}
}

func (o *Options) findFirmware() (firmwareDir, error) {
	out := firmwareDir{wants: o.Firmware, omit: o.OmitFirmware, kconf: &kconfig{}}
	if len(out.wants) == 0 {
		out.wants = []string{"needed"}
	}
	for _, p := range o.OmitFirmware {
		if _, err := path.Match(p, ""); err != nil {
			return out, inputError{fmt.Errorf("--omit-firmware %s: %w", p, err)}
		}
	}
	if o.FirmwareDir != "" {
		out.dirs = filepath.SplitList(o.FirmwareDir)
		for _, d := range out.dirs {
			if _, err := os.ReadDir(d); err != nil {
				return out, inputError{fmt.Errorf("read firmware: %w", err)}
			}
		}
		return out, nil
	}
	dirs, err := o.below("lib/firmware", "usr/lib/firmware")
	if err != nil {
		return out, inputError{fmt.Errorf("find firmware: %w", err)}
	}
	out.dirs = dirs[:1] // if there is none, every name is missing
	for _, d := range dirs {
		if fi, err := os.Stat(d); err == nil && fi.IsDir() {
			out.dirs = []string{d}
			break
		}
	}
	return out, nil
}

func (o *Options) findBusybox() (string, error) {
	if o.Busybox != "" {
		return o.Busybox, nil
	}
	tries, err := o.below("usr/bin/busybox", "bin/busybox", "usr/sbin/busybox")
	if err != nil {
		return "", inputError{fmt.Errorf("find busybox: %w", err)}
	}
	for _, name := range tries {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	return "", inputError{fmt.Errorf("no busybox in %s; install busybox-static there, or give one with --busybox", o.Sysroot)}
}

// compareVersions orders kernel versions as people do: runs of digits by value,
// 6.10 after 6.9, and 6.1-rc1 before 6.1.
func compareVersions(a, b string) int {
	a, b = strings.ReplaceAll(a, "-rc", "~rc"), strings.ReplaceAll(b, "-rc", "~rc")
	for a != "" || b != "" {
		i, j := digits(a), digits(b)
		if i > 0 && j > 0 {
			x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			a, b = a[i:], b[j:]
			continue
		}
		if ca, cb := rank(a), rank(b); ca != cb {
			return ca - cb
		}
		a, b = a[1:], b[1:]
	}
	return 0
}

func digits(s string) int {
	for i, c := range s {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(s)
}

// rank orders single bytes: a tilde before the end, the end before all else.
func rank(s string) int {
	switch {
	case s == "":
		return 0
	case s[0] == '~':
		return -1
	}
	return int(s[0])
}

package distro

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/hosttool"
)

// Found is a kernel with its modules. Root is the tree both are in, "/" for
// the host's own.
type Found struct {
	Image      string // vmlinuz
	ModulesDir string // .../lib/modules/VERSION
	Version    string
	Root       string
}

// CacheDir is where the lab keeps kernels and images: BAREROOT_CACHE, or
// bareroot in the user's cache directory.
func CacheDir() (string, error) {
	if d := os.Getenv("BAREROOT_CACHE"); d != "" {
		return filepath.Abs(d)
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for kernels and images: %w; name one by BAREROOT_CACHE", err)
	}
	return filepath.Join(d, "bareroot"), nil
}

// Kernel returns the newest kernel of the host whose image and modules are
// both there and readable; else the newest kernel package of the
// distribution, unpacked in cacheDir without being installed.
func Kernel(ctx context.Context, cacheDir string) (Found, error) {
	if k, ok := in("/"); ok {
		return k, nil
	}
	rel, err := Detect()
	if err != nil {
		return Found{}, fmt.Errorf("find a kernel: %w", err)
	}
	cacheDir, err = filepath.Abs(cacheDir)
	if err != nil {
		return Found{}, fmt.Errorf("find a kernel: %w", err)
	}
	k, err := packaged(ctx, hosttool.Host{}, rel, cacheDir)
	if err != nil {
		return Found{}, fmt.Errorf("get a kernel from package %s: %w", rel.Kernel, err)
	}
	return k, nil
}

// in looks for complete kernels below root; the newest wins.
func in(root string) (Found, bool) {
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	slices.SortFunc(images, func(a, b string) int { return compare(b, a) })
	for _, img := range images {
		v := strings.TrimPrefix(filepath.Base(img), "vmlinuz-")
		for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
			dir := filepath.Join(root, lib, v)
			if unix.Access(img, unix.R_OK) == nil && readable(filepath.Join(dir, "modules.dep")) {
				return Found{Image: img, ModulesDir: dir, Version: v, Root: root}, true
			}
		}
	}
	return Found{}, false
}

func readable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && unix.Access(path, unix.R_OK) == nil
}

// packaged unpacks the kernel package, unless it was done before. Each
// version has a directory of its own, put in place when complete.
func packaged(ctx context.Context, run hosttool.Runner, rel Release, cacheDir string) (Found, error) {
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return Found{}, err
	}
	out, err := run.Run(ctx, hosttool.Cmd{Args: []string{"apt-cache", "depends", "--important", rel.Kernel}})
	if err != nil {
		return cachedKernel(cacheDir, err)
	}
	deps := kernelPackages(string(out))
	if len(deps) == 0 {
		return cachedKernel(cacheDir, fmt.Errorf("package lists name no kernel for %s; run apt-get update", rel.Kernel))
	}
	dir := filepath.Join(cacheDir, "kernel-"+deps[0])
	if k, ok := in(dir); ok {
		return k, nil
	}
	tmp, err := os.MkdirTemp(cacheDir, ".kernel-")
	if err != nil {
		return Found{}, err
	}
	defer os.RemoveAll(tmp)
	if err := unpack(ctx, run, tmp, deps); err != nil {
		return cachedKernel(cacheDir, err)
	}
	root := filepath.Join(tmp, "root")
	if _, ok := in(root); !ok {
		return Found{}, fmt.Errorf("packages %s hold no complete kernel", strings.Join(deps, ", "))
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return Found{}, err
	}
	if err := os.Rename(root, dir); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTEMPTY) {
		return Found{}, err
	}
	k, ok := in(dir) // ours, or that of another process that was faster
	if !ok {
		return Found{}, fmt.Errorf("%s is incomplete; remove it", dir)
	}
	return k, nil
}

// unpack downloads the packages and unpacks them into dir/root.
func unpack(ctx context.Context, run hosttool.Runner, dir string, names []string) error {
	debs := filepath.Join(dir, "debs")
	if err := os.Mkdir(debs, 0o755); err != nil {
		return err
	}
	get := append([]string{"apt-get", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=5", "-q", "download"}, names...)
	if _, err := run.Run(ctx, hosttool.Cmd{Args: get, Dir: debs}); err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	if err := extract(ctx, run, root, debs); err != nil {
		return err
	}
	return index(ctx, run, root)
}

// extract makes root of the packages in the folders debs.
func extract(ctx context.Context, run hosttool.Runner, root string, debs ...string) error {
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	for _, dir := range debs {
		files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("apt-get left no package in %s", dir)
		}
		for _, f := range files {
			if _, err := run.Run(ctx, hosttool.Cmd{Args: []string{"dpkg-deb", "-x", f, root}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// index makes the indexes of the modules of the one kernel below root.
func index(ctx context.Context, run hosttool.Runner, root string) error {
	images, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return fmt.Errorf("the packages hold %d kernels, expected 1", len(images))
	}
	version := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	_, err = run.Run(ctx, hosttool.Cmd{Args: []string{depmod(), "-b", root, version}})
	return err
}

// depmod is in a directory that is not in every user's PATH.
func depmod() string {
	for _, p := range []string{"/usr/sbin/depmod", "/sbin/depmod"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return "depmod"
}

// cachedKernel is the way out when the package archive cannot be asked.
func cachedKernel(cacheDir string, why error) (Found, error) {
	dirs, _ := filepath.Glob(filepath.Join(cacheDir, "kernel-*"))
	slices.SortFunc(dirs, func(a, b string) int { return compare(b, a) })
	for _, d := range dirs {
		if k, ok := in(d); ok {
			return k, nil
		}
	}
	return Found{}, why
}

// kernelPackages are the packages of the newest kernel that a meta package
// depends on: image, and modules where those are separate (Ubuntu).
func kernelPackages(depends string) []string {
	var names []string
	for line := range strings.Lines(depends) {
		kind, name, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.TrimPrefix(kind, "|") != "Depends" {
			continue
		}
		if v, ok := strings.CutPrefix(name, "linux-image-"); ok && strings.ContainsAny(v[:1], "0123456789") {
			names = append(names, name)
		} else if strings.HasPrefix(name, "linux-modules-") {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { // the image first
		return strings.Compare(strings.SplitN(a, "-", 3)[1], strings.SplitN(b, "-", 3)[1])
	})
	// Ubuntu's image package comes without its modules.
	if len(names) > 0 && !strings.Contains(names[0], "unsigned") {
		v := strings.TrimPrefix(names[0], "linux-image-")
		if strings.HasSuffix(v, "-generic") && !slices.Contains(names, "linux-modules-"+v) {
			names = append(names, "linux-modules-"+v)
		}
	}
	return names
}

// compare orders versions: runs of digits by value, the rest as text.
func compare(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			na, _ := strconv.ParseUint(a[:da], 10, 64)
			nb, _ := strconv.ParseUint(b[:db], 10, 64)
			if na != nb {
				if na < nb {
					return -1
				}
				return 1
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// Package fips is what fips=1 asks of a ramdisk, as dracut's module of that
// name does it: the ciphers are loaded and test themselves before anything uses
// them, and the kernel's image on /boot is checked against its .hmac file.
//
//	fips=1              on the kernel's own command line
//	boot=DEVICE         where /boot is, if it is not a folder of the root:
//	                    /dev/..., UUID=, LABEL=, PARTUUID=, PARTLABEL=
//	BOOT_IMAGE=PATH     the kernel's file, as the boot loader says it
//	rd.fips.skipkernel  the kernel's image is not checked
//
// It only decides whether the boot may go on; the kernel itself switches to its
// FIPS mode.
package fips

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/fips"
	"bareroot/internal/sys"
)

// Checks are those of one boot.
type Checks struct {
	Line cmdline.Line
	Kver string
	Root bool // this boot ends in a root, whose /boot can be looked at
	// Load loads a kernel module.
	Load func(name string) error
	// Device waits for a block device.
	Device func(ctx context.Context, form string) (string, error)
	Say    func(format string, args ...any)

	dir    string // "/", but in tests
	loaded bool
	kernel bool
}

// Stage makes the checks that are due before a stage's work. Once they passed
// they are not repeated.
func (c *Checks) Stage(ctx context.Context, stage string) error {
	on, err := c.on()
	if !on || err != nil {
		return err
	}
	switch {
	case stage == "pre-trigger" && !c.loaded:
		if err := c.modules(); err != nil {
			return fmt.Errorf("fips=1: %w", err)
		}
		c.loaded = true
	case stage == "initqueue" && !c.kernel && (c.Line.Has("boot") || !c.Root), stage == "pre-pivot" && !c.kernel:
		if err := c.image(ctx); err != nil {
			return fmt.Errorf("fips=1: %w", err)
		}
		c.kernel = true
	}
	return nil
}

// on says whether the boot is to be in FIPS mode, and whether the kernel is.
func (c *Checks) on() (bool, error) {
	w, ok := c.Line.Last("fips")
	switch {
	case !ok || w.Value == "0":
		return false, nil
	case w.Value != "1":
		return false, fmt.Errorf("%s: FIPS mode is asked for by fips=1", w)
	}
	b, err := os.ReadFile(c.path("/proc/sys/crypto/fips_enabled"))
	if err != nil {
		return false, errors.New("fips=1: this kernel is built without FIPS mode (CONFIG_CRYPTO_FIPS)")
	}
	if strings.TrimSpace(string(b)) != "1" {
		return false, errors.New("fips=1: the kernel is not in FIPS mode: the word must be on its own command line")
	}
	return true, nil
}

func (c *Checks) path(p string) string { return filepath.Join("/", c.dir, p) }

// modules loads the ciphers, which the kernel tests one by one, and has tcrypt
// test them all.
func (c *Checks) modules() error {
	b, err := os.ReadFile(c.path(fips.ModulesFile))
	if err != nil {
		return fmt.Errorf("this ramdisk is not made for it (%w): build it with --add-feature fips", err)
	}
	for _, name := range strings.Fields(string(b)) {
		if err := c.Load(name); err != nil && !c.has(name) {
			return fmt.Errorf("cipher %s: %w", name, err)
		}
	}
	if err := c.Load("tcrypt"); err != nil {
		return fmt.Errorf("the kernel's tests of its ciphers failed: %w", err)
	}
	if err := sys.RemoveModule("tcrypt"); err != nil {
		c.Say("fips=1: %v", err) // it did its work
	}
	c.Say("fips=1: the kernel's ciphers are loaded and tested")
	return nil
}

// has tells whether the kernel has a cipher, whatever module it is from.
func (c *Checks) has(name string) bool {
	b, err := os.ReadFile(c.path("/proc/crypto"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "name", "driver", "module":
			if strings.ReplaceAll(strings.TrimSpace(value), "-", "_") == strings.ReplaceAll(name, "-", "_") {
				return true
			}
		}
	}
	return false
}

// image checks the kernel's file.
func (c *Checks) image(ctx context.Context) error {
	if c.Line.Bool(false, "rd.fips.skipkernel") {
		c.Say("fips=1: the kernel's image is not checked: rd.fips.skipkernel")
		return nil
	}
	boot := c.path("/sysroot/boot")
	form, given := c.Line.Get("boot")
	switch {
	case given:
		dev, err := c.Device(ctx, form)
		if err != nil {
			return fmt.Errorf("boot=%s: %w", form, err)
		}
		if boot, err = c.mount(dev); err != nil {
			return fmt.Errorf("boot=%s: %w", form, err)
		}
		defer func() {
			if err := sys.Unmount(boot); err != nil {
				c.Say("fips=1: %v", err)
			}
		}()
	case !c.Root:
		return errors.New("the kernel's image cannot be checked: name its device with boot=, or do without by rd.fips.skipkernel")
	}
	return c.checkIn(boot)
}

// filesystems are what /boot may be.
var filesystems = [...]string{"ext4", "xfs", "vfat", "btrfs"}

func (c *Checks) mount(dev string) (dir string, err error) {
	dir = "/run/bareroot/boot"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var errs []error
	for _, fs := range filesystems {
		_ = c.Load(fs) // that the kernel does not know it, the mount says
		if err = sys.Mount(dev, dir, fs, "ro"); err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// checkIn checks the kernel's file below the folder that is /boot.
func (c *Checks) checkIn(boot string) error {
	file, err := c.find(boot)
	if err != nil {
		return err
	}
	value := fips.Beside(file)
	values, err := fips.Read(value)
	if errors.Is(err, os.ErrNotExist) {
		values, err = fips.Read(c.path(fips.KernelFile))
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%s is not there, nor a check value in the ramdisk", value)
		}
	}
	if err != nil {
		return fmt.Errorf("the kernel's image cannot be checked: %w", err)
	}
	sum := values.Of(path.Base(file))
	if sum == nil {
		return fmt.Errorf("the kernel's image cannot be checked: %s does not name %s", value, path.Base(file))
	}
	if err := fips.Check(file, sum); err != nil {
		return fmt.Errorf("the kernel's image %w", err)
	}
	c.Say("fips=1: %s matches its check value", file)
	return nil
}

// find returns the kernel's file: what the boot loader loaded, with or without
// /boot in front, else by the kernel's version.
func (c *Checks) find(boot string) (string, error) {
	var names []string
	if image, ok := c.Line.Get("BOOT_IMAGE"); ok {
		if strings.HasPrefix(image, "(") { // GRUB's device
			if _, rest, ok := strings.Cut(image, ")"); ok {
				image = rest
			}
		}
		image = path.Clean("/" + image)
		names = append(names, image, strings.TrimPrefix(image, "/boot"))
	}
	for _, n := range []string{"vmlinuz-", "Image-", "vmlinux-"} {
		names = append(names, n+c.Kver)
	}
	for _, n := range names {
		p := filepath.Join(boot, n)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", fmt.Errorf("the kernel's image cannot be checked: none of %s is in %s; is boot= right?", strings.Join(names, ", "), boot)
}

package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/build/feature"
	"bareroot/internal/rdconf"
)

// addFiles adds what features and the options ask for besides the standing
// files.
func (r *recipe) addFiles(o *Options) error {
	f := &files{r: r, o: o, have: map[string]bool{}, xattrs: rdconf.Xattrs{}}
	// Of several files for one place the operator's own is taken, the last
	// --include of those; then features', then what was named with --install.
	for _, inc := range slices.Backward(o.Include) {
		if err := r.without(o, f.include(inc)); err != nil {
			return err
		}
	}
	for _, w := range r.features {
		if err := f.feature(w.Info); err != nil {
			return err
		}
	}
	if err := f.crypttab(); err != nil {
		return err
	}
	if o.Tools == "distro" {
		if err := f.distro(); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		words    []string
		why      string
		required bool
	}{{o.Install, "asked for with --install", true}, {o.InstallOptional, "asked for with --install-optional", false}} {
		for _, word := range l.words {
			found, err := f.program(word, l.why)
			if err != nil && !l.required {
				r.notices = append(r.notices, err.Error()+"; it is left out")
				continue
			}
			if err == nil && !found && l.required {
				err = inputError{fmt.Errorf("install %s: it is not below %s", word, o.Sysroot)}
			}
			if err := r.without(o, err); err != nil {
				return err
			}
			if fi, err := os.Stat(filepath.Join(o.Sysroot, word)); found && err == nil && fi.IsDir() && strings.HasPrefix(word, "/") {
				r.notices = append(r.notices, fmt.Sprintf("install %s: it is a folder, and comes empty; --include copies what a folder holds", word))
			}
		}
	}
	if err := f.hooks(); err != nil {
		return err
	}
	modprobe, err := r.addModprobe(o)
	if err != nil {
		return err
	}
	for _, it := range modprobe {
		f.put(it)
	}
	if err := f.putAttributes(); err != nil {
		return err
	}
	if err := f.fips(); err != nil {
		return err
	}
	if err := f.nameServices(); err != nil {
		return err
	}
	// Without it the loader finds no library in a folder that only ld.so.conf names.
	if cache := r.resolver.LoaderCache(f.deps); cache != nil {
		f.put(file("etc/ld.so.cache", 0o644, string(cache), "the loader's list of libraries"))
	}
	r.tools = f.items
	if len(r.tools) > 0 {
		r.tools = withParents(r.tools)
	}
	return nil
}

func (f *files) feature(x feature.Info) error {
	why := "feature " + x.Name
	for _, b := range x.Binaries {
		if _, err := f.program(b.Name, why); err != nil {
			return err
		}
	}
	for _, file := range x.Files {
		paths := []string{file.Path}
		if strings.Contains(file.Path, "*") {
			var err error
			if paths, err = f.match(file.Path); err != nil {
				return inputError{fmt.Errorf("%s: %w", why, err)}
			}
		}
		found := false
		for _, p := range paths {
			ok, err := f.program("/"+p, why)
			if err != nil {
				return err
			}
			found = found || ok
		}
		if !found && !file.Optional {
			return inputError{fmt.Errorf("feature %s: %s is not below %s (Debian: %s)", x.Name, file.Path, f.o.Sysroot, file.Package)}
		}
	}
	return nil
}

// distro adds the distribution's shell and tools in busybox's place.
func (f *files) distro() error {
	const why = "tools of the distribution"
	for _, name := range distroTools {
		found, err := f.program(name, why)
		if err != nil {
			return err
		}
		if name == "sh" && !found {
			return inputError{fmt.Errorf("--tools distro: no sh below %s", f.o.Sysroot)}
		}
	}
	return nil
}

// distroTools are what an emergency shell is used with.
var distroTools = [...]string{
	"sh", "bash", "ls", "cat", "cp", "mv", "rm", "ln", "mkdir", "rmdir", "chmod", "chown", "touch", "head", "tail", "grep", "sed", "awk", "sort", "uniq", "wc", "cut", "tr",
	"find", "xargs", "tar", "gzip", "zstd", "dd", "df", "du", "stat", "readlink", "sync", "sleep", "date", "uname", "dmesg", "mount", "umount", "losetup", "blkid", "lsblk",
	"fdisk", "ps", "kill", "free", "id", "env", "test", "[", "echo", "printf", "true", "false", "mknod", "ip", "ping", "ss", "less", "more", "vi", "hexdump", "od", "sha256sum", "md5sum",
	"reset", "stty", "clear", "chroot", "switch_root", "lsmod", "modinfo", "insmod", "rmmod", "lspci", "mountpoint", "findmnt", "hostname", "tee", "mktemp", "basename", "dirname",
}

// stages are the points of the boot that hooks can be for, by dracut's names.
var stages = [...]string{
	"cmdline", "pre-udev", "pre-trigger", "initqueue", "initqueue/online", "initqueue/settled", "initqueue/timeout", "initqueue/finished", "netroot",
	"pre-mount", "mount", "pre-pivot", "cleanup", "emergency", "shutdown-emergency", "pre-shutdown", "shutdown",
}

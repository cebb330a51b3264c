package build

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/build/elfdep"
	"bareroot/internal/build/feature"
	"bareroot/internal/cpio"
	"bareroot/internal/rdconf"
)

// merged are the folders that are links into /usr in the ramdisk.
var merged = [...]string{"bin", "sbin", "lib", "lib64"}

// ramdiskPath is where a path of the sysroot is in the ramdisk, whose /usr is
// merged.
func ramdiskPath(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	top, rest, _ := strings.Cut(p, "/")
	if slices.Contains(merged[:], top) && rest != "" {
		return "usr/" + p
	}
	if p == "" {
		return "."
	}
	return p
}

// files collects the files besides the standing ones, each path once.
type files struct {
	r     *recipe
	o     *Options
	have  map[string]bool
	items []item
	deps  []elfdep.Dep // what closures gave, for the loader's cache

	asking []asker
	xattrs rdconf.Xattrs
}

// asker is a program that looks up names.
type asker struct {
	path  string
	names elfdep.Names
}

func (f *files) put(it item) {
	if !f.have[it.Path] {
		f.have[it.Path] = true
		f.items = append(f.items, it)
	}
}

// closure adds a file of the sysroot and all that it needs.
func (f *files) closure(p, why string) error {
	deps, err := f.r.resolver.Closure(p)
	if err != nil {
		return inputError{fmt.Errorf("install %s: %w", p, err)}
	}
	f.deps = append(f.deps, deps...)
	asks, err := f.r.resolver.Asks(deps)
	if err != nil {
		return inputError{fmt.Errorf("install %s: %w", p, err)}
	}
	if asks != 0 {
		f.asking = append(f.asking, asker{p, asks})
	}
	for i, d := range deps {
		reason := d.Why
		if i == 0 || reason == "" {
			reason = why
		}
		if err := f.dep(d, reason); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) dep(d elfdep.Dep, why string) error {
	from := strings.TrimPrefix(path.Clean("/"+d.Path), "/")
	to := ramdiskPath(from)
	if to == "." || slices.Contains(merged[:], to) {
		return nil // the ramdisk's own links
	}
	if d.Link != "" {
		f.put(link(to, ramdiskLink(from, d.Link), why))
		return f.hmac(from)
	}
	fi, err := os.Stat(d.Source)
	if err != nil {
		return inputError{fmt.Errorf("install %s: %w", d.Path, err)}
	}
	if fi.IsDir() {
		f.put(dir(to, uint32(fi.Mode().Perm()), why))
		return nil
	}
	if err := f.runs(from, d.Source); err != nil {
		return err
	}
	if f.have[to] {
		return nil
	}
	f.put(item{Path: to, Mode: cpio.TypeRegular | modeBits(fi.Mode()), From: d.Source, Size: fi.Size(), Why: why})
	if err := f.attributes(d.Source, to); err != nil {
		return err
	}
	return f.hmac(from)
}

// runs refuses programs and libraries of another architecture. What is no ELF
// file passes, and so do 32-bit programs of x86.
func (f *files) runs(name, source string) error {
	h, err := os.Open(source)
	if err != nil {
		return inputError{fmt.Errorf("install %s: %w", name, err)}
	}
	defer h.Close()
	head := make([]byte, 20)
	if _, err := io.ReadFull(h, head); err != nil || string(head[:4]) != elf.ELFMAG {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	arch := archOf(elf.Machine(order.Uint16(head[18:])))
	if arch == f.r.arch || arch == "386" && f.r.arch == "amd64" {
		return nil
	}
	return inputError{fmt.Errorf("install %s: it is for %s, bareroot-init for %s", name, arch, f.r.arch)}
}

// ramdiskLink is the target of the link at from, seen from where the ramdisk
// has it.
func ramdiskLink(from, target string) string {
	to := ramdiskPath(from)
	if to == from && !path.IsAbs(target) {
		if rest, _, _ := strings.Cut(strings.TrimPrefix(path.Join("/", path.Dir(from), target), "/"), "/"); !slices.Contains(merged[:], rest) {
			return target
		}
	}
	abs := target
	if !path.IsAbs(abs) {
		abs = path.Join("/", path.Dir(from), target)
	}
	abs = "/" + ramdiskPath(abs)
	if path.IsAbs(target) {
		return abs
	}
	rel, err := filepath.Rel("/"+path.Dir(to), abs)
	if err != nil {
		return abs
	}
	return rel
}

func modeBits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, b := range []struct {
		from fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.from != 0 {
			bits |= b.bit
		}
	}
	return bits
}

// program adds a program by name, all matches of it, or files by path; a path
// may be a pattern. It returns false if there is none.
func (f *files) program(word, why string) (bool, error) {
	var paths []string
	var err error
	switch {
	case strings.ContainsAny(word, "*?"): // not [, which is a program
		paths, err = f.match(word)
	case strings.Contains(word, "/"):
		var real string
		if real, err = within(f.o.Sysroot, word); err == nil {
			if fi, statErr := os.Stat(real); statErr == nil && fi.IsDir() {
				return true, f.tree(real, strings.TrimPrefix(word, "/"), why)
			} else if statErr == nil {
				paths = []string{word}
			}
		}
	default:
		paths, err = f.r.find(word)
	}
	if err != nil {
		return false, inputError{fmt.Errorf("install %s: %w", word, err)}
	}
	for _, p := range paths {
		if err := f.closure(p, why); err != nil {
			return false, err
		}
	}
	return len(paths) > 0, nil
}

// find looks a program up by name; none is no error.
func (r *recipe) find(name string) ([]string, error) {
	paths, err := r.resolver.Find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return paths, err
}

// match finds the files of the sysroot that fit a pattern.
func (f *files) match(pattern string) ([]string, error) {
	var out []string
	var walk func(done string, rest []string) error
	walk = func(done string, rest []string) error {
		if len(rest) == 0 {
			out = append(out, done)
			return nil
		}
		real, err := within(f.o.Sysroot, done)
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(real)
		if err != nil {
			return nil // not there: no match
		}
		for _, e := range entries {
			if ok, err := path.Match(rest[0], e.Name()); err != nil {
				return err
			} else if ok {
				if err := walk(path.Join(done, e.Name()), rest[1:]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return out, walk("", strings.Split(strings.Trim(pattern, "/"), "/"))
}

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

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

	"golang.org/x/sys/unix"

	"bareroot/internal/build/elfdep"
	"bareroot/internal/build/feature"
	"bareroot/internal/cpio"
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
		return nil
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
	f.put(item{Path: to, Mode: cpio.TypeRegular | modeBits(fi.Mode()), From: d.Source, Size: fi.Size(), Why: why})
	f.hmac(from, d.Source)
	return nil
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

// hmac takes the .hmac file of a program or library along if a feature wants it.
func (f *files) hmac(from, source string) {
	if !f.r.has(func(x feature.Info) bool { return x.HMAC }) {
		return
	}
	base := path.Base(from)
	for _, p := range []string{path.Join(path.Dir(from), "."+base+".hmac"), "usr/lib64/hmaccalc/" + base + ".hmac", "usr/lib64/fipscheck/" + base + ".hmac", "usr/lib/fipscheck/" + base + ".hmac"} {
		real, err := within(f.o.Sysroot, p)
		if err != nil {
			continue
		}
		if fi, err := os.Stat(real); err == nil && fi.Mode().IsRegular() {
			f.put(item{Path: ramdiskPath(p), Mode: cpio.TypeRegular | 0o644, From: real, Size: fi.Size(), Why: "check value of " + from})
		}
	}
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

// tree copies a folder of this machine as it is: links stay links, programs'
// libraries are not looked for.
func (f *files) tree(src, dst, why string) error {
	return filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return inputError{fmt.Errorf("include %s: %w", src, err)}
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		return f.copied(p, path.Join(dst, filepath.ToSlash(rel)), why, d)
	})
}

func (f *files) copied(p, dst, why string, d fs.DirEntry) error {
	fi, err := d.Info()
	if err != nil {
		return inputError{fmt.Errorf("include %s: %w", p, err)}
	}
	dst = strings.TrimPrefix(path.Clean("/"+dst), "/")
	to := ramdiskPath(dst)
	if err := cpio.CheckName(to); err != nil && to != "." {
		return inputError{fmt.Errorf("include %s: %w", p, err)}
	}
	switch {
	case fi.IsDir():
		if to != "." && !slices.Contains(merged[:], to) && !f.standing(to) {
			f.put(dir(to, modeBits(fi.Mode()), why))
		}
	case fi.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(p)
		if err != nil {
			return inputError{fmt.Errorf("include %s: %w", p, err)}
		}
		f.put(item{Path: to, Mode: cpio.TypeSymlink | 0o777, Link: ramdiskLink(dst, target), Why: why})
	case fi.Mode().IsRegular():
		if h, err := os.Open(p); err != nil {
			return inputError{fmt.Errorf("include %s: %w", p, err)}
		} else {
			h.Close()
		}
		f.put(item{Path: to, Mode: cpio.TypeRegular | modeBits(fi.Mode()), From: p, Size: fi.Size(), Why: why})
		f.attributes(p)
	default:
		f.r.notices = append(f.r.notices, fmt.Sprintf("%s is neither file, folder nor link and is not included", p))
	}
	return nil
}

// standing tells whether a folder is one that every ramdisk has: its mode stays.
func (f *files) standing(p string) bool {
	return slices.ContainsFunc(f.r.skeleton, func(it item) bool { return it.Path == p && it.Mode&cpio.TypeMask == cpio.TypeDir })
}

// attributes says what of a file a newc archive cannot hold.
func (f *files) attributes(p string) {
	if n, err := unix.Lgetxattr(p, "security.capability", nil); err == nil && n > 0 {
		f.r.notices = append(f.r.notices, fmt.Sprintf("%s has capabilities, which the kernel's archive format cannot hold: in the ramdisk it has none", p))
	}
}

// addFiles adds what features and the options ask for besides the standing
// files.
func (r *recipe) addFiles(o *Options) error {
	f := &files{r: r, o: o, have: map[string]bool{}}
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
			if err != nil && l.required {
				return err
			}
			if err != nil {
				r.notices = append(r.notices, err.Error()+"; it is left out")
				continue
			}
			if !found && l.required {
				return inputError{fmt.Errorf("install %s: it is not below %s", word, o.Sysroot)}
			}
		}
	}
	for _, inc := range o.Include {
		if err := f.include(inc); err != nil {
			return err
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

// include copies a file, or what a folder holds.
func (f *files) include(inc Include) error {
	if inc.Src == "" || inc.Dst == "" {
		return inputError{fmt.Errorf("include %q to %q: both must be given", inc.Src, inc.Dst)}
	}
	why := "included from " + inc.Src
	fi, err := os.Stat(inc.Src)
	if err != nil {
		return inputError{fmt.Errorf("include: %w", err)}
	}
	if fi.IsDir() {
		real, err := filepath.EvalSymlinks(inc.Src)
		if err != nil {
			return inputError{fmt.Errorf("include: %w", err)}
		}
		return f.tree(real, inc.Dst, why)
	}
	dst := inc.Dst
	if strings.HasSuffix(dst, "/") {
		dst += filepath.Base(inc.Src)
	}
	return f.copied(inc.Src, dst, why, fs.FileInfoToDirEntry(fi))
}

// stages are the points of the boot that hooks can be for.
var stages = [...]string{"cmdline", "pre-udev", "pre-trigger", "initqueue", "pre-mount", "mount", "pre-pivot", "cleanup", "emergency", "shutdown"}

// hooks puts programs where init is to look for them.
func (f *files) hooks() error {
	for _, h := range f.o.Hooks {
		if !slices.Contains(stages[:], h.Stage) {
			return inputError{fmt.Errorf("--hook %s: stages are %s", h.Stage, strings.Join(stages[:], ", "))}
		}
		fi, err := os.Stat(h.File)
		if err == nil && !fi.Mode().IsRegular() {
			err = errors.New("it is no regular file")
		}
		if err != nil {
			return inputError{fmt.Errorf("--hook %s %s: %w", h.Stage, h.File, err)}
		}
		f.put(item{
			Path: "usr/lib/bareroot/hooks/" + h.Stage + ".d/" + filepath.Base(h.File), Mode: cpio.TypeRegular | 0o755,
			From: h.File, Size: fi.Size(), Why: "hook of stage " + h.Stage,
		})
	}
	if len(f.o.Hooks) > 0 {
		f.r.notices = append(f.r.notices, "hooks are put into the ramdisk; this version of bareroot-init does not run them yet")
	}
	return nil
}

// accounts adds the lines of the users that features run programs as.
func (r *recipe) accounts(o *Options) error {
	var users []string
	for _, w := range r.features {
		users = append(users, w.Users...)
	}
	if len(users) == 0 {
		return nil
	}
	lines := func(name string, want []string) (out []string, err error) {
		real, err := within(o.Sysroot, name)
		if err != nil {
			return nil, inputError{err}
		}
		b, err := os.ReadFile(real)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, inputError{fmt.Errorf("read users: %w", err)}
		}
		for line := range strings.Lines(string(b)) {
			if user, _, _ := strings.Cut(line, ":"); slices.Contains(want, user) {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return out, nil
	}
	passwd, err := lines("etc/passwd", users)
	if err != nil {
		return err
	}
	var gids []string
	for i, line := range passwd {
		if f := strings.Split(line, ":"); len(f) == 7 {
			f[1] = "*" // no passwords in a ramdisk
			passwd[i] = strings.Join(f, ":")
			gids = append(gids, f[3])
		}
	}
	real, err := within(o.Sysroot, "etc/group")
	if err != nil {
		return inputError{err}
	}
	b, _ := os.ReadFile(real) // without it the number stands alone
	var group []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 4 && slices.Contains(gids, f[2]) && f[2] != "65534" && f[2] != "0" {
			group = append(group, f[0]+":x:"+f[2]+":")
		}
	}
	for i := range r.skeleton {
		it := &r.skeleton[i]
		switch it.Path {
		case "etc/passwd":
			it.Data = append(it.Data, strings.Join(append(passwd, ""), "\n")...)
		case "etc/group":
			it.Data = append(it.Data, strings.Join(append(group, ""), "\n")...)
		}
	}
	return nil
}

// addExtra adds files with given content to the configuration segment, so that
// all other segments stay the same.
func (r *recipe) addExtra(o *Options) error {
	var items, first []item
	for _, x := range o.Extra {
		p := ramdiskPath(x.Path)
		if err := cpio.CheckName(p); err != nil {
			return inputError{fmt.Errorf("add %s: %w", x.Path, err)}
		}
		mode := x.Mode
		if mode == 0 {
			mode = 0o644
		}
		data := x.Data
		if x.OfFeatures != nil {
			data = x.OfFeatures(r.featureNames())
		}
		if data == nil {
			data = []byte{}
		}
		it := item{Path: p, Mode: cpio.TypeRegular | mode&0o7777, Data: data, Why: x.Why}
		if x.First {
			first = append(first, it)
			continue
		}
		items = append(items, it)
	}
	if len(first) > 0 {
		r.userland = withParents(append(r.userland, first...))
	}
	if len(items) > 0 {
		have := map[string]bool{}
		for _, it := range items {
			have[it.Path] = true
		}
		for _, it := range r.config {
			if !have[it.Path] {
				items = append(items, it)
			}
		}
		r.config = withParents(items)
	}
	return nil
}

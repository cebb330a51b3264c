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

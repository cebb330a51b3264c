// Package elfdep finds every file that a program needs, by reading and never by
// running anything: the tree may be of another architecture or of somebody else.
//
// All paths are those of a sysroot, without a leading slash. They are followed
// as a program in a chroot there would: an absolute link starts at the sysroot
// again and .. does not lead out of it. What is followed is kept: every link on
// the way, also of a folder (lib64 -> usr/lib64), is an entry of its own. Parent
// folders that are no links are not listed.
//
// What a file needs:
//
//   - a program: its loader (PT_INTERP) and its libraries (DT_NEEDED), breadth
//     first like the loader itself, for the same class, byte order and machine:
//     DT_RPATH of the one that asks and of those that loaded it, DT_RUNPATH of
//     the one that asks only, then the folders of /etc/ld.so.conf and the usual
//     ones; $ORIGIN, $LIB and $PLATFORM are expanded. With musl's loader its
//     rules: one path, inherited, and /etc/ld-musl-ARCH.path. See ld.so(8).
//   - libraries opened by name, where the file says so: systemd's note of type
//     0x407c0c0a (https://uapi-group.org/specifications/specs/elf_dlopen_metadata/).
//     Required and recommended ones are taken; of the recommended ones only
//     those that are there.
//   - faster variants of a library below glibc-hwcaps, if there are any. They
//     are an extra: the plain library must be there, as nobody knows on which
//     CPU the ramdisk will run.
//   - a script: the first word after #!. The argument of env is not followed.
//
// What no file says cannot be found: plugins (PAM, iconv, NSS) and programs that
// a program starts. For name services see [Resolver.Asks] and [Resolver.NSS].
package elfdep

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
)

// Dep is one file or symbolic link that a program needs.
type Dep struct {
	Path   string      // as in the sysroot, without a leading slash
	Link   string      // target as it is written in the link; empty for a file
	Mode   fs.FileMode // permission bits with setuid, setgid and sticky; ModeSymlink of a link
	Source string      // the file or link itself on this machine
	Why    string      // "needed by usr/bin/curl"; empty for what was asked for and the links to it
}

// MissingError says that something is not in the sysroot.
type MissingError struct {
	Program string // what was asked for
	Name    string // the library, loader or interpreter that is missing
	By      string // the file that names it
	Err     error  // what got in the way, if it is more than not being there
}

func (e *MissingError) Error() string {
	s := fmt.Sprintf("%s needs %s, which is not there", e.Program, e.Name)
	switch {
	case e.By == "":
		s = fmt.Sprintf("%s is not there", e.Name)
	case e.By != e.Program:
		s = fmt.Sprintf("%s needs %s (named by %s), which is not there", e.Program, e.Name, e.By)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap lets errors.Is see fs.ErrNotExist.
func (e *MissingError) Unwrap() []error {
	if e.Err != nil {
		return []error{fs.ErrNotExist, e.Err}
	}
	return []error{fs.ErrNotExist}
}

// Resolver answers for one sysroot, which must not change meanwhile: what was
// read once is remembered. It may be used by several goroutines.
type Resolver struct {
	tree *tree

	mu      sync.Mutex
	closed  map[string][]Dep   // closures, by what was asked for
	objects map[string]*object // by real path; nil: neither ELF nor script
	conf    []string           // folders of ld.so.conf
	confOK  bool
	system  map[abi][]string // folders searched for every program of that ABI
}

// New returns a resolver for the tree below sysroot ("" is "/").
func New(sysroot string) *Resolver {
	return &Resolver{tree: newTree(sysroot), closed: map[string][]Dep{}, objects: map[string]*object{}, system: map[abi][]string{}}
}

// Closure returns file itself (relative to the sysroot, with or without a
// leading slash), the links on the way to it and all that it needs, in the order
// in which they were found. An error about something that is missing is a
// [*MissingError]. Nobody may write to the slice: the next who asks has it, too.
func (r *Resolver) Closure(file string) ([]Dep, error) {
	c := r.newClosure(clean(file))
	r.mu.Lock()
	known := r.closed[c.name]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if err := c.program(c.name, "", 0); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.closed[c.name] = c.out
	r.mu.Unlock()
	return c.out, nil
}

// programDirs are the folders that Find looks into.
var programDirs = [...]string{"usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"}

// Find looks a bare name up in the sysroot's usual program folders and returns
// all matches, for Closure. A folder that is a link to another is looked into
// once. A name with a slash is a path and matches itself.
func (r *Resolver) Find(name string) ([]string, error) {
	if name == "" || name == "." || name == ".." {
		return nil, fmt.Errorf("find program %q: not a name", name)
	}
	if strings.Contains(name, "/") {
		if _, err := r.tree.resolve(name); err != nil {
			return nil, notThere("", name, "", err)
		}
		return []string{clean(name)}, nil
	}
	var out []string
	seen := map[string]bool{}
	for _, d := range programDirs {
		dir, err := r.tree.resolve(d)
		if err != nil || seen[dir.real] {
			continue
		}
		seen[dir.real] = true
		p := path.Join(dir.real, name)
		if f, err := r.tree.resolve(p); err == nil && f.node.mode.IsRegular() && f.node.mode&0o111 != 0 {
			out = append(out, p)
		}
	}
	if out == nil {
		return nil, &MissingError{Program: name, Name: "program " + name}
	}
	return out, nil
}

// clean makes p relative to the sysroot. Links must not be in front of a "..";
// those that come from links are handled by tree.resolve.
func clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

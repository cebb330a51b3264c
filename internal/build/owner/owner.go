// Package owner tells which package a file of a sysroot belongs to, for the
// manifest of a build.
//
// It reads dpkg's own files (/var/lib/dpkg: info/*.list, diversions, status; see
// dpkg-query(1)), and starts no program, so the sysroot may
// be of any architecture. Databases of rpm, apk and pacman are not read: there
// every owner is unknown, and Notice says why. Nothing outside of the sysroot is
// read, wherever its links point.
package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// DB is the package database of one sysroot, read at the first question. It may
// be used by several goroutines.
type DB struct {
	root string
	load func() // once

	merged   []string // "/bin/": folders of / that are links to those of /usr
	packages []string // "bash 5.2.15-2+b7"
	files    map[string]int32
	notice   string
}

// Open prepares the database below sysroot ("" is "/"); it is not read yet.
func Open(sysroot string) (*DB, error) {
	if sysroot == "" {
		sysroot = "/"
	}
	fi, err := os.Stat(sysroot)
	if err == nil && !fi.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, fmt.Errorf("open package database of %s: %w", sysroot, err)
	}
	d := &DB{root: sysroot}
	d.load = sync.OnceFunc(func() {
		if err := d.read(); err != nil {
			d.files = nil
			d.notice = fmt.Sprintf("owners of files are unknown: read package database: %v", err)
		}
	})
	return d, nil
}

// Owner is the name and version ("bash 5.2.15-2+b7") of the package that owns
// path (with or without a leading slash), or "". The name has an architecture
// (libc6:i386) if it is not that of dpkg itself. Links are not followed, but for
// those of a merged /usr: /bin/sh and /usr/bin/sh are the same file there.
func (d *DB) Owner(file string) string {
	d.load()
	if i, ok := d.files[d.key(path.Clean("/"+file))]; ok {
		return d.packages[i]
	}
	return ""
}

// Notice is one sentence about why no owner is known, or "".
func (d *DB) Notice() string {
	d.load()
	return d.notice
}

// key is p, without /usr where that makes no difference.
func (d *DB) key(p string) string {
	if rest, ok := strings.CutPrefix(p, "/usr"); ok {
		for _, m := range d.merged {
			if strings.HasPrefix(rest, m) {
				return rest
			}
		}
	}
	return p
}

func (d *DB) read() error {
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, dir := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"} {
		if target, err := root.Readlink(dir); err == nil && strings.TrimPrefix(path.Clean(target), "/") == "usr/"+dir {
			d.merged = append(d.merged, "/"+dir+"/")
		}
	}
	dpkg, err := root.OpenRoot("var/lib/dpkg")
	if errors.Is(err, fs.ErrNotExist) {
		d.notice = other(root)
		return nil
	}
	if err != nil {
		return err
	}
	defer dpkg.Close()
	status, err := readOptional(dpkg, "status")
	if err != nil {
		return err
	}
	divert, err := readOptional(dpkg, "diversions")
	if err != nil {
		return err
	}
	info, err := dpkg.OpenRoot("info")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer info.Close()
	return d.readLists(info, parseStatus(status), parseDiversions(divert))
}

// other says which database is there instead.
func other(root *os.Root) string {
	for dir, name := range map[string]string{
		"usr/lib/sysimage/rpm": "rpm", "var/lib/rpm": "rpm", "lib/apk/db": "apk", "usr/lib/apk/db": "apk", "var/lib/pacman/local": "pacman",
	} {
		if _, err := root.Stat(dir); err == nil {
			return "owners of files are unknown: the package database is " + name + "'s, which is not read"
		}
	}
	return "owners of files are unknown: there is no package database"
}

// readLists fills files. Where two packages list a file, the first by name is
// its owner.
func (d *DB) readLists(info *os.Root, versions versions, divert map[string]diversion) error {
	dir, err := info.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".list"); ok {
			names = append(names, name)
		}
	}
	d.files = make(map[string]int32, 128*len(names))
	for _, name := range sorted(names) {
		b, err := info.ReadFile(name + ".list")
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed while we read
		}
		if err != nil {
			return err
		}
		d.packages = append(d.packages, versions.describe(name))
		d.list(string(b), int32(len(d.packages)-1), name, divert)
	}
	return nil
}

// list takes the files of one package in. A folder is followed by what is in it
// and left out: it belongs to many.
func (d *DB) list(text string, pkg int32, name string, divert map[string]diversion) {
	bare, _, _ := strings.Cut(name, ":")
	line, rest, _ := strings.Cut(text, "\n")
	for line != "" || rest != "" {
		var next string
		next, rest, _ = strings.Cut(rest, "\n")
		if strings.HasPrefix(line, "/") && !(len(next) > len(line) && next[len(line)] == '/' && next[:len(line)] == line) {
			if v, ok := divert[line]; ok && v.by != bare {
				line = v.to
			}
			if k := d.key(line); !has(d.files, k) {
				d.files[k] = pkg
			}
		}
		line = next
	}
}

func has(m map[string]int32, k string) bool {
	_, ok := m[k]
	return ok
}

func readOptional(r *os.Root, name string) (string, error) {
	b, err := r.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

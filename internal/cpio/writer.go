// Package cpio reads and writes cpio archives of the "newc" kind (magic
// 070701), the only kind that the Linux kernel unpacks as a ramdisk; see
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
//
// The writer is deterministic: owner 0:0, one modification time, inode numbers
// in the order of writing (from 1 again after Part). It does not walk directories, compress, or know what
// a ramdisk holds.
package cpio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// File type bits of Header.Mode, as in stat(2).
const (
	TypeMask    = 0o170000
	TypeDir     = 0o040000
	TypeChar    = 0o020000
	TypeBlock   = 0o060000
	TypeFifo    = 0o010000
	TypeRegular = 0o100000
	TypeSymlink = 0o120000
)

const (
	magic      = "070701"
	headerSize = 110
	trailer    = "TRAILER!!!"
	maxName    = 4096 // PATH_MAX: the kernel skips longer names
	maxSize    = 1<<32 - 1
)

// ErrName is the error for a name that cannot be in a ramdisk.
var ErrName = errors.New("bad file name")

// Writer writes one archive. Names have no leading slash; parents must be
// written before what is in them.
type Writer struct {
	w     *bufio.Writer
	n     int64
	ino   uint32
	mtime uint32
	err   error
}

// NewWriter returns a Writer on w with modification time 0.
func NewWriter(w io.Writer) *Writer { return NewWriterSize(w, 64<<10) }

// NewWriterSize is NewWriter with a buffer of size bytes.
func NewWriterSize(w io.Writer, size int) *Writer { return &Writer{w: bufio.NewWriterSize(w, size)} }

// SetModTime sets the modification time of the entries that follow.
func (w *Writer) SetModTime(t time.Time) { w.mtime = uint32(max(0, min(t.Unix(), maxSize))) }

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.n }

// Dir writes a directory with the permission bits of mode. The name "." is the
// root itself.
func (w *Writer) Dir(name string, mode uint32) error {
	return w.entry(name, entry{mode: TypeDir | mode&0o7777, nlink: 2})
}

// File writes a regular file.
func (w *Writer) File(name string, mode uint32, data []byte) error {
	if err := w.entry(name, entry{mode: TypeRegular | mode&0o7777, size: int64(len(data))}); err != nil {
		return err
	}
	w.write(data)
	return w.pad(4)
}

// Elsewhere counts a regular file that the caller puts into the archive by itself:
// the bytes that File would have written for it, after a Part, and what it had
// written before is handed on.
func (w *Writer) Elsewhere(name string, size int64) error {
	if err := w.Part(); err != nil {
		return err
	}
	w.n += EntrySize(name, size)
	return nil
}

// EntrySize is what an entry takes of an archive.
func EntrySize(name string, size int64) int64 {
	up := func(n int64) int64 { return (n + 3) &^ 3 }
	return up(headerSize+int64(len(name))+1) + up(size)
}

// FileFrom writes a regular file of exactly size bytes from r.
func (w *Writer) FileFrom(name string, mode uint32, size int64, r io.Reader) error {
	if err := w.entry(name, entry{mode: TypeRegular | mode&0o7777, size: size}); err != nil {
		return err
	}
	n, err := io.CopyN(w.w, r, size)
	w.n += n
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("it ended after %d of %d bytes", n, size)
		}
		w.err = fmt.Errorf("write cpio entry %s: %w", name, err)
		return w.err
	}
	return w.pad(4)
}

// Symlink writes a symbolic link.
func (w *Writer) Symlink(name, target string) error {
	if target == "" || len(target) >= maxName || strings.ContainsRune(target, 0) {
		return fmt.Errorf("write cpio entry %s: link target %q: %w", name, target, ErrName)
	}
	if err := w.entry(name, entry{mode: TypeSymlink | 0o777, size: int64(len(target))}); err != nil {
		return err
	}
	w.write([]byte(target))
	return w.pad(4)
}

// Node writes a device node; mode holds TypeChar, TypeBlock or TypeFifo.
func (w *Writer) Node(name string, mode, major, minor uint32) error {
	switch mode & TypeMask {
	case TypeChar, TypeBlock, TypeFifo:
	default:
		return fmt.Errorf("write cpio entry %s: mode %#o is not that of a device node", name, mode)
	}
	return w.entry(name, entry{mode: mode & (TypeMask | 0o7777), major: major, minor: minor})
}

// Part hands on what was written and lets inode numbers, which mean something for
// hard links only, start again: what follows is the same wherever it stands in an
// archive.
func (w *Writer) Part() error {
	if w.err != nil {
		return w.err
	}
	w.ino = 0
	if err := w.w.Flush(); err != nil {
		w.err = fmt.Errorf("write cpio archive: %w", err)
	}
	return w.err
}

// Close writes the trailer and pads the archive with zeros to 4 bytes, so that
// another may follow. It does not close the writer below.
func (w *Writer) Close() error { return w.ClosePadded(4) }

// ClosePadded is Close with padding to a multiple of align, itself a multiple
// of 4.
func (w *Writer) ClosePadded(align int64) error {
	if w.err != nil {
		return w.err
	}
	w.header(entry{nlink: 1}, trailer)
	if err := w.pad(max(align, 4)); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("write cpio archive: %w", err)
	}
	err := w.err
	if err == nil {
		w.err = errors.New("write cpio archive: it is closed")
	}
	return err
}

type entry struct {
	mode, nlink, major, minor uint32
	size                      int64
}

func (w *Writer) entry(name string, e entry) error {
	if w.err != nil {
		return w.err
	}
	if err := CheckName(name); err != nil && !(name == "." && e.mode&TypeMask == TypeDir) {
		return fmt.Errorf("write cpio entry: %w", err)
	}
	if e.size < 0 || e.size > maxSize {
		return fmt.Errorf("write cpio entry %s: %d bytes do not fit the format, 4 GiB - 1 do", name, e.size)
	}
	if e.nlink == 0 {
		e.nlink = 1
	}
	w.header(e, name)
	return w.err
}

// header writes the fixed part and the name. Inode 0 belongs to the trailer.
func (w *Writer) header(e entry, name string) {
	ino := uint32(0)
	mtime := uint32(0)
	if name != trailer {
		w.ino++
		ino, mtime = w.ino, w.mtime
	}
	w.write(fmt.Appendf(make([]byte, 0, headerSize+len(name)+4), "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		magic, ino, e.mode, 0, 0, e.nlink, mtime, e.size, 0, 0, e.major, e.minor, len(name)+1, 0, name))
	w.pad(4)
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(b)
	w.n += int64(n)
	if err != nil {
		w.err = fmt.Errorf("write cpio archive: %w", err)
	}
}

func (w *Writer) pad(align int64) error {
	if rest := w.n % align; rest != 0 {
		w.write(make([]byte, align-rest))
	}
	return w.err
}

// CheckName tells why name cannot be the name of an entry.
func CheckName(name string) error {
	switch {
	case name == "", name == trailer, len(name) >= maxName, strings.ContainsRune(name, 0),
		strings.HasPrefix(name, "/"), name == ".", path.Clean(name) != name, name == "..", strings.HasPrefix(name, "../"):
		return fmt.Errorf("%q: %w: a clean relative path is needed", name, ErrName)
	}
	return nil
}

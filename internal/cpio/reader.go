package cpio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrFormat is the error for bytes that are no newc archive.
var ErrFormat = errors.New("not a newc cpio archive")

// Header describes one entry.
type Header struct {
	Name                 string
	Ino, Mode, UID, GID  uint32
	Nlink, MTime         uint32
	Size                 int64 // of the content; for a symlink, of its target
	DevMajor, DevMinor   uint32
	RdevMajor, RdevMinor uint32
	Link                 string // target, for a symlink
	Archive              int    // 0 for the first of several joined archives
}

// Reader reads plain archives, also several joined with zeros between them, as
// the kernel does. It does not decompress.
type Reader struct {
	r       *bufio.Reader
	n       int64 // bytes consumed
	left    int64 // content of the current entry not read yet
	archive int
	inside  bool // an archive has begun and its trailer was not seen
	err     error
	foreign int64
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// Next goes to the next entry; io.EOF is the end of the last archive.
func (r *Reader) Next() (*Header, error) {
	if r.err != nil {
		return nil, r.err
	}
	h, err := r.next()
	r.err = err
	return h, err
}

func (r *Reader) next() (*Header, error) {
	if err := r.discard(r.left); err != nil {
		return nil, r.cut(err)
	}
	r.left = 0
	for {
		if !r.inside {
			if err := r.skipZeros(); err != nil {
				return nil, err // io.EOF between archives is the end
			}
			r.inside = true
		} else if err := r.align(); err != nil {
			return nil, r.cut(err)
		}
		h, err := r.header()
		if err != nil {
			return nil, err
		}
		if h.Name == trailer {
			r.inside = false
			r.archive++
			continue
		}
		r.left = h.Size
		if h.Mode&TypeMask == TypeSymlink {
			if h.Size >= maxName {
				return nil, fmt.Errorf("read cpio entry %q: link target of %d bytes: %w", h.Name, h.Size, ErrFormat)
			}
			b := make([]byte, h.Size)
			if _, err := io.ReadFull(r, b); err != nil {
				return nil, r.cut(err)
			}
			h.Link = string(b)
		}
		return h, nil
	}
}

// Read reads the content of the current entry.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.r.Read(p)
	r.n += int64(n)
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}

// Foreign is where the bytes start that are no archive, after Next has returned
// ErrFormat for them: a compressed archive that follows plain ones.
func (r *Reader) Foreign() int64 { return r.foreign }

func (r *Reader) header() (*Header, error) {
	var b [headerSize]byte
	at := r.n
	if err := r.full(b[:]); err != nil {
		return nil, r.cut(err)
	}
	if string(b[:6]) != magic {
		r.foreign = at
		return nil, fmt.Errorf("read cpio archive at byte %d: magic %q, wanted %q: %w", at, b[:6], magic, ErrFormat)
	}
	var f [13]uint32
	for i := range f {
		v, err := strconv.ParseUint(string(b[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return nil, fmt.Errorf("read cpio archive at byte %d: field %d is %q: %w", at, i, b[6+8*i:14+8*i], ErrFormat)
		}
		f[i] = uint32(v)
	}
	if f[11] == 0 || f[11] > maxName {
		return nil, fmt.Errorf("read cpio archive at byte %d: name of %d bytes: %w", at, f[11], ErrFormat)
	}
	name := make([]byte, f[11])
	if err := r.full(name); err != nil {
		return nil, r.cut(err)
	}
	text, ok := strings.CutSuffix(string(name), "\x00")
	if !ok || strings.ContainsRune(text, 0) {
		return nil, fmt.Errorf("read cpio archive at byte %d: name %q does not end in NUL: %w", at, name, ErrFormat)
	}
	if err := r.align(); err != nil && !(errors.Is(err, io.EOF) && text == trailer) {
		return nil, r.cut(err)
	}
	return &Header{
		Name: text, Ino: f[0], Mode: f[1], UID: f[2], GID: f[3], Nlink: f[4], MTime: f[5], Size: int64(f[6]),
		DevMajor: f[7], DevMinor: f[8], RdevMajor: f[9], RdevMinor: f[10], Archive: r.archive,
	}, nil
}

func (r *Reader) full(b []byte) error {
	n, err := io.ReadFull(r.r, b)
	r.n += int64(n)
	return err
}

func (r *Reader) align() error { return r.discard((4 - r.n%4) % 4) }

func (r *Reader) discard(n int64) error {
	m, err := io.CopyN(io.Discard, r.r, n)
	r.n += m
	return err
}

func (r *Reader) skipZeros() error {
	for {
		b, err := r.r.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return r.r.UnreadByte()
		}
		r.n++
	}
}

func (r *Reader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read cpio archive at byte %d: %w", r.n, err)
}

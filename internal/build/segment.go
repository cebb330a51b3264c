package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"bareroot/internal/bootset"
	"bareroot/internal/cpio"
)

// segmentWriter writes one segment: an archive, compressed or plain, hashed and
// padded to 4 bytes as it is written.
type segmentWriter struct {
	kind  string
	name  string
	blob  *hashing
	codec codec
	pack  io.WriteCloser // the encoder
	cpio  *cpio.Writer
	files []bootset.File
	n     int
	raw   int64
	start time.Time

	unhashed bool        // as in making
	known    *knownFiles // as in making

	mtime  time.Time
	piece  int64 // where the archive's piece began, for an encoder of pieces
	padded int64 // zeros after a zstd frame
}

// hashing counts and hashes what passes through it.
type hashing struct {
	w io.Writer
	h interface {
		io.Writer
		Sum([]byte) []byte
	} // nil to count only
	n int64
}

func newHashing(w io.Writer) *hashing { return &hashing{w: w, h: sha256.New()} }

// Write hashes and writes, at once if it is worth it. What is hashed but not
// written comes with an error.
func (h *hashing) Write(b []byte) (int, error) {
	var hashed sync.WaitGroup
	switch {
	case h.h == nil:
	case len(b) >= beside/2:
		hashed.Go(func() { h.h.Write(b) })
	default:
		h.h.Write(b)
	}
	n, err := h.w.Write(b)
	hashed.Wait()
	h.n += int64(n)
	return n, err
}

// beside is the size of what plain segments write at once: hashing takes as long
// as writing, and so much longer than to start a goroutine.
const beside = 512 << 10

func (h *hashing) blob(name string) bootset.Blob {
	if h.h == nil {
		return bootset.Blob{File: name, Size: h.n}
	}
	return bootset.Blob{File: name, Size: h.n, SHA256: hex.EncodeToString(h.h.Sum(nil))}
}

func newSegment(ctx context.Context, w io.Writer, kind, name string, c codec, mtime time.Time, m making) (*segmentWriter, error) {
	s := &segmentWriter{kind: kind, name: name, codec: c, blob: newHashing(w), start: time.Now()}
	var err error
	s.known = m.known
	if s.unhashed = m.unhashed; s.unhashed {
		s.blob.h = nil
	}
	if s.pack, err = c.writer(ctx, s.blob, m); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if s.cpio = cpio.NewWriter(s.pack); c.name == "none" {
		s.cpio = cpio.NewWriterSize(s.pack, beside)
	}
	s.mtime = mtime
	s.cpio.SetModTime(mtime)
	return s, nil
}

// put writes one item, whose content is in Data or at From, and returns the
// content's hash.
func (s *segmentWriter) put(it item) (sum []byte, err error) {
	if g, ok := s.pack.(*gzipStream); ok && (it.size() >= ownPiece || s.cpio.Size()-s.piece >= ownPiece) {
		if err := s.cpio.Part(); err != nil {
			return nil, err
		}
		g.cut()
		s.piece = s.cpio.Size()
	}
	switch it.Mode & cpio.TypeMask {
	case cpio.TypeDir:
		err = s.cpio.Dir(it.Path, it.Mode)
	case cpio.TypeSymlink:
		err = s.cpio.Symlink(it.Path, it.Link)
	case cpio.TypeChar:
		err = s.cpio.Node(it.Path, it.Mode, it.Major, it.Minor)
	default:
		if g, ok := s.pack.(*gzipStream); ok && g.keep != nil && s.known != nil && it.size() >= ownPiece {
			sum, err = s.whole(g, it)
		} else {
			sum, err = s.regular(it)
		}
	}
	if err != nil {
		return nil, err
	}
	f := describe(s.kind, it, sum)
	if it.regular() {
		s.raw += f.Size
		s.n++
	}
	s.files = append(s.files, f)
	return sum, nil
}

// all writes items.
func (s *segmentWriter) all(items []item) error {
	for _, it := range items {
		if _, err := s.put(it); err != nil {
			return fmt.Errorf("write %s: %w", s.name, err)
		}
	}
	return nil
}

// whole writes a file that has pieces of its own, or takes them from the cache
// without reading it.
func (s *segmentWriter) whole(g *gzipStream, it item) (sum []byte, err error) {
	size := cpio.EntrySize(it.Path, it.size())
	name := func() [32]byte {
		return sha256.Sum256(fmt.Appendf(nil, "whole %d %q %o %d %x", s.mtime.Unix(), it.Path, it.Mode, it.size(), sum))
	}
	var learn func([]byte)
	if it.Data != nil || it.From == "" {
		of := sha256.Sum256(it.Data)
		sum = of[:]
	} else if sum, learn, err = s.known.look(it.From); err != nil {
		return nil, err
	}
	if sum != nil && g.take(name(), size) {
		return s.sum(sum), s.cpio.Elsewhere(it.Path, it.size())
	}
	g.begin(size)
	unhashed := s.unhashed
	s.unhashed = false
	sum, err = s.regular(it)
	s.unhashed = unhashed
	if err != nil {
		return nil, err
	}
	if err := s.cpio.Part(); err != nil {
		return nil, err
	}
	g.end(name())
	if learn != nil {
		learn(sum)
	}
	s.piece = s.cpio.Size()
	return s.sum(sum), nil
}

// sum is a hash, if anybody asks for it.
func (s *segmentWriter) sum(sum []byte) []byte {
	if s.unhashed {
		return nil
	}
	return sum
}

// describe is an item's line in files.json.
func describe(kind string, it item, sum []byte) bootset.File {
	f := bootset.File{Path: it.Path, Segment: kind, Source: it.From, Why: it.Why}
	switch it.Mode & cpio.TypeMask {
	case cpio.TypeDir:
		f.Mode = "directory"
	case cpio.TypeSymlink:
		f.Mode, f.Source = "symlink", it.Link
	case cpio.TypeChar:
		f.Mode = "device"
	default:
		f.Mode, f.SHA256, f.Size = fmt.Sprintf("%04o", it.Mode&0o7777), hex.EncodeToString(sum), it.size()
	}
	return f
}

func (s *segmentWriter) regular(it item) ([]byte, error) {
	switch {
	case it.Data == nil && it.From != "":
	case s.unhashed:
		return nil, s.cpio.File(it.Path, it.Mode, it.Data)
	default:
		sum := sha256.Sum256(it.Data)
		return sum[:], s.cpio.File(it.Path, it.Mode, it.Data)
	}
	f, err := os.Open(it.From)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if s.unhashed {
		return nil, s.cpio.FileFrom(it.Path, it.Mode, it.Size, f)
	}
	h := sha256.New()
	err = s.cpio.FileFrom(it.Path, it.Mode, it.Size, io.TeeReader(f, h))
	return h.Sum(nil), err
}

// module writes a module that is compressed already, and says where in a plain
// segment.
func (s *segmentWriter) module(name string, m packed) (at int64, err error) {
	if err := s.cpio.File(name, 0o644, m.Compressed); err != nil {
		return 0, err
	}
	s.files = append(s.files, bootset.File{
		Path: name, Segment: s.kind, Size: m.Size, Mode: "0644", SHA256: m.SHA256, Source: m.From, Why: m.Why,
	})
	s.raw += m.Size
	s.n++
	return s.cpio.Size() - (int64(len(m.Compressed))+3)&^3, nil
}

// close ends the segment and describes it.
func (s *segmentWriter) close() (bootset.Segment, SegmentResult, error) {
	err := s.cpio.Close()
	if a, ok := s.pack.(aligner); ok && err == nil {
		err = a.align(func() int64 { return s.blob.n })
	}
	err = errors.Join(err, s.pack.Close())
	if s.codec.name != "none" && err == nil && !(s.kind == kindMain && s.codec.name == "lz4") {
		s.padded = (4 - s.blob.n%4) % 4
		if s.codec.name == "lz4" {
			s.padded += 4 // a length of zero is what ends a legacy frame for the kernel
		}
		_, err = s.blob.Write(make([]byte, s.padded))
	}
	if err != nil {
		return bootset.Segment{}, SegmentResult{}, fmt.Errorf("write %s: %w", s.name, err)
	}
	seg := bootset.Segment{Kind: s.kind, Compression: s.codec.word(), Blob: s.blob.blob(s.name)}
	return seg, SegmentResult{
		Kind: s.kind, File: s.name, Files: s.n, Raw: s.raw, Size: seg.Size, Seconds: time.Since(s.start).Seconds(),
	}, nil
}

// packed is a module ready to be written.
type packed struct {
	moduleFacts
	Compressed []byte
	From, Why  string
}

// indexItems are the module tree's text files as items.
func indexItems(root string, files map[string][]byte) []item {
	var out []item
	for name, b := range files {
		out = append(out, item{Path: root + "/" + name, Mode: cpio.TypeRegular | 0o644, Data: b, Why: "index of the modules"})
	}
	slices.SortFunc(out, func(a, b item) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return out
}

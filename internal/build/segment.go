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
	"time"

	"github.com/klauspost/compress/zstd"

	"bareroot/internal/bootset"
	"bareroot/internal/cpio"
)

// segmentWriter writes one segment: an archive, compressed or plain, hashed and
// padded to 4 bytes as it is written.
type segmentWriter struct {
	kind  string
	name  string
	blob  *hashing
	zstd  *zstd.Encoder
	cpio  *cpio.Writer
	files []bootset.File
	n     int
	raw   int64
	start time.Time

	padded int64 // zeros after a zstd frame
}

// hashing counts and hashes what passes through it.
type hashing struct {
	w io.Writer
	h interface {
		io.Writer
		Sum([]byte) []byte
	}
	n int64
}

func newHashing(w io.Writer) *hashing { return &hashing{w: w, h: sha256.New()} }

func (h *hashing) Write(b []byte) (int, error) {
	n, err := h.w.Write(b)
	h.h.Write(b[:n])
	h.n += int64(n)
	return n, err
}

func (h *hashing) blob(name string) bootset.Blob {
	return bootset.Blob{File: name, Size: h.n, SHA256: hex.EncodeToString(h.h.Sum(nil))}
}

func newSegment(w io.Writer, kind, name string, compressed bool, mtime time.Time) (*segmentWriter, error) {
	s := &segmentWriter{kind: kind, name: name, blob: newHashing(w), start: time.Now()}
	if !compressed {
		s.cpio = cpio.NewWriter(s.blob)
	} else {
		var err error
		if s.zstd, err = newEncoder(s.blob); err != nil {
			return nil, err
		}
		s.cpio = cpio.NewWriter(s.zstd)
	}
	s.cpio.SetModTime(mtime)
	return s, nil
}

// newEncoder makes an encoder whose output does not depend on the machine: one
// goroutine, one level.
func newEncoder(w io.Writer) (*zstd.Encoder, error) {
	e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return e, nil
}

// put writes one item, whose content is in Data or at From.
func (s *segmentWriter) put(it item) error {
	f := bootset.File{Path: it.Path, Segment: s.kind, Source: it.From, Why: it.Why}
	switch it.Mode & cpio.TypeMask {
	case cpio.TypeDir:
		f.Mode = "directory"
		if err := s.cpio.Dir(it.Path, it.Mode); err != nil {
			return err
		}
	case cpio.TypeSymlink:
		f.Mode, f.Source = "symlink", it.Link
		if err := s.cpio.Symlink(it.Path, it.Link); err != nil {
			return err
		}
	case cpio.TypeChar:
		f.Mode = "device"
		if err := s.cpio.Node(it.Path, it.Mode, it.Major, it.Minor); err != nil {
			return err
		}
	default:
		sum, err := s.regular(it)
		if err != nil {
			return err
		}
		f.Mode, f.SHA256, f.Size = fmt.Sprintf("%04o", it.Mode&0o7777), hex.EncodeToString(sum), it.Size
		if it.Data != nil {
			f.Size = int64(len(it.Data))
		}
		s.raw += f.Size
		s.n++
	}
	s.files = append(s.files, f)
	return nil
}

func (s *segmentWriter) regular(it item) ([]byte, error) {
	if it.Data != nil || it.From == "" {
		sum := sha256.Sum256(it.Data)
		return sum[:], s.cpio.File(it.Path, it.Mode, it.Data)
	}
	f, err := os.Open(it.From)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	return h.Sum(nil), s.cpio.FileFrom(it.Path, it.Mode, it.Size, io.TeeReader(f, h))
}

// module writes a module that is compressed already.
func (s *segmentWriter) module(name string, m packed) error {
	if err := s.cpio.File(name, 0o644, m.Compressed); err != nil {
		return err
	}
	s.files = append(s.files, bootset.File{
		Path: name, Segment: s.kind, Size: m.Size, Mode: "0644", SHA256: m.SHA256, Source: m.From, Why: m.Why,
	})
	s.raw += m.Size
	s.n++
	return nil
}

// close ends the segment and describes it.
func (s *segmentWriter) close() (bootset.Segment, SegmentResult, error) {
	seg := bootset.Segment{Kind: s.kind}
	err := s.cpio.Close()
	if s.zstd != nil {
		err = errors.Join(err, s.alignFrame(), s.zstd.Close())
		seg.Compression = "zstd"
		if rest := s.blob.n % 4; rest != 0 && err == nil {
			s.padded = 4 - rest
			_, err = s.blob.Write(make([]byte, s.padded))
		}
	}
	if err != nil {
		return seg, SegmentResult{}, fmt.Errorf("write %s: %w", s.name, err)
	}
	seg.Blob = s.blob.blob(s.name)
	return seg, SegmentResult{
		Kind: s.kind, File: s.name, Files: s.n, Raw: s.raw, Size: seg.Size, Seconds: time.Since(s.start).Seconds(),
	}, nil
}

// alignFrame lets the zstd frame end on a multiple of 4 by itself, by a few
// zeros after the archive, so that the zstd program does not stumble over zeros
// after the frame. A short block is stored as it is, 3 bytes of header before
// it; the frame's end is an empty block and a checksum, 7 bytes. Should another
// encoder do otherwise, close pads.
func (s *segmentWriter) alignFrame() error {
	const head, end = 3, 3 + 4
	if err := s.zstd.Flush(); err != nil {
		return err
	}
	if (s.blob.n+end)%4 == 0 {
		return nil
	}
	n := 4 - (s.blob.n+head+end)%4
	if _, err := s.zstd.Write(make([]byte, n)); err != nil {
		return err
	}
	return s.zstd.Flush()
}

// whole writes a segment of items.
func whole(ctx context.Context, w io.Writer, kind, name string, compressed bool, o *Options, items []item) (*segmentWriter, error) {
	s, err := newSegment(w, kind, name, compressed, o.ModTime)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.put(it); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return s, nil
}

// packed is a module ready to be written.
type packed struct {
	Compressed []byte
	Size       int64 // before compression
	SHA256     string
	From, Why  string
	Firmware   []string
}

// packModule reads one module and compresses it by itself.
func packModule(enc *zstd.Encoder, from string, c chosen, arch string) (packed, error) {
	b, err := readModule(from)
	if err != nil {
		return packed{}, err
	}
	firmware, machine, err := moduleInfo(b)
	if err != nil {
		return packed{}, fmt.Errorf("kernel module %s is damaged: %w", from, err)
	}
	if archOf(machine) != arch {
		return packed{}, inputError{fmt.Errorf("kernel module %s is for %s, bareroot-init for %s", from, archOf(machine), arch)}
	}
	sum := sha256.Sum256(b)
	return packed{
		Compressed: enc.EncodeAll(b, make([]byte, 0, len(b)/3)), Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]),
		From: from, Why: c.Why, Firmware: firmware,
	}, nil
}

// indexItems are the module tree's text files as items.
func indexItems(root string, files map[string][]byte) []item {
	var out []item
	for name, b := range files {
		out = append(out, item{Path: root + "/" + name, Mode: cpio.TypeRegular | 0o644, Data: bytes.Clone(b), Why: "index of the modules"})
	}
	slices.SortFunc(out, func(a, b item) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return out
}

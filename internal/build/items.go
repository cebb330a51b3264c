package build

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
	"bareroot/internal/cpio"
)

// smallPlain is the size below which a plain segment is sooner made than looked up.
const smallPlain = 256 << 10

// items writes a segment of items, if there are any, or takes it from the cache if
// it was made before from the same contents. Of gzip's the pieces are kept.
func (a *assembler) items(ctx context.Context, i int, kind, name string, c codec, items []item) error {
	if len(items) == 0 {
		return nil
	}
	name += c.suffix()
	start := time.Now()
	if a.o.Cache == nil || c.name == "gzip" || c.name == "none" && contentSize(items) < smallPlain {
		return a.fresh(ctx, i, kind, name, c, items, nil, nil)
	}
	content, err := a.known.sums(ctx, items)
	if err != nil {
		return err
	}
	key := contentKey(kind, c.params(), a.o.ModTime, items, content, nil)
	f := a.o.Cache.OpenFile(key)
	if f == nil {
		return a.fresh(ctx, i, kind, name, c, items, content, &keeping{key: key, dear: c.name != "none"})
	}
	p := &part{}
	p.describe(kind, items, content)
	return a.take(i, kind, name, c, p, f, start)
}

func contentSize(items []item) (n int64) {
	for _, it := range items {
		n += it.size()
	}
	return n
}

// describe adds the lines of items whose contents have these hashes.
func (p *part) describe(kind string, items []item, sums [][]byte) {
	for i, it := range items {
		f := describe(kind, it, sums[i])
		if it.regular() {
			p.line.Files++
			p.line.Raw += f.Size
		}
		p.files = append(p.files, f)
	}
}

// take makes a kept file the segment that p describes.
func (a *assembler) take(i int, kind, name string, c codec, p *part, f *cache.File, start time.Time) error {
	p.seg = bootset.Segment{Kind: kind, Compression: c.word(), Blob: bootset.Blob{File: name, Size: f.Size, SHA256: string(f.Info)}}
	p.line.Kind, p.line.File, p.line.Size, p.line.Cached = kind, name, f.Size, true
	err := a.to.kept(i, name, f)
	p.line.Seconds = time.Since(start).Seconds()
	a.made[i] = p
	return err
}

// fresh writes a segment of items.
func (a *assembler) fresh(ctx context.Context, i int, kind, name string, c codec, items []item, sums [][]byte, keep *keeping) error {
	w, err := a.create(i, name, keep)
	if err != nil {
		return err
	}
	defer w.Close()
	s, err := a.written(ctx, w, kind, name, c, items, sums)
	if err != nil {
		return err
	}
	return a.finish(i, s, w, keep)
}

// written writes items as a segment. Their contents must be those of sums, if
// sums are given.
func (a *assembler) written(ctx context.Context, w io.Writer, kind, name string, c codec, items []item, sums [][]byte) (*segmentWriter, error) {
	s, err := newSegment(ctx, w, kind, name, c, a.o.ModTime, making{a.o.Cache, a.o.Jobs, a.o.TwoParts && sums == nil, a.known})
	if err != nil {
		return nil, err
	}
	for i, it := range items {
		if err := ctx.Err(); err != nil {
			s.pack.Close()
			return nil, err
		}
		sum, err := s.put(it)
		if err == nil && sums != nil && !bytes.Equal(sum, sums[i]) {
			err = fmt.Errorf("%s changed while it was read; build again", it.From)
		}
		if err != nil {
			s.pack.Close()
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return s, nil
}

// finish ends a segment that was written to w.
func (a *assembler) finish(i int, s *segmentWriter, w partWriter, keep *keeping) error {
	seg, line, err := s.close()
	if err == nil {
		err = w.WriteCloser.Close()
	}
	if err == nil && keep != nil {
		w.also.Keep(keep.key, []byte(seg.SHA256))
	}
	a.made[i] = &part{seg: seg, line: line, files: s.files, keep: keep}
	return err
}

// keeping is what a part of the output is to be kept as.
type keeping struct {
	key  cache.Key // set when it is known, at the latest when the part is finished
	dear bool      // to make: it is kept at once, also where that is a copy
	blob bootset.Blob
}

// partWriter writes a part of the output, which may be kept while it is written.
type partWriter struct {
	io.WriteCloser
	also *cache.Making
}

// create makes a part. Where the output cannot share it with the cache afterwards,
// it is kept while it is made.
func (a *assembler) create(i int, name string, keep *keeping) (partWriter, error) {
	w, err := a.to.create(i, name)
	p := partWriter{WriteCloser: w}
	if err == nil && keep != nil && !a.to.links() && (keep.dear || a.o.Cache.Seen(keep.key)) {
		p.also = a.o.Cache.Make()
	}
	return p, err
}

func (p partWriter) Write(b []byte) (int, error) {
	if p.also == nil {
		return p.WriteCloser.Write(b)
	}
	var kept sync.WaitGroup
	kept.Go(func() { _, _ = p.also.Write(b) })
	defer kept.Wait()
	return p.WriteCloser.Write(b)
}

// Close ends the part. It is not kept unless it was before.
func (p partWriter) Close() error {
	p.also.Drop()
	return p.WriteCloser.Close()
}

// kernelFile copies the kernel, or takes what was kept of it.
func (a *assembler) kernelFile(ctx context.Context) (bootset.Blob, error) {
	const name = "vmlinuz"
	var keep *keeping
	if a.o.Cache != nil {
		sums, err := a.known.sums(ctx, []item{{Path: name, Mode: cpio.TypeRegular, From: a.r.kernel}})
		if err != nil {
			return bootset.Blob{}, fmt.Errorf("read kernel: %w", err)
		}
		keep = &keeping{key: cache.Key{Kind: "file", Content: [32]byte(sums[0]), Params: "kernel " + unitVersion}}
		if f := a.o.Cache.OpenFile(keep.key); f != nil {
			return bootset.Blob{File: name, Size: f.Size, SHA256: string(f.Info)}, a.to.kept(parts, name, f)
		}
	}
	w, err := a.create(parts, name, keep)
	if err != nil {
		return bootset.Blob{}, err
	}
	defer w.Close()
	blob, err := copyKernel(a.r.kernel, w)
	if err == nil && keep != nil && hex.EncodeToString(keep.key.Content[:]) == blob.SHA256 {
		w.also.Keep(keep.key, []byte(blob.SHA256))
		keep.blob = blob
		a.kernel = keep
	}
	return blob, err
}

func copyKernel(from string, w partWriter) (bootset.Blob, error) {
	f, err := os.Open(from)
	if err != nil {
		return bootset.Blob{}, fmt.Errorf("read kernel: %w", err)
	}
	defer f.Close()
	h := newHashing(w)
	if _, err := io.Copy(h, f); err != nil {
		return bootset.Blob{}, fmt.Errorf("copy kernel %s: %w", from, err)
	}
	return h.blob("vmlinuz"), w.WriteCloser.Close()
}

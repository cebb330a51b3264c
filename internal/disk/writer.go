package disk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/sys"
)

// Geometry of the pass. Four buffers keep reader and writers apart; two
// writes in flight keep a disk with a queue busy.
const (
	chunkSize = 2 << 20
	chunks    = 4
	writers   = 2
	unit      = 64 << 10 // granularity of the search for zeros
	minHole   = 256 << 10
	maxZero   = 256 << 20 // one request; bounds the wait for a cancelled one
)

// Writer puts one image on one device: Begin, Copy, Finish, in this order.
type Writer struct {
	Dev   *Device
	Image *Image
	Mark  Mark

	done    atomic.Int64 // bytes of the image handled
	written atomic.Int64 // bytes written, holes not counted
}

// Done is how many bytes of the image are on the disk (or held back).
func (w *Writer) Done() int64 { return w.done.Load() }

// Written is how many bytes were written, holes not counted.
func (w *Writer) Written() int64 { return w.written.Load() }

// Begin is the first destructive step: it wipes the old partition tables,
// the one at the end first, and marks the disk.
func (w *Writer) Begin() error {
	d := w.Dev
	if err := w.Image.Fits(d.Size, d.Sector); err != nil {
		return err
	}
	mark, err := w.Mark.sector(d.Sector)
	if err != nil {
		return err
	}
	if tail := max(HeadSize, d.Size-HeadSize); tail < d.Size {
		if err := d.zero(tail, d.Size-tail); err != nil {
			return fmt.Errorf("wipe the end of the disk: %w", err)
		}
		if err := d.Sync(); err != nil {
			return err
		}
	}
	head := make([]byte, min(HeadSize, d.Size))
	copy(head, mark)
	if err := d.writeCopy(head, 0); err != nil {
		return fmt.Errorf("wipe the start of the disk: %w", err)
	}
	if err := d.Sync(); err != nil {
		return err
	}
	// The kernel forgets the old partitions; one that is in use stops us here.
	if _, err := d.Reread(); err != nil {
		return fmt.Errorf("the disk is in use: %w", err)
	}
	w.done.Store(int64(len(w.Image.Head)))
	return nil
}

// SourceError marks a failure that came with the image's bytes, not from the
// disk.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }
func (e *SourceError) Unwrap() error { return e.Err }

// job is a piece for a writer: data at off, or n zeros if buf is nil.
type job struct {
	buf  []byte // whole chunk, to give back
	runs []run  // of buf, to write
	off  int64  // of buf
	n    int64
}

type run struct{ from, to int }

// Copy reads the rest of the image from r to its end and writes it behind the
// head. It owns its goroutines: they have ended when it returns. r must
// return when ctx is cancelled.
func (w *Writer) Copy(ctx context.Context, r io.Reader) error {
	pool, err := sys.AlignedBuffer(chunkSize * chunks)
	if err != nil {
		return err
	}
	defer sys.FreeBuffer(pool)
	free := make(chan []byte, chunks)
	for i := range chunks {
		free <- pool[i*chunkSize:][:chunkSize:chunkSize]
	}
	jobs := make(chan job, chunks)
	g, gctx := errgroup.WithContext(ctx)
	for range writers {
		g.Go(func() error {
			for j := range jobs {
				if err := w.do(gctx, j); err != nil {
					return err
				}
				if j.buf != nil {
					free <- j.buf
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(jobs)
		return w.split(gctx, r, free, jobs)
	})
	return g.Wait()
}

func (w *Writer) do(ctx context.Context, j job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.buf == nil {
		if err := w.Dev.zero(j.off, j.n); err != nil {
			return err
		}
		w.done.Add(j.n)
		return nil
	}
	for _, r := range j.runs {
		if err := w.Dev.writeAt(j.buf[r.from:r.to], j.off+int64(r.from)); err != nil {
			return err
		}
		w.written.Add(int64(r.to - r.from))
	}
	w.done.Add(j.n)
	return nil
}

// split cuts the stream into chunks, finds the holes, and hands both out.
func (w *Writer) split(ctx context.Context, r io.Reader, free <-chan []byte, jobs chan<- job) error {
	send := func(j job) error {
		select {
		case jobs <- j:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	pos := int64(len(w.Image.Head))
	hole := pos // zeros not handed out yet start here and end at pos
	flush := func(end int64) error {
		for hole < end {
			n := min(end-hole, maxZero)
			if err := send(job{off: hole, n: n}); err != nil {
				return err
			}
			hole += n
		}
		return nil
	}
	var buf []byte // kept while there is nothing in it to write
	for {
		if buf == nil {
			select {
			case buf = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n, err := readFull(r, buf)
		if err != nil && err != io.EOF {
			return &SourceError{err}
		}
		if err := w.room(pos + int64(n)); err != nil {
			return err
		}
		whole := roundUp(n, w.Dev.Sector)
		clear(buf[n:whole])
		if runs := dataRuns(buf[:whole]); len(runs) > 0 {
			// Zeros before the first data belong to the hole that is open.
			if err := flush(pos + int64(runs[0].from)); err != nil {
				return err
			}
			last, data := runs[0].from, 0
			for _, r := range runs {
				if r.from > last { // a hole inside the chunk
					if err := send(job{off: pos + int64(last), n: int64(r.from - last)}); err != nil {
						return err
					}
				}
				last, data = r.to, data+r.to-r.from
			}
			if err := send(job{buf: buf, runs: runs, off: pos, n: int64(data)}); err != nil {
				return err
			}
			buf, hole = nil, pos+int64(last)
		}
		pos += int64(whole)
		if pos-hole >= maxZero || err == io.EOF {
			if err := flush(pos); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if end := pos - int64(whole-n); w.Image.Size > 0 && end != w.Image.Size {
				return &SourceError{fmt.Errorf("the image ends after %d bytes, the order says %d", end, w.Image.Size)}
			}
			return nil
		}
	}
}

// room refuses more bytes than the order or the disk has.
func (w *Writer) room(end int64) error {
	if size := w.Image.Size; size > 0 && end > size {
		return &SourceError{fmt.Errorf("the image is longer than the %d bytes that the order says", size)}
	}
	if end > w.Dev.Size {
		return fmt.Errorf("the image is larger than %s, which has %d bytes", w.Dev.Path, w.Dev.Size)
	}
	return nil
}

var zeros [unit]byte

// dataRuns finds what must be written of b: everything but zeros in long
// enough stretches. Short stretches inside data are cheaper to write.
func dataRuns(b []byte) []run {
	var out []run
	for from := 0; from < len(b); from += unit {
		to := min(from+unit, len(b))
		if bytes.Equal(b[from:to], zeros[:to-from]) {
			continue
		}
		if k := len(out) - 1; k >= 0 && from-out[k].to < minHole {
			out[k].to = to
		} else {
			out = append(out, run{from, to})
		}
	}
	return out
}

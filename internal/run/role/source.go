package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/human"
	"bareroot/internal/stream"
)

// Read-ahead between the network and the decoder.
const (
	aheadSize  = 1 << 20
	aheadDepth = 4
)

// run is one deployment under way.
type run struct {
	*Deploy
	order   api.Order
	spec    api.DeploySpec
	rep     Reporter
	image   *disk.Image
	writer  *disk.Writer
	writing bool // the disk was touched and is not complete

	read       atomic.Int64 // bytes from the network
	imageBytes int64
	diskID     string
	seconds    map[string]float64
	current    string
	since      time.Time
}

// source is the chain from the socket to the image's bytes.
type source struct {
	body  io.ReadCloser
	ahead *stream.Ahead
	raw   io.ReadCloser
}

func (r *run) open(ctx context.Context, s *source) (err error) {
	im := r.spec.Image
	if s.body, err = r.Fetch.Open(ctx, im); err != nil {
		return err
	}
	s.ahead = stream.NewAhead(&counter{s.body, &r.read}, aheadSize, aheadDepth)
	if s.raw, err = stream.Decode(s.ahead, im.Compression); err != nil {
		return err
	}
	return nil
}

// close ends the chain from its end; the context of the download is
// cancelled already.
func (s *source) close() {
	if s.raw != nil {
		s.raw.Close()
	}
	if s.ahead != nil {
		s.ahead.Close()
	}
	if s.body != nil {
		s.body.Close()
	}
}

// explain finds out whether an image that cannot be read is the one that was
// ordered: a changed byte shows as damage in the decoder before the hash is
// known. It reads the download to its end.
func (s *source) explain(ctx context.Context, err error) error {
	var m *stream.MismatchError
	if ctx.Err() != nil || errors.As(err, &m) {
		return err
	}
	s.raw.Close()
	_, drained := io.Copy(io.Discard, s.ahead)
	switch {
	case errors.As(drained, &m):
		return fmt.Errorf("%w (seen first as: %v)", m, err)
	case drained != nil:
		return err
	}
	return fmt.Errorf("%w; the download is what was ordered, so the image itself is bad", err)
}

type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// phase ends the current phase and starts the next.
func (r *run) phase(name string) {
	r.endPhase()
	r.current, r.since = name, time.Now()
	r.rep.Progress(name, 0, 0, 0)
	fmt.Fprintf(r.Console, "deploy: %s\n", name)
}

func (r *run) endPhase() {
	if r.current != "" {
		r.seconds[r.current] = time.Since(r.since).Seconds()
		r.current = ""
	}
}

// position is how far the pass is, in bytes of the image if its size is
// known, else of the download.
func (r *run) position() (done, total int64) {
	if size := r.spec.Image.RawSize; size > 0 {
		return r.writer.Done(), size
	}
	return r.read.Load(), r.spec.Image.Size
}

// watch reports progress each second, and on the console every five. The
// returned function ends it, with a last report.
func (r *run) watch(ctx context.Context) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	phase := r.current
	go func() {
		defer close(done)
		t := time.NewTicker(time.Second)
		defer t.Stop()
		start, last := time.Now(), time.Now()
		var before int64
		for n := 1; ; n++ {
			select {
			case now := <-t.C:
				pos, total := r.position()
				rate := int64(float64(pos-before) / now.Sub(last).Seconds())
				before, last = pos, now
				r.rep.Progress(phase, pos, total, rate)
				if n%5 == 0 {
					r.line(pos, total, start)
				}
			case <-quit:
				pos, total := r.position()
				r.rep.Progress(phase, pos, total, int64(float64(pos)/max(time.Since(start).Seconds(), 1e-3)))
				r.line(pos, total, start)
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

func (r *run) line(pos, total int64, start time.Time) {
	took := time.Since(start)
	rate := float64(pos) / max(took.Seconds(), 1e-3)
	left := ""
	if rate > 1 && total > pos {
		left = ", " + human.Duration(time.Duration(float64(total-pos)/rate*float64(time.Second))) + " left"
	}
	fmt.Fprintf(r.Console, "deploy: %s of %s (%d%%), %s%s\n", human.Bytes(pos), human.Bytes(total), 100*pos/max(total, 1), human.Rate(int64(rate)), left)
}

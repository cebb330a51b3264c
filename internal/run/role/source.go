package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/human"
	"bareroot/internal/plan"
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
	since      time.Time

	mu      sync.Mutex // for the goroutine that reports progress; held while reporting, so that phases keep their order
	current string     // phase
	started *disk.Writer
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
	r.mu.Lock()
	r.current, r.since, r.started = name, time.Now(), r.writer
	r.rep.Progress(name, 0, 0, 0)
	r.mu.Unlock()
	fmt.Fprintf(r.Console, "deploy: %s\n", name)
}

func (r *run) endPhase() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != "" {
		r.seconds[r.current] = time.Since(r.since).Seconds()
		r.current = ""
	}
}

// position is the phase, and how far it is: in bytes of the image if its size
// is known, else of the download. The caller holds mu.
func (r *run) position() (phase string, done, total int64) {
	switch size := r.spec.Image.RawSize; {
	case r.current != plan.PhaseWrite:
		return r.current, 0, 0
	case size > 0:
		return r.current, r.started.Done(), size
	}
	return r.current, r.read.Load(), r.spec.Image.Size
}

// watch reports progress each second, in the phases without a measure as a
// sign of life, and on the console every five. The returned function ends it.
func (r *run) watch() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(time.Second)
		defer t.Stop()
		var m meter
		for {
			select {
			case now := <-t.C:
				r.tick(now, &m)
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// meter measures the rate.
type meter struct {
	start, last time.Time
	before      int64
}

func (r *run) tick(now time.Time, m *meter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	phase, pos, total := r.position()
	if phase != plan.PhaseWrite {
		if phase != "" {
			r.rep.Progress(phase, 0, 0, 0)
		}
		return
	}
	if m.start.IsZero() {
		m.start, m.last = r.since, r.since
	}
	r.rep.Progress(phase, pos, total, int64(float64(pos-m.before)/max(now.Sub(m.last).Seconds(), 1e-3)))
	m.before, m.last = pos, now
	if int(now.Sub(m.start).Seconds()+0.5)%5 == 0 {
		r.line(pos, total, now.Sub(m.start))
	}
}

// written is the last report of the pass, with its mean rate.
func (r *run) written() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, pos, total := r.position()
	took := time.Since(r.since)
	r.rep.Progress(plan.PhaseWrite, pos, total, int64(float64(pos)/max(took.Seconds(), 1e-3)))
	r.line(pos, total, took)
}

func (r *run) line(pos, total int64, took time.Duration) {
	rate := float64(pos) / max(took.Seconds(), 1e-3)
	left := ""
	if rate > 1 && total > pos {
		left = ", " + human.Duration(time.Duration(float64(total-pos)/rate*float64(time.Second))) + " left"
	}
	fmt.Fprintf(r.Console, "deploy: %s of %s (%d%%), %s%s\n", human.Bytes(pos), human.Bytes(total), 100*pos/max(total, 1), human.Rate(int64(rate)), left)
}

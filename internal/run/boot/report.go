package boot

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
)

// maxSeq is init's share of the event numbers of a boot.
const maxSeq = 999

// piece is how much of the log one call carries.
const piece = 64 << 10

// Reporter sends the boot's events and log to the server, from the moment
// there is a session. It never holds up the boot: what cannot be sent waits.
type Reporter struct {
	log    *console.Log
	bootID string

	mu       sync.Mutex
	seq      int
	queue    []api.Event
	progress *api.Event // newest, not yet numbered
	agent    *client.Agent
	offset   int64
	wake     chan struct{}
	idle     chan struct{} // replaced and closed when everything was sent
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// NewReporter collects events until Connect.
func NewReporter(log *console.Log, bootID string) *Reporter {
	return &Reporter{log: log, bootID: bootID, wake: make(chan struct{}, 1), idle: make(chan struct{})}
}

// Connect starts sending.
func (r *Reporter) Connect(ctx context.Context, a *client.Agent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agent != nil {
		return
	}
	r.agent = a
	ctx, r.cancel = context.WithCancel(ctx)
	r.wg.Add(1)
	go func() { defer r.wg.Done(); r.send(ctx) }()
}

// Close stops sending.
func (r *Reporter) Close() {
	r.mu.Lock()
	cancel := r.cancel
	r.mu.Unlock()
	if cancel != nil {
		cancel()
		r.wg.Wait()
	}
}

// Event queues the news that the boot reached, or failed in, phase.
func (r *Reporter) Event(phase, message string, failed bool) {
	r.add(api.Event{Kind: api.EventBoot, Phase: phase, Message: message, Failed: failed})
}

// Order queues news about a root order.
func (r *Reporter) Order(o *api.Order, e api.Event) {
	e.Order, e.Attempt = o.ID, o.Attempt
	r.add(e)
}

func (r *Reporter) add(e api.Event) {
	e.BootID, e.Time = r.bootID, time.Now().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.poke()
	if e.Kind == api.EventProgress {
		r.progress = &e // only the newest is worth sending
		return
	}
	r.number(e)
}

// number queues an event. r.mu is held.
func (r *Reporter) number(e api.Event) {
	limit := maxSeq
	if e.Kind == api.EventProgress {
		limit -= 100 // kept for what matters more
	}
	if r.seq >= limit {
		return
	}
	r.seq++
	e.Seq = r.seq
	r.queue = append(r.queue, e)
}

func (r *Reporter) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Flush waits until everything was sent, at most limit.
func (r *Reporter) Flush(limit time.Duration) {
	r.mu.Lock()
	if r.agent == nil {
		r.mu.Unlock()
		return
	}
	idle := r.idle
	r.poke()
	r.mu.Unlock()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}

func (r *Reporter) send(ctx context.Context) {
	pause := time.Second
	for {
		err := r.sendAll(ctx)
		if err == nil {
			pause = time.Second
			r.mu.Lock()
			if len(r.queue) == 0 {
				close(r.idle)
				r.idle = make(chan struct{})
			}
			r.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			case <-r.log.Grown():
				// Lines come in bursts.
				t := time.NewTimer(300 * time.Millisecond)
				select {
				case <-t.C:
				case <-r.wake:
					r.poke()
				case <-ctx.Done():
				}
				t.Stop()
			}
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		pause = min(2*pause, 15*time.Second)
	}
}

func (r *Reporter) sendAll(ctx context.Context) error {
	r.mu.Lock()
	if r.progress != nil && len(r.queue) == 0 {
		r.number(*r.progress)
	}
	r.progress = nil
	batch := append([]api.Event(nil), r.queue...)
	r.mu.Unlock()
	if len(batch) > 0 {
		if _, err := r.agent.Events(ctx, api.EventBatch{Events: batch}); err != nil {
			return err
		}
		r.mu.Lock()
		r.queue = r.queue[len(batch):]
		r.mu.Unlock()
	}
	f, err := os.Open(rdconf.LogPath)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, piece)
	for {
		n, err := f.ReadAt(buf, r.offset)
		if n > 0 {
			if serr := r.agent.Log(ctx, r.offset, buf[:n]); serr != nil {
				return serr
			}
			r.offset += int64(n)
		}
		if err == io.EOF || n == 0 {
			return nil
		}
	}
}

package boot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"bareroot/internal/run/errand"
)

// maxSeq is init's share of the event numbers of a boot.
const maxSeq = 999

// sender is what carries news to the server.
type sender interface {
	Send(ctx context.Context, e errand.Errand, hear func(errand.Answer)) (errand.Answer, error)
}

// Reporter sends the boot's events and log to the server, from the moment
// there is a session. It never holds up the boot: what cannot be sent waits, and
// what an agent that failed had in hand is sent again.
type Reporter struct {
	log    *console.Log
	bootID string

	mu       sync.Mutex
	seq      int
	queue    []api.Event
	progress *api.Event // newest, not yet numbered
	by       sender
	session  *rdconf.Session
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

// Connect starts sending; after Close, again.
func (r *Reporter) Connect(ctx context.Context, by sender, s *rdconf.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by != nil {
		return
	}
	r.by, r.session = by, s
	ctx, r.cancel = context.WithCancel(ctx)
	r.wg.Add(1)
	go func() { defer r.wg.Done(); r.send(ctx) }()
}

// Close stops sending.
func (r *Reporter) Close() {
	r.mu.Lock()
	cancel := r.cancel
	r.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel, r.by = nil, nil
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
	if r.by == nil {
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
		switch {
		case err == nil:
			pause = time.Second
			r.rest()
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
		case errors.Is(err, errand.ErrGone):
			r.log.Warnf("the server gets no more news of this boot: %v", err)
			r.mu.Lock()
			r.by = nil // nobody waits for it in Flush
			r.mu.Unlock()
			r.rest()
			return
		}
		r.log.Debugf("not sent yet: %v", err)
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

// rest tells who waits in Flush, if there is nothing more to send.
func (r *Reporter) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 || r.by == nil {
		close(r.idle)
		r.idle = make(chan struct{})
	}
}

func (r *Reporter) sendAll(ctx context.Context) error {
	r.mu.Lock()
	if r.progress != nil && len(r.queue) == 0 {
		r.number(*r.progress)
	}
	r.progress = nil
	by, report := r.by, errand.Report{
		Server: r.session.Server, Token: r.session.Token, Events: slices.Clone(r.queue), Log: rdconf.LogPath, Offset: r.offset,
	}
	r.mu.Unlock()
	a, err := by.Send(ctx, errand.Errand{Report: &report}, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	// The log may be sent in part though the errand failed.
	r.queue = r.queue[min(max(a.Events, 0), len(report.Events)):]
	r.offset = max(r.offset, a.Offset)
	return err
}

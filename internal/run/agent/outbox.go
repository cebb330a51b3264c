package agent

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"bareroot/api"
)

// outbox holds events until the server has taken them, in order. Only the
// newest progress of an order is worth keeping, so it stays short however
// long the server is away.
type outbox struct {
	mu     sync.Mutex
	events []api.Event
	busy   bool // the first one is being sent
	wake   chan struct{}
}

// post queues an event; it does not block.
func (a *Agent) post(ev api.Event) {
	b := &a.out
	b.mu.Lock()
	defer b.mu.Unlock()
	ev.Time, ev.BootID = time.Now().UTC(), a.BootID
	key := ""
	if ev.Order != "" {
		key = fmt.Sprintf("%s/%d", ev.Order, ev.Attempt)
	} else if a.seq[key] == 0 {
		a.seq[key] = max(a.SeqBase, 1000) - 1
	}
	a.seq[key]++
	ev.Seq = a.seq[key]
	if n := len(b.events) - 1; ev.Kind == api.EventProgress && (n > 0 || n == 0 && !b.busy) {
		if l := b.events[n]; l.Kind == api.EventProgress && l.Order == ev.Order {
			b.events[n] = ev
			return
		}
	}
	b.events = append(b.events, ev)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// deliver sends the queue until ctx ends.
func (a *Agent) deliver(ctx context.Context) {
	b := &a.out
	pause := minBackoff
	trouble := &trouble{a: a}
	for {
		b.mu.Lock()
		if len(b.events) == 0 {
			b.mu.Unlock()
			select {
			case <-b.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		ev := b.events[0]
		b.busy = true
		b.mu.Unlock()

		err := a.Dialect.Report(ctx, ev)
		taken := err == nil
		if refused(err) {
			a.say("the server refuses a report (%s): %v", ev.Kind, err) // and will again
			taken = true
		}
		b.mu.Lock()
		b.busy = false
		if taken {
			b.events = b.events[1:]
		}
		b.mu.Unlock()
		if taken {
			pause = minBackoff
			trouble.over()
			continue
		}
		if ctx.Err() == nil {
			trouble.add("report", err)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		pause = min(pause*2, maxBackoff)
	}
}

// flush waits until all events are delivered and reports whether they are.
func (a *Agent) flush(ctx context.Context, bound time.Duration) bool {
	end := time.NewTimer(bound)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a.out.mu.Lock()
		n := len(a.out.events)
		a.out.mu.Unlock()
		if n == 0 {
			return true
		}
		select {
		case <-tick.C:
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// Pieces of the boot's log.
const (
	logPiece = 64 << 10
	logEvery = 2 * time.Second
)

// sendLog sends what is added to the log file. A piece that the server does
// not take is sent again later; repeated pieces are harmless.
func (a *Agent) sendLog(ctx context.Context) {
	t := time.NewTicker(logEvery)
	defer t.Stop()
	var off int64
	buf := make([]byte, logPiece)
	send := func(ctx context.Context) {
		f, err := os.Open(a.LogPath)
		if err != nil {
			return
		}
		defer f.Close()
		for {
			n, _ := f.ReadAt(buf, off)
			if n == 0 || a.Dialect.Log(ctx, off, buf[:n]) != nil {
				return
			}
			off += int64(n)
		}
	}
	for {
		select {
		case <-t.C:
			send(ctx)
		case <-ctx.Done(): // the last lines, if the server is there
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			send(last)
			cancel()
			return
		}
	}
}

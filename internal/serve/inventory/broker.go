package inventory

import (
	"sync"

	"bareroot/api"
)

// broker tells subscribers of changes, and wakes those that wait for one
// machine. It holds no state that matters: everyone reads the store again.
type broker struct {
	mu     sync.Mutex
	closed bool
	subs   map[chan api.Change]bool
	wait   map[string]chan struct{} // by machine
}

func newBroker() *broker {
	return &broker{subs: map[chan api.Change]bool{}, wait: map[string]chan struct{}{}}
}

// Subscribe tells of changes until the returned function is called. A slow
// reader loses changes, not the newest state: it reads again what it shows.
// The channel is closed by that function and by Close.
func (s *Service) Subscribe() (<-chan api.Change, func()) {
	b := s.broker
	c := make(chan api.Change, 64)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(c)
		return c, func() {}
	}
	b.subs[c] = true
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.subs[c] {
			delete(b.subs, c)
			close(c)
		}
	}
}

func (b *broker) publish(c api.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for sub := range b.subs {
		select {
		case sub <- c:
		default:
		}
	}
	if w := b.wait[c.Machine]; w != nil {
		close(w)
		delete(b.wait, c.Machine)
	}
}

// changed is closed at the machine's next change, or by close.
func (b *broker) changed(machine string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.wait[machine]
	if w == nil {
		w = make(chan struct{})
		if b.closed {
			close(w)
			return w
		}
		b.wait[machine] = w
	}
	return w
}

func (b *broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for c := range b.subs {
		close(c)
	}
	clear(b.subs)
	for _, w := range b.wait {
		close(w)
	}
	clear(b.wait)
}

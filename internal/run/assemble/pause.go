package assemble

import (
	"sync"
	"time"
)

// pause is the time in which a person is waited for.
type pause struct {
	mu    sync.Mutex
	since time.Time
	sum   time.Duration
}

func (p *pause) begin() { p.mu.Lock(); p.since = time.Now(); p.mu.Unlock() }

func (p *pause) end() {
	p.mu.Lock()
	p.sum += time.Since(p.since)
	p.since = time.Time{}
	p.mu.Unlock()
}

// on says whether a person is being waited for.
func (p *pause) on() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.since.IsZero()
}

func (p *pause) total() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		return p.sum
	}
	return p.sum + time.Since(p.since)
}

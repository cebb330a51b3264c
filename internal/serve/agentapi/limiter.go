package agentapi

import (
	"net/netip"
	"sync"
	"time"
)

// limiter allows each address a number of requests in a window. It is
// modest: guessing 256 random bits is hopeless anyway, what it keeps small
// is the log and the store's work.
type limiter struct {
	max    int
	window time.Duration
	now    func() time.Time

	mu    sync.Mutex
	since time.Time
	seen  map[netip.Addr]int
}

func newLimiter(max int, window time.Duration, now func() time.Time) *limiter {
	return &limiter{max: max, window: window, now: now, seen: map[netip.Addr]int{}}
}

// maxAddresses bounds the memory that forged addresses can take.
const maxAddresses = 100_000

func (l *limiter) allow(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.since) >= l.window {
		l.since = now
		clear(l.seen)
	}
	if _, known := l.seen[a]; !known && len(l.seen) >= maxAddresses {
		return false
	}
	l.seen[a]++
	return l.seen[a] <= l.max
}

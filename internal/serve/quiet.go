package serve

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the log: anybody on the network can cause lines about garbage,
// nobody may fill the disk or hide other lines with them.
const (
	logBurst  = 1000        // lines of one message ...
	logWindow = time.Minute // ... in this time
)

// quiet passes on so many records of each message a window, and then says
// how many it left out. Errors always pass. Messages are constants of the
// program, so the map stays small.
type quiet struct {
	slog.Handler
	s *quietState
}

type quietState struct {
	now func() time.Time

	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

func newQuiet(h slog.Handler, now func() time.Time) slog.Handler {
	return quiet{h, &quietState{now: now, seen: map[string]int{}}}
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		return q.Handler.Handle(ctx, r)
	}
	pass, left := q.s.count(r.Message)
	for msg, n := range left {
		l := slog.NewRecord(r.Time, slog.LevelWarn, "log lines left out", 0)
		l.AddAttrs(slog.String("of", msg), slog.Int("lines", n))
		if err := q.Handler.Handle(ctx, l); err != nil {
			return err
		}
	}
	if !pass {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// count says whether a record of msg passes, and with the first of a new
// window what the old one left out.
func (s *quietState) count(msg string) (pass bool, left map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.since) >= logWindow {
		for m, n := range s.seen {
			if n > logBurst {
				if left == nil {
					left = map[string]int{}
				}
				left[m] = n - logBurst
			}
		}
		s.since = now
		clear(s.seen)
	}
	s.seen[msg]++
	return s.seen[msg] <= logBurst, left
}

func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(as), q.s} }
func (q quiet) WithGroup(name string) slog.Handler    { return quiet{q.Handler.WithGroup(name), q.s} }

package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"bareroot/api"
	"bareroot/internal/human"
)

// progress shows how an order gets on.
type progress interface {
	show(o *api.Order)
	note(s string)
	close()
}

// newProgress is a bar on a terminal and plain lines elsewhere.
func newProgress(w io.Writer, name string) progress {
	lines := &lineProgress{w: w, name: name, every: 5 * time.Second, now: time.Now}
	if isTerminal(w) {
		return &barProgress{lines: lines, w: w, name: name}
	}
	return lines
}

// lineProgress prints a line when the state, phase or message changes, and
// now and then while bytes flow.
type lineProgress struct {
	w     io.Writer
	name  string
	every time.Duration
	now   func() time.Time

	last  string
	at    time.Time // of the newest line about bytes
	heard hearing
}

// hearing knows when an order's progress was last new.
type hearing struct {
	mu    sync.Mutex // bars are drawn by goroutines of their own
	event api.Event
	at    time.Time
}

// deaf is a silence worth telling: machines report each second.
const deaf = 10 * time.Second

// pace is the rate and the time left at that rate, or for how long nothing
// was heard: then a rate would be a guess.
func (h *hearing) pace(p *api.Event, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || h.event.Seq != p.Seq || h.event.Done != p.Done || !h.event.Time.Equal(p.Time) {
		h.event, h.at = *p, now
	}
	if silent := now.Sub(h.at); silent >= deaf {
		return "nothing heard for " + human.Duration(silent.Truncate(time.Second))
	}
	return pace(p)
}

func (l *lineProgress) show(o *api.Order) {
	key := fmt.Sprint(o.State, o.Attempt, o.Message)
	if p := flowing(o); p != nil {
		key = fmt.Sprint(o.State, o.Attempt, p.Phase)
		if now := l.now(); key != l.last || now.Sub(l.at) >= l.every {
			l.at = now
			fmt.Fprintf(l.w, "%s: %s %d%% of %s, %s\n", l.name, clean(p.Phase), percent(p), human.Bytes(p.Total), l.heard.pace(p, now))
		}
		l.last = key
		return
	}
	if key == l.last {
		return
	}
	l.last = key
	line := l.name + ": " + clean(o.State)
	if o.Attempt > 1 {
		line += fmt.Sprintf(" (attempt %d)", o.Attempt)
	}
	if o.Message != "" {
		line += ": " + clean(o.Message)
	}
	fmt.Fprintln(l.w, line)
}

func (l *lineProgress) note(s string) { fmt.Fprintf(l.w, "%s: %s\n", l.name, s) }

func (l *lineProgress) close() {}

// flowing is the order's progress event while bytes are counted, else nil.
func flowing(o *api.Order) *api.Event {
	if o.State == api.StateRunning && o.Progress != nil && o.Progress.Total > 0 {
		return o.Progress
	}
	return nil
}

// pace is the rate and the time left at that rate.
func pace(p *api.Event) string {
	if p.Rate <= 0 {
		return "no rate yet"
	}
	left := time.Duration(float64(max(p.Total-p.Done, 0)) / float64(p.Rate) * float64(time.Second))
	return fmt.Sprintf("%s, %s left", human.Rate(p.Rate), human.Duration(left.Round(time.Second)))
}

// barProgress draws a bar per phase with bytes, and lines for the rest.
type barProgress struct {
	lines *lineProgress
	w     io.Writer
	name  string

	box   *mpb.Progress
	bar   *mpb.Bar
	phase string
	label *label
}

// label is what stands beside a bar. The bar is drawn by goroutines of its box.
type label struct {
	mu sync.Mutex
	ev api.Event
}

func (l *label) set(ev api.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ev = ev
}

func (l *label) get() api.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ev
}

func (b *barProgress) show(o *api.Order) {
	p := flowing(o)
	if p == nil {
		b.end(o.State == api.StateDone)
		b.lines.show(o)
		return
	}
	if phase := fmt.Sprint(o.Attempt, p.Phase); b.bar == nil || phase != b.phase {
		b.end(true)
		b.phase = phase
		b.start(*p)
	}
	b.label.set(*p)
	b.bar.SetTotal(max(p.Total, p.Done+1), false) // never complete by itself: end does that
	b.bar.SetCurrent(p.Done)
}

func (b *barProgress) start(ev api.Event) {
	l := &label{ev: ev}
	b.label = l
	b.box = mpb.New(mpb.WithOutput(b.w), mpb.WithAutoRefresh())
	b.bar = b.box.New(0, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.BarWidth(24),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return b.name + ": " + clean(l.get().Phase) + " " })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			ev := l.get()
			return fmt.Sprintf(" %d%% of %s, %s", percent(&ev), human.Bytes(ev.Total), b.lines.heard.pace(&ev, b.lines.now()))
		})),
	)
}

// end leaves the bar full, or where it stopped, and waits for the drawing to
// finish, so that a line may follow.
func (b *barProgress) end(full bool) {
	if b.bar == nil {
		return
	}
	if full {
		ev := b.label.get()
		ev.Done = ev.Total
		b.label.set(ev)
		b.bar.SetTotal(-1, true)
	} else {
		b.bar.Abort(false)
	}
	b.box.Wait()
	b.bar = nil
}

func (b *barProgress) note(s string) {
	b.end(false)
	b.lines.note(s)
}

func (b *barProgress) close() { b.end(false) }

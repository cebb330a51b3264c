// Package agent is the loop of bareroot-agent: report facts, ask for an
// order, have a role carry it out, report, ask again. It knows neither the
// roles nor the dialects, and it never gives up on a server that is away: a
// machine without an order has nothing better to do.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/internal/human"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/role"
)

// Dialect is the protocol spoken with a master. Next returns nil without an
// error if no order came for a while. Errors that are an *api.Problem with a
// status of 400 to 499 mean that asking again does not help.
type Dialect interface {
	Next(ctx context.Context) (*api.Order, error)
	Report(ctx context.Context, ev api.Event) error
	Facts(ctx context.Context, f api.Facts) error
	Log(ctx context.Context, offset int64, data []byte) error
	Cancelled() <-chan string // ids of orders to stop
}

// Role carries out orders of one kind.
type Role interface {
	Run(ctx context.Context, o api.Order, rep role.Reporter) error
}

// Agent is the loop's parts.
type Agent struct {
	Dialect Dialect
	Roles   map[string]Role // by kind of order; root, reboot and poweroff are the loop's own
	Gather  func(ctx context.Context) (api.Facts, error)
	BootID  string
	SeqBase int       // of events without an order: 1000, or more if this boot had an agent before
	Console io.Writer // for people
	LogPath string    // the boot's log, sent while running; "" = none

	out     outbox
	mu      sync.Mutex
	running string // order id
	stop    context.CancelCauseFunc
	seq     map[string]int // last sequence by order and attempt
}

// Bounds of waiting.
const (
	minBackoff = time.Second
	maxBackoff = 15 * time.Second
	repeat     = time.Minute      // the same trouble is said again after this
	lostBound  = time.Minute      // of a session the server refuses, then reboot for a new one
	flushBound = 15 * time.Minute // for the report of a finished order before the machine goes down
)

var errCancelled = errors.New("cancelled by the operator")

// Run works until an order ends this agent's part of the boot. The outcome is
// what bareroot-init does next. It owns its goroutines.
func (a *Agent) Run(ctx context.Context) rdconf.Outcome {
	a.seq = map[string]int{}
	a.out.wake = make(chan struct{}, 1)
	side, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { a.deliver(side) })
	wg.Go(func() { a.listen(side) })
	if a.LogPath != "" {
		wg.Go(func() { a.sendLog(side) })
	}
	o := a.loop(ctx)
	a.say("next: %s, %s", o.Action, o.Reason)
	cancel()
	wg.Wait()
	return o
}

func (a *Agent) say(format string, args ...any) {
	fmt.Fprintf(a.Console, "agent: "+format+"\n", args...)
}

func (a *Agent) loop(ctx context.Context) rdconf.Outcome {
	trouble := &trouble{a: a}
	for !a.reportFacts(ctx, trouble) {
		if ctx.Err() != nil {
			return stopped(ctx)
		}
		if trouble.lost() {
			return sessionLost
		}
		trouble.wait(ctx)
	}
	a.say("facts reported, waiting for orders")
	for ctx.Err() == nil {
		o, err := a.Dialect.Next(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			trouble.add("ask for an order", err)
			if trouble.lost() {
				return sessionLost
			}
			trouble.wait(ctx)
		case o == nil:
			trouble.over()
		default:
			trouble.over()
			if next := a.order(ctx, *o); next != nil {
				return *next
			}
			a.say("waiting for orders")
		}
	}
	return stopped(ctx)
}

var sessionLost = rdconf.Outcome{Action: rdconf.ActionReboot, Reason: "the server does not know this session any more; a new boot gets a new one"}

func stopped(ctx context.Context) rdconf.Outcome {
	return rdconf.Outcome{Action: rdconf.ActionShell, Reason: fmt.Sprintf("agent stopped: %v", context.Cause(ctx))}
}

func (a *Agent) reportFacts(ctx context.Context, t *trouble) bool {
	f, err := a.Gather(ctx)
	if err != nil {
		a.say("gather facts: %v", err)
		a.post(api.Event{Kind: api.EventNote, Message: "gather facts: " + err.Error(), Failed: true})
		return true // orders may still be carried out
	}
	err = a.Dialect.Facts(ctx, f)
	switch {
	case err == nil:
		t.over()
		a.post(api.Event{Kind: api.EventBoot, Phase: "discovered", Message: human.Count(len(f.Disks), "disk") + ", " + human.Count(len(f.NICs), "network interface")})
		return true
	case refused(err):
		a.say("%v", err)
		return true
	}
	t.add("report facts", err)
	return false
}

// refused says whether the server will refuse the same again. A session that it
// does not know is another matter, and a server that is busy is only late.
func refused(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Status/100 == 4 &&
		p.Status != http.StatusUnauthorized && p.Status != http.StatusRequestTimeout && p.Status != http.StatusTooManyRequests
}

// trouble is a server that is away: bounded, growing pauses, and one line on
// the console when it begins, changes, lasts, and ends.
type trouble struct {
	a       *Agent
	text    string
	since   time.Time
	said    time.Time
	pause   time.Duration
	refused time.Time // since when the session is refused, zero if it is not
}

func (t *trouble) add(what string, err error) {
	now := time.Now()
	if t.text == "" {
		t.since = now
	}
	var p *api.Problem
	if errors.As(err, &p) && p.Status == http.StatusUnauthorized {
		if t.refused.IsZero() {
			t.refused = now
		}
	} else {
		t.refused = time.Time{}
	}
	t.pause = min(max(t.pause*2, minBackoff), maxBackoff)
	if s := err.Error(); s != t.text || now.Sub(t.said) >= repeat {
		t.text, t.said = s, now
		t.a.say("cannot %s: %v; trying again (for %s now)", what, err, human.Duration(now.Sub(t.since).Truncate(time.Second)))
	}
}

func (t *trouble) lost() bool { return !t.refused.IsZero() && time.Since(t.refused) >= lostBound }

func (t *trouble) over() {
	if t.text != "" {
		t.a.say("the server answers again after %s", human.Duration(time.Since(t.since).Truncate(time.Second)))
	}
	*t = trouble{a: t.a}
}

func (t *trouble) wait(ctx context.Context) {
	timer := time.NewTimer(t.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

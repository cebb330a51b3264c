package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"bareroot/api"
	"bareroot/internal/rdconf"
)

// order carries out one order and reports its end. The outcome is nil if the
// loop goes on.
func (a *Agent) order(ctx context.Context, o api.Order) *rdconf.Outcome {
	a.say("order %s: %s (attempt %d)", o.ID, o.Kind, o.Attempt)
	rep := &reporter{a: a, order: o}
	switch o.Kind {
	case api.KindRoot:
		if o.Root == nil || len(o.Root.Words) == 0 {
			rep.end(api.StateFailed, "the order names no root")
			return nil
		}
		rep.state(api.StateRunning, "going on to the root") // init says how it ends
		a.flush(ctx, 30*time.Second)
		return &rdconf.Outcome{Action: rdconf.ActionRoot, Reason: "order " + o.ID, Words: o.Root.Words, Order: &o}
	case api.KindReboot:
		rep.end(api.StateDone, "rebooting")
		return a.leave(ctx, rdconf.ActionReboot, o)
	case api.KindPowerOff:
		rep.end(api.StateDone, "powering off")
		return a.leave(ctx, rdconf.ActionPowerOff, o)
	}
	r, ok := a.Roles[o.Kind]
	if !ok {
		rep.end(api.StateFailed, fmt.Sprintf("not supported: this ramdisk cannot do orders of kind %q", o.Kind))
		return nil
	}
	err := a.carryOut(ctx, r, o, rep)
	switch {
	case err == nil:
		rep.end(api.StateDone, rep.last)
	case errors.Is(err, errCancelled):
		rep.end(api.StateCancelled, err.Error())
	default:
		rep.end(api.StateFailed, err.Error())
	}
	// Asking for the next order before this one's end has arrived would get
	// the same one again.
	a.flush(ctx, flushBound)
	if err == nil && o.Kind == api.KindDeploy && !o.Deploy.DryRun {
		switch o.Deploy.After {
		case "", "reboot":
			return a.leave(ctx, rdconf.ActionReboot, o)
		case "poweroff":
			return a.leave(ctx, rdconf.ActionPowerOff, o)
		}
	}
	return nil
}

func (a *Agent) leave(ctx context.Context, action string, o api.Order) *rdconf.Outcome {
	if !a.flush(ctx, flushBound) {
		a.say("the server did not take the last reports")
	}
	return &rdconf.Outcome{Action: action, Reason: fmt.Sprintf("order %s (%s)", o.ID, o.Kind)}
}

// carryOut runs a role so that the operator can stop it and a mistake in it
// ends the order, not the machine.
func (a *Agent) carryOut(ctx context.Context, r Role, o api.Order, rep *reporter) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.mu.Lock()
	a.running, a.stop = o.ID, stop
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.running, a.stop = "", nil
		a.mu.Unlock()
		if p := recover(); p != nil {
			fmt.Fprintf(a.Console, "%s", debug.Stack())
			err = fmt.Errorf("internal error: %v", p)
		}
		switch c := context.Cause(ctx); {
		case err == nil || c == nil || errors.Is(err, c):
		case errors.Is(err, context.Canceled):
			err = c
		default:
			err = fmt.Errorf("%w (%v)", c, err)
		}
	}()
	rep.state(api.StateRunning, "")
	return r.Run(ctx, o, rep)
}

// listen stops the running order when the master says so.
func (a *Agent) listen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-a.Dialect.Cancelled():
			a.mu.Lock()
			if a.stop != nil && a.running == id {
				a.stop(errCancelled)
			}
			a.mu.Unlock()
		}
	}
}

// reporter makes events of what a role says.
type reporter struct {
	a      *Agent
	order  api.Order
	last   string // newest note
	result *api.Result
}

func (r *reporter) Facts(ctx context.Context, f api.Facts) error { return r.a.Dialect.Facts(ctx, f) }

func (r *reporter) Note(message string) {
	r.last = message
	r.a.say("%s", message)
	r.event(api.Event{Kind: api.EventNote, Message: message})
}

func (r *reporter) Plan(p *api.Plan) { r.event(api.Event{Kind: api.EventPlan, Plan: p}) }

func (r *reporter) Progress(phase string, done, total, rate int64) {
	r.event(api.Event{Kind: api.EventProgress, Phase: phase, Done: done, Total: total, Rate: rate})
}

func (r *reporter) Result(res api.Result) { r.result = &res }

func (r *reporter) state(s, message string) {
	r.event(api.Event{Kind: api.EventState, State: s, Message: message})
}

func (r *reporter) end(s, message string) {
	r.a.say("order %s %s: %s", r.order.ID, s, message)
	r.event(api.Event{Kind: api.EventState, State: s, Message: message, Failed: s == api.StateFailed, Result: r.result})
}

func (r *reporter) event(ev api.Event) {
	ev.Order, ev.Attempt = r.order.ID, r.order.Attempt
	r.a.post(ev)
}

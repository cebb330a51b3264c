package inventory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

const (
	maxEvents  = 2000    // kept of one attempt, or one boot
	maxStates  = 100     // and so many changes of state more
	maxMessage = 4 << 10 // bytes kept of a message
)

// Phases of a boot at which init hands over to the root.
var rootPhases = []string{"switch-root", "switch_root"}

// Events takes in what happened on a machine. It is idempotent: an event
// that was told before changes nothing. Progress is not history: the newest
// is kept.
func (s *Service) Events(ctx context.Context, ss *Session, b api.EventBatch) (*api.EventReply, error) {
	if len(b.Events) > 1000 {
		return nil, bad("events: %d in one batch, at most 1000", len(b.Events))
	}
	if reply, ok, err := s.onlyProgress(ctx, ss, b); ok || err != nil {
		return reply, err
	}
	reply := &api.EventReply{}
	changes := map[api.Change]bool{{Machine: ss.Machine}: true}
	var after []func()
	err := s.store.Update(ctx, func(t *store.Tx) error {
		after = nil
		m, err := current(t, ss)
		if err != nil {
			return err
		}
		in := intake{s: s, t: t, ss: ss, m: &m}
		for _, e := range b.Events {
			if err := in.take(e); err != nil {
				return err
			}
			if e.Order != "" {
				changes[api.Change{Machine: ss.Machine, Order: e.Order}] = true
			}
		}
		m.Seen = s.now()
		after = in.after
		if err := t.PutMachine(m); err != nil {
			return err
		}
		reply.Cancelled, err = cancelled(t, ss)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range after {
		f()
	}
	for c := range changes {
		s.broker.publish(c)
	}
	return reply, nil
}

// cancelled lists the orders that the session's boot must stop.
func cancelled(t *store.Tx, ss *Session) ([]string, error) {
	all, err := t.Orders(ss.Machine)
	var out []string
	for _, o := range all {
		if o.State == api.StateCancelled && o.Boot == ss.Attempt {
			out = append(out, o.ID)
		}
	}
	return out, err
}

// intake is one batch of events, inside its transaction.
type intake struct {
	s     *Service
	t     *store.Tx
	ss    *Session
	m     *store.Machine
	after []func() // what is not in the store, once it is committed
}

func (in *intake) take(e api.Event) error {
	if e.Seq < 1 {
		return bad("event: sequence %d, they count from 1", e.Seq)
	}
	if len(e.Message) > maxMessage {
		e.Message = e.Message[:maxMessage] + " ..."
	}
	if err := in.plain(&e); err != nil {
		return err
	}
	told := e.Time
	if e.Time.IsZero() {
		e.Time = in.s.now()
	}
	e.BootID = in.ss.BootID
	if e.Order == "" {
		return in.boot(e, told)
	}
	o, err := in.t.Order(e.Order)
	if notFound(err) || err == nil && o.Machine != in.m.ID {
		return problem(404, "event: machine %s has no order %.40q", in.m.Name, e.Order)
	}
	if err != nil {
		return err
	}
	if e.Attempt < 1 || e.Attempt > o.Attempt {
		return bad("event: order %s has no attempt %d", o.ID, e.Attempt)
	}
	if e.Kind == api.EventProgress {
		return in.progress(o, e)
	}
	return in.order(o, e, told)
}

func (in *intake) add(e api.Event, told time.Time) (added bool, err error) {
	n, err := in.t.CountEvents(e.Order, e.Attempt, in.ss.Attempt)
	if err != nil {
		return false, err
	}
	// Room is kept for the few states that tell how it ended.
	if n >= maxEvents+maxStates || n >= maxEvents && e.Kind != api.EventState {
		return false, nil
	}
	return in.t.AddEvent(store.Event{Machine: in.m.ID, Order: e.Order, Attempt: e.Attempt, Boot: in.ss.Attempt, Seq: e.Seq, Told: told, Event: e})
}

// boot takes in an event that belongs to no order.
func (in *intake) boot(e api.Event, told time.Time) error {
	if e.Kind != api.EventProgress {
		added, err := in.add(e, told)
		if err != nil || !added {
			return err
		}
	}
	if e.Phase != "" {
		in.m.Phase = e.Phase
	}
	if e.Message != "" || e.Failed {
		in.m.Message, in.m.Failed = e.Message, e.Failed
	}
	if e.Kind == api.EventBoot && !e.Failed && slices.Contains(rootPhases, e.Phase) {
		return in.reachedRoot(e)
	}
	return nil
}

func (in *intake) reachedRoot(e api.Event) error {
	b, err := in.t.Boot(in.ss.Attempt)
	if err != nil {
		return err
	}
	if b.Reached {
		return nil
	}
	b.Reached = true
	if err := in.t.PutBoot(b); err != nil {
		return err
	}
	return stamp(in.t, in.m.ID, in.s.now(), "root", e.Message)
}

// order takes in an event of an order's history.
func (in *intake) order(o store.Order, e api.Event, told time.Time) error {
	added, err := in.add(e, told)
	if err != nil || !added || e.Attempt != o.Attempt {
		return err
	}
	open := order.Open(o.State)
	if open && e.Phase != "" {
		o.Phase, in.m.Phase = e.Phase, e.Phase
	}
	if e.Message != "" && (open || o.State == api.StateCancelled && e.State == api.StateCancelled) {
		// A cancelled machine says afterwards how far it had come.
		o.Message, in.m.Message = e.Message, e.Message
		in.m.Failed = e.Failed && !asRule(o).DryRun
	}
	if open && e.Kind == api.EventPlan && asRule(o).Writes() && (e.Plan == nil || len(e.Plan.Steps) > 0) {
		// From here on the disk may be half written: until the order is done
		// the machine must not be sent there.
		in.m.Boot = api.BootDiscover
	}
	if e.Kind == api.EventState {
		if r, ok := asRule(o).Report(e.Attempt, e.State); ok {
			follow(&o, r)
			if e.Result != nil {
				o.Result = e.Result
			}
			if err := in.ended(o, e); err != nil {
				return err
			}
		}
	}
	o.Updated = in.s.now()
	return in.t.PutOrder(o)
}

// ended is what an order's new state means for its machine.
func (in *intake) ended(o store.Order, e api.Event) error {
	if order.Open(o.State) {
		return nil
	}
	in.after = append(in.after, func() { in.s.forgetProgress(o.ID) })
	if o.State == api.StateFailed {
		in.m.Failed = !asRule(o).DryRun // one that writes nothing says nothing about the machine
		return nil
	}
	in.m.Failed = false
	b, err := in.t.Boot(in.ss.Attempt)
	if err != nil {
		return err
	}
	stamped := b.Reached
	b.Reached = true
	if err := in.t.PutBoot(b); err != nil {
		return err
	}
	boot, ok := asRule(o).BootAfter()
	if !ok {
		return nil
	}
	in.m.Boot, in.m.RootWords, in.m.RootOrder = boot, nil, ""
	what := "deployed"
	if o.Kind == api.KindRoot && o.Root != nil {
		what, in.m.RootWords, in.m.RootOrder = "root", o.Root.Words, o.ID
		if stamped {
			return nil
		}
	}
	return stamp(in.t, in.m.ID, in.s.now(), what, fmt.Sprintf("%s %s", o.Kind, o.ID))
}

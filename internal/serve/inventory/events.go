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
	maxEvents    = 2000            // kept of one attempt, or one boot
	maxMessage   = 4 << 10         // bytes kept of a message
	saveProgress = 5 * time.Second // the store hears of progress no more often
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

// onlyProgress takes in a batch that has nothing for the store: each machine
// at work sends one a second, and a write is a sync of the disk.
func (s *Service) onlyProgress(ctx context.Context, ss *Session, b api.EventBatch) (_ *api.EventReply, ok bool, err error) {
	if len(b.Events) == 0 {
		return nil, false, nil
	}
	for _, e := range b.Events {
		old, had := s.newestProgress(e.Order, e.Attempt)
		if e.Kind != api.EventProgress || e.Seq < 1 || !had || old.Phase != e.Phase || s.dueProgress(e.Order) {
			return nil, false, nil
		}
	}
	reply := &api.EventReply{}
	var keep []api.Event
	err = s.store.View(ctx, func(t *store.Tx) error {
		if _, err := current(t, ss); err != nil {
			return err
		}
		for _, e := range b.Events {
			o, err := t.Order(e.Order)
			if err != nil {
				return err
			}
			if o.Machine != ss.Machine {
				return problem(404, "event: no order %.40q of this machine", e.Order)
			}
			if o.Attempt == e.Attempt && o.State == api.StateRunning {
				keep = append(keep, e)
			}
		}
		reply.Cancelled, err = cancelled(t, ss)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for _, e := range keep {
		if old, had := s.newestProgress(e.Order, e.Attempt); had && newer(old, e) {
			s.keepProgress(e.Order, e, false)
			s.broker.publish(api.Change{Machine: ss.Machine, Order: e.Order})
		}
	}
	return reply, true, nil
}

// newer says whether e was told after old. Init and the agent each count
// their own events, so a smaller number alone does not make one older.
func newer(old, e api.Event) bool { return old.Seq < e.Seq || old.Time.Before(e.Time) }

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
	if n >= maxEvents && e.Kind != api.EventState {
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

// progress keeps the newest, in memory, and now and then in the order's row.
func (in *intake) progress(o store.Order, e api.Event) error {
	if e.Attempt != o.Attempt || o.State != api.StateSent && o.State != api.StateRunning {
		return nil
	}
	old, had := in.s.newestProgress(o.ID, o.Attempt)
	if !had && o.Progress != nil && o.Progress.Attempt == o.Attempt {
		old, had = *o.Progress, true
	}
	if had && !newer(old, e) {
		return nil
	}
	in.m.Phase = e.Phase
	if e.Message != "" {
		in.m.Message, in.m.Failed = e.Message, false
	}
	if !had {
		if err := stamp(in.t, in.m.ID, in.s.now(), "first progress", fmt.Sprintf("%s %s", o.Kind, o.ID)); err != nil {
			return err
		}
	}
	save := !had || old.Phase != e.Phase || in.s.dueProgress(o.ID)
	in.after = append(in.after, func() { in.s.keepProgress(o.ID, e, save) })
	if !save {
		return nil
	}
	o.Progress, o.Phase, o.Updated = &e, e.Phase, in.s.now()
	return in.t.PutOrder(o)
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
	if open && e.Message != "" {
		o.Message, in.m.Message, in.m.Failed = e.Message, e.Message, e.Failed
	}
	if open && e.Kind == api.EventPlan && asRule(o).Writes() {
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
		in.m.Failed = true
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

func (s *Service) newestProgress(id string, attempt int) (api.Event, bool) {
	s.progressMu.Lock()
	defer s.progressMu.Unlock()
	e, ok := s.progress[id]
	return e, ok && e.Attempt == attempt
}

func (s *Service) dueProgress(id string) bool {
	s.progressMu.Lock()
	defer s.progressMu.Unlock()
	return s.now().Sub(s.saved[id]) >= saveProgress
}

func (s *Service) keepProgress(id string, e api.Event, saved bool) {
	s.progressMu.Lock()
	defer s.progressMu.Unlock()
	s.progress[id], s.heard[id] = e, s.now()
	if saved {
		s.saved[id] = s.now()
	}
}

func (s *Service) forgetProgress(id string) {
	s.progressMu.Lock()
	defer s.progressMu.Unlock()
	delete(s.progress, id)
	delete(s.saved, id)
	delete(s.heard, id)
}

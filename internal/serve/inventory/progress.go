package inventory

import (
	"context"
	"fmt"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

// saveProgress: the store hears of progress no more often.
const saveProgress = 5 * time.Second

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
	if e.Message == "" && (!had || old.Phase != e.Phase) {
		name, err := imageOf(in.t, o)
		if err != nil {
			return err
		}
		e.Message = order.Doing(o.Kind, e.Phase, name)
	}
	if e.Message != "" {
		o.Message, in.m.Message, in.m.Failed = e.Message, e.Message, false
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

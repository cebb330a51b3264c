package inventory

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"time"

	"bareroot/api"
	"bareroot/internal/human"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

const (
	sessionLife = 24 * time.Hour
	maxWait     = time.Minute
)

// Session finds the session of a token. One of an older boot is refused.
func (s *Service) Session(ctx context.Context, token string) (*Session, error) {
	refuse := problem(401, "the session token is not known, or its session has ended")
	if token == "" {
		return nil, problem(401, "no session token; send Authorization: Bearer TOKEN")
	}
	var out *Session
	err := s.store.View(ctx, func(t *store.Tx) error {
		sum := hash(token)
		b, err := t.BootByToken(sum)
		if notFound(err) || err == nil && subtle.ConstantTimeCompare([]byte(b.TokenHash), []byte(sum)) != 1 {
			return refuse
		}
		if err != nil {
			return err
		}
		m, err := t.Machine(b.Machine)
		if err != nil {
			return err
		}
		if m.BootAttempt != b.Attempt || m.Approval == api.ApprovalRetired || s.now().Sub(b.Hello) > sessionLife {
			return refuse
		}
		out = &Session{Machine: m.ID, Attempt: b.Attempt, BootID: b.BootID}
		return nil
	})
	return out, err
}

// current reads the session's machine and boot again inside a transaction: a
// newer boot may have said hello since the request began.
func current(t *store.Tx, ss *Session) (store.Machine, error) {
	m, err := t.Machine(ss.Machine)
	if notFound(err) || err == nil && m.BootAttempt != ss.Attempt {
		return m, problem(401, "the session has ended")
	}
	return m, err
}

// Facts keeps a machine's hardware inventory.
func (s *Service) Facts(ctx context.Context, ss *Session, f api.Facts) error {
	if f.Version < 1 {
		return bad("facts: version %d", f.Version)
	}
	doc, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("keep facts: %w", err)
	}
	err = s.store.Update(ctx, func(t *store.Tx) error {
		m, err := current(t, ss)
		if err != nil {
			return err
		}
		now := s.now()
		m.Seen = now
		if f.Firmware == "bios" || f.Firmware == "uefi" {
			m.Firmware = f.Firmware
		}
		if err := t.PutMachine(m); err != nil {
			return err
		}
		if err := t.PutFacts(m.ID, doc, now); err != nil {
			return err
		}
		return stamp(t, m.ID, now, "discovered", human.Count(len(f.Disks), "disk")+", "+human.Count(len(f.NICs), "interface"))
	})
	if err == nil {
		s.broker.publish(api.Change{Machine: ss.Machine})
	}
	return err
}

// Next waits up to wait for an order for the session's machine; nil if none.
// An order whose delivery was cut short is given again until the machine
// says that it runs.
func (s *Service) Next(ctx context.Context, ss *Session, wait time.Duration) (*api.Order, error) {
	timer := time.NewTimer(min(max(wait, 0), maxWait))
	defer timer.Stop()
	look := time.NewTicker(order.Quiet / 3) // for an abandoned order nobody wakes us
	defer look.Stop()
	for {
		// Asked for before the look, so that no change falls in between.
		changed := s.broker.changed(ss.Machine)
		o, err := s.deliver(ctx, ss)
		if o != nil || err != nil {
			return o, err
		}
		select {
		case <-timer.C:
			return nil, nil
		case <-look.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
			if s.broker.isClosed() {
				return nil, problem(503, "the server is going down; ask again")
			}
		}
	}
}

func (s *Service) deliver(ctx context.Context, ss *Session) (*api.Order, error) {
	var ready bool
	var again *api.Order
	err := s.store.View(ctx, func(t *store.Tx) error {
		m, err := current(t, ss)
		if err != nil {
			return err
		}
		o, err := t.OpenOrder(m.ID)
		if notFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		_, _, abandoned := asRule(o).Abandoned(ss.Attempt, s.quiet(o))
		ready = o.State == api.StateQueued || abandoned
		if o.State == api.StateSent && o.Boot == ss.Attempt {
			again = s.shown(o)
		}
		return nil
	})
	if err != nil || !ready {
		return again, err
	}
	var sent *api.Order
	err = s.store.Update(ctx, func(t *store.Tx) error {
		m, err := current(t, ss)
		if err != nil {
			return err
		}
		rule, o, err := rules(t, m)
		if err != nil || o == nil {
			return err
		}
		if r, story, ok := asRule(*o).Abandoned(ss.Attempt, s.quiet(*o)); ok {
			if err := s.startAgain(t, &m, o, r, story, ss.BootID); err != nil {
				return err
			}
			if err := t.PutMachine(m); err != nil {
				return err
			}
		}
		if o.State != api.StateQueued {
			return nil
		}
		if order.Deliver(rule, o.Kind) != nil {
			return nil // it waits; the machine's status says for what
		}
		r, err := asRule(*o).Send(ss.Attempt)
		if err != nil {
			return err
		}
		follow(o, r)
		o.Message, o.Updated, o.Progress = "", s.now(), nil
		// What the machine said before is about something else.
		m.Message, m.Failed = "", false
		if err := t.PutMachine(m); err != nil {
			return err
		}
		if err := t.PutOrder(*o); err != nil {
			return err
		}
		if err := s.tell(t, *o, api.Event{Kind: api.EventState, State: o.State, BootID: ss.BootID, Message: fmt.Sprintf("sent to boot %s as attempt %d", ss.BootID, o.Attempt)}); err != nil {
			return err
		}
		sent = s.shown(*o)
		return stamp(t, m.ID, o.Updated, "order sent", fmt.Sprintf("%s %s, attempt %d", o.Kind, o.ID, o.Attempt))
	})
	if err != nil || sent == nil {
		return nil, err
	}
	s.broker.publish(api.Change{Machine: ss.Machine, Order: sent.ID})
	return sent, nil
}

// quiet is how long nothing was heard of an order.
func (s *Service) quiet(o store.Order) time.Duration {
	s.progressMu.Lock()
	defer s.progressMu.Unlock()
	last := o.Updated
	if h := s.heard[o.ID]; h.After(last) {
		last = h
	}
	return s.now().Sub(last)
}

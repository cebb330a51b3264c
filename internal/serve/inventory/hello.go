package inventory

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

var bootIDForm = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// Hello exchanges a one-boot nonce for a session token, once. A second
// exchange is refused, and shown as a warning on the machine.
func (s *Service) Hello(ctx context.Context, r api.HelloRequest, remote netip.Addr) (*api.HelloReply, error) {
	if r.Protocol < 1 {
		return nil, bad("hello: protocol %d, this server speaks 1 to %d", r.Protocol, api.AgentProtocol)
	}
	if !bootIDForm.MatchString(r.BootID) {
		return nil, bad("hello: boot id %.80q is none", r.BootID)
	}
	token, err := s.random(32)
	if err != nil {
		return nil, err
	}
	var reply *api.HelloReply
	var refusal error
	var machine string
	var dropped []store.Boot
	err = s.store.Update(ctx, func(t *store.Tx) error {
		sum := hash(r.Nonce)
		b, err := t.BootByNonce(sum)
		if notFound(err) || err == nil && subtle.ConstantTimeCompare([]byte(b.NonceHash), []byte(sum)) != 1 {
			return problem(403, "hello: the nonce is not known; it belongs to one boot that this server started")
		}
		if err != nil {
			return err
		}
		m, err := t.Machine(b.Machine)
		if err != nil {
			return err
		}
		machine = m.ID
		if refusal, err = s.admit(t, &m, b, remote); refusal != nil || err != nil {
			return err
		}
		b.Hello, b.TokenHash, b.BootID, b.Remote, b.Segment = s.now(), hash(token), r.BootID, remote.Unmap().String(), nil
		if err := s.greet(t, &m, &b, r, remote); err != nil {
			return err
		}
		dropped, err = s.prune(t, m.ID)
		// The caller's version, or ours where the caller is newer: it must know.
		reply = &api.HelloReply{Protocol: min(r.Protocol, api.AgentProtocol), Token: token, Machine: m.ID, Name: m.Name, ServerTime: s.now()}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.dropLogs(dropped)
	s.broker.publish(api.Change{Machine: machine})
	if refusal != nil {
		return nil, refusal
	}
	return reply, nil
}

// admit says why a known nonce is not exchanged. The warning it leaves on
// the machine is committed, although the caller is refused.
func (s *Service) admit(t *store.Tx, m *store.Machine, b store.Boot, remote netip.Addr) (refusal, err error) {
	if !b.Hello.IsZero() {
		w := fmt.Sprintf("the one-boot secret of boot %s was presented a second time, by %s; the first time by %s", b.BootID, remote.Unmap(), b.Remote)
		s.cfg.Log.Warn("nonce presented a second time", "machine", m.Name, "boot", b.BootID, "remote", remote, "first", b.Remote)
		m.Warnings = addWarning(m.Warnings, w)
		return problem(403, "hello: the nonce was exchanged already; it can be exchanged once"), t.PutMachine(*m)
	}
	if s.now().Sub(b.Created) > segmentLife {
		return problem(403, "hello: the nonce is too old; netboot the machine again"), nil
	}
	if m.Approval == api.ApprovalRetired {
		return problem(403, "hello: machine %s is retired", m.Name), nil
	}
	if m.BootAttempt != "" {
		newest, err := t.Boot(m.BootAttempt)
		if err == nil && newest.N > b.N {
			return problem(403, "hello: the machine has said hello from a newer boot"), nil
		}
		if err != nil && !notFound(err) {
			return nil, err
		}
	}
	return nil, nil
}

// greet is what a new boot means for its machine and the order it was at.
func (s *Service) greet(t *store.Tx, m *store.Machine, b *store.Boot, r api.HelloRequest, remote netip.Addr) error {
	for _, a := range r.MACs {
		a = cleanMAC(a)
		if a == "" {
			continue
		}
		// A hello may add what is nobody's, never take from another machine.
		switch _, err := t.MachineByMAC(a); {
		case notFound(err):
			if err := s.addMAC(t, m.ID, a); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	if u := cleanUUID(r.UUID); u != "" && m.UUID == "" {
		switch _, found, err := findByUUID(t, u); {
		case err != nil:
			return err
		case !found:
			m.UUID = u
		}
	}
	m.Seen, m.BootAttempt, m.BootID = s.now(), b.Attempt, r.BootID
	m.Phase, m.Message, m.Failed = "hello", "", false
	m.Address = remote.Unmap().String()
	if err := s.restarted(t, m, b); err != nil {
		return err
	}
	if err := t.PutBoot(*b); err != nil {
		return err
	}
	if err := s.guardHellos(t, m, b); err != nil {
		return err
	}
	if err := t.PutMachine(*m); err != nil {
		return err
	}
	return stamp(t, m.ID, m.Seen, "hello", fmt.Sprintf("%.40s %.40s", r.Program, r.Version))
}

// restarted moves on the order that the machine's former boot was at, and
// notes what this boot is for.
func (s *Service) restarted(t *store.Tx, m *store.Machine, b *store.Boot) error {
	b.Goal = ""
	if b.Role == order.RoleRoot {
		b.Goal = m.RootOrder
	}
	o, err := t.OpenOrder(m.ID)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	b.Goal = o.ID
	r, story, ok := asRule(o).Restarted(b.Attempt)
	if !ok {
		return nil
	}
	return s.startAgain(t, m, &o, r, story, b.BootID)
}

// startAgain takes an order back whose attempt was cut short; the event of
// it belongs to that attempt.
func (s *Service) startAgain(t *store.Tx, m *store.Machine, o *store.Order, r order.Order, story, bootID string) error {
	e := api.Event{Kind: api.EventState, State: r.State, Phase: o.Phase, Message: story, Failed: r.State == api.StateFailed, BootID: bootID}
	if err := s.tell(t, *o, e); err != nil {
		return err
	}
	if o.Kind == api.KindDeploy && o.Phase != "" && o.Phase != api.PhaseCheck {
		o.CutAt = o.Phase // the disk may hold this very image already
	}
	follow(o, r)
	o.Message, o.Updated, o.Progress = story, s.now(), nil
	s.forgetProgress(o.ID)
	if r.State == api.StateFailed {
		m.Message, m.Failed = story, true
	}
	return t.PutOrder(*o)
}

// guardHellos parks a machine that comes back again and again for the same
// goal.
func (s *Service) guardHellos(t *store.Tx, m *store.Machine, b *store.Boot) error {
	if b.Goal == "" {
		return nil
	}
	boots, err := t.Boots(m.ID)
	if err != nil {
		return err
	}
	var hellos []time.Time
	for _, x := range boots {
		if x.Goal == b.Goal && !x.Hello.IsZero() && !x.Reached && !x.Hello.Before(m.GuardSince) {
			hellos = append(hellos, x.Hello)
		}
	}
	goal := "order " + b.Goal
	if b.Role == order.RoleRoot {
		goal = "its root (order " + b.Goal + ")"
	}
	if reason, looping := order.TooManyHellos(hellos, s.now(), goal); looping {
		s.park(t, m, reason)
	}
	return nil
}

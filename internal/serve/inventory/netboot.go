package inventory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/cpio"
	"bareroot/internal/rdconf"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

const (
	segmentLife  = time.Hour // a nonce not exchanged by then is void
	segmentAlign = 4096
	keepBoots    = 10 // with a hello, and so with a log
	keepScripts  = 20 // without
)

// NetBoot decides what a machine at the boot door gets, and freezes it: with
// ActBoot, each call is a boot attempt of its own.
func (s *Service) NetBoot(ctx context.Context, r order.BootRequest) (order.Decision, error) {
	var d order.Decision
	var id string
	var dropped []store.Boot
	err := s.store.Update(ctx, func(t *store.Tx) error {
		m, err := s.identify(t, r.UUID, r.MAC, "")
		if err != nil {
			return err
		}
		id = m.ID
		m.Seen = s.now()
		if r.Platform != "" {
			m.Firmware = r.Platform
		}
		if r.Remote.IsValid() && !r.Remote.IsUnspecified() {
			m.Address = r.Remote.Unmap().String()
		}
		if d, err = s.decide(t, &m, r); err != nil {
			return err
		}
		if err := t.PutMachine(m); err != nil {
			return err
		}
		dropped, err = s.prune(t, m.ID)
		return err
	})
	if err != nil {
		return order.Decision{}, err
	}
	s.dropLogs(dropped)
	s.cfg.Log.Info("netboot", "machine", id, "mac", r.MAC, "action", d.Action, "message", d.Message)
	s.broker.publish(api.Change{Machine: id})
	return d, nil
}

func (s *Service) decide(t *store.Tx, m *store.Machine, r order.BootRequest) (order.Decision, error) {
	rule, open, err := rules(t, *m)
	if err != nil {
		return order.Decision{}, err
	}
	v := order.NetBoot(rule)
	if v.Action == order.ActBoot {
		looping, err := s.guardScripts(t, m)
		if err != nil {
			return order.Decision{}, err
		}
		if looping {
			rule.Approval, rule.Reason = m.Approval, m.Reason
			v = order.NetBoot(rule)
		}
	}
	if v.Action != order.ActPark && (rule.Open == nil || rule.Open.State == api.StateQueued) {
		m.Phase, m.Message, m.Failed = "netboot", v.Message, false // what it said in its former boot is over
		if v.Action == order.ActDisk {
			m.Phase = "disk"
		}
	}
	switch v.Action {
	case order.ActDisk:
		return order.Decision{Action: v.Action, Message: v.Message}, stamp(t, m.ID, s.now(), "disk", "sent to its own disk")
	case order.ActPark:
		return order.Decision{Action: v.Action, Message: v.Message}, nil
	}
	set, found, err := chooseSet(t, m.BootSet, r.Arch)
	if err != nil {
		return order.Decision{}, err
	}
	if !found {
		msg := "no boot set is registered"
		if r.Arch != "" {
			msg += " for " + r.Arch
		}
		return order.Decision{Action: order.ActPark, Message: msg + "; add one with: bareroot boot add"}, nil
	}
	if open != nil && open.State == api.StateRunning {
		v.Message += ", after a restart"
	}
	return s.freeze(t, m, set, v, r)
}

// guardScripts parks a machine that asks for scripts and never reports back.
func (s *Service) guardScripts(t *store.Tx, m *store.Machine) (looping bool, err error) {
	boots, err := t.Boots(m.ID)
	if err != nil {
		return false, err
	}
	var asked []time.Time
	for _, b := range boots {
		if !b.Hello.IsZero() || b.Created.Before(m.GuardSince) {
			break
		}
		asked = append(asked, b.Created)
	}
	reason, looping := order.TooManyScripts(asked, s.now())
	if looping {
		s.park(t, m, reason)
	}
	return looping, nil
}

func (s *Service) park(t *store.Tx, m *store.Machine, reason string) {
	m.Approval, m.Reason = api.ApprovalHeld, reason
	m.Warnings = addWarning(m.Warnings, reason)
	s.cfg.Log.Warn("machine parked", "machine", m.Name, "reason", reason)
}

// chooseSet takes the pinned boot set, else the default one, else the newest
// one for the architecture.
func chooseSet(t *store.Tx, pinned, arch string) (set store.BootSet, found bool, err error) {
	if pinned == "" {
		if pinned, err = t.Setting(defaultSet); err != nil {
			return set, false, err
		}
	}
	all, err := t.BootSets()
	if err != nil {
		return set, false, err
	}
	for _, b := range all {
		if arch != "" && b.Manifest.Arch != arch {
			continue
		}
		if b.Name == pinned {
			return b, true, nil
		}
		if !found || b.Added.After(set.Added) {
			set, found = b, true
		}
	}
	return set, found, nil
}

// freeze makes the boot attempt: its secrets, its segment, its command line.
func (s *Service) freeze(t *store.Tx, m *store.Machine, set store.BootSet, v order.Verdict, r order.BootRequest) (order.Decision, error) {
	attempt, err := s.random(16)
	if err != nil {
		return order.Decision{}, err
	}
	nonce, err := s.random(32)
	if err != nil {
		return order.Decision{}, err
	}
	n, err := t.Count("boot")
	if err != nil {
		return order.Decision{}, err
	}
	mac := cleanMAC(r.MAC)
	conf := rdconf.Config{
		Version: rdconf.Version,
		Role:    v.Role,
		Server:  &rdconf.Server{URL: s.cfg.BaseURL, Nonce: nonce, Machine: m.ID, BootMAC: mac},
	}
	net := s.subnet(r.Remote)
	conf.Locked, conf.Modules = net.Locked, net.Modules
	if len(net.SSHKeys) > 0 {
		conf.SSH = &rdconf.SSH{Keys: net.SSHKeys}
	}
	words := strings.Fields(net.Cmdline)
	if v.Role == order.RoleRoot {
		words = append(append(words, "rd.neednet=1"), m.RootWords...)
	}
	conf.Cmdline = strings.Join(words, " ")
	seg, err := segment(conf)
	if err != nil {
		return order.Decision{}, fmt.Errorf("make segment of machine %s: %w", m.Name, err)
	}
	now := s.now()
	b := store.Boot{Attempt: attempt, N: n, Machine: m.ID, Role: v.Role, BootSet: set.Manifest.ID, NonceHash: hash(nonce), Segment: seg, Created: now}
	if err := t.PutBoot(b); err != nil {
		return order.Decision{}, err
	}
	note := set.Name + ", " + v.Role
	if r.Platform != "" {
		note += ", " + r.Platform
	}
	if err := stamp(t, m.ID, now, "netboot", note); err != nil {
		return order.Decision{}, err
	}
	cmdline := set.Manifest.Cmdline
	if mac != "" {
		cmdline = strings.TrimSpace(cmdline + " BOOTIF=01-" + strings.ReplaceAll(mac, ":", "-"))
	}
	man := set.Manifest
	return order.Decision{Action: order.ActBoot, Message: v.Message, Attempt: attempt, Set: &man, Cmdline: cmdline}, nil
}

// subnet is the smallest one that a is in; without content if there is none.
func (s *Service) subnet(a netip.Addr) (found Subnet) {
	for _, n := range s.cfg.Subnets {
		if n.Prefix.Contains(a.Unmap()) && (!found.Prefix.IsValid() || n.Prefix.Bits() > found.Prefix.Bits()) {
			found = n
		}
	}
	return found
}

// segment is the machine's own segment: one file, padded so that every boot
// program's idea of its size is the same.
func segment(c rdconf.Config) ([]byte, error) {
	doc, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, d := range []string{"etc", "etc/bareroot"} {
		if err := w.Dir(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := w.File(strings.TrimPrefix(rdconf.Path, "/"), 0o600, doc); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if over := b.Len() % segmentAlign; over != 0 {
		b.Write(make([]byte, segmentAlign-over))
	}
	return b.Bytes(), nil
}

// Segment is the machine's own segment of a boot attempt. It is there until
// the machine has said hello, for an hour at most.
func (s *Service) Segment(ctx context.Context, attempt string) ([]byte, error) {
	gone := problem(404, "no such boot attempt")
	var b store.Boot
	err := s.store.View(ctx, func(t *store.Tx) (err error) {
		b, err = t.Boot(attempt)
		return err
	})
	switch {
	case notFound(err):
		return nil, gone
	case err != nil:
		return nil, err
	case b.Segment == nil || s.now().Sub(b.Created) > segmentLife:
		return nil, gone
	case !b.Fetched.IsZero():
		return b.Segment, nil
	}
	err = s.store.Update(ctx, func(t *store.Tx) error {
		now, err := t.Boot(attempt)
		if err != nil || !now.Fetched.IsZero() {
			return err
		}
		now.Fetched = s.now()
		if err := t.PutBoot(now); err != nil {
			return err
		}
		return stamp(t, now.Machine, now.Fetched, "kernel", "its segment was fetched")
	})
	if err != nil && !notFound(err) {
		return nil, err
	}
	s.broker.publish(api.Change{Machine: b.Machine})
	return b.Segment, nil
}

// prune forgets the secrets of old attempts and the oldest boots. It returns
// the boots whose logs may go.
func (s *Service) prune(t *store.Tx, machine string) ([]store.Boot, error) {
	if err := t.DropSegments(s.now().Add(-segmentLife)); err != nil {
		return nil, err
	}
	boots, err := t.Boots(machine)
	if err != nil {
		return nil, err
	}
	var dropped []store.Boot
	hello, silent := 0, 0
	for _, b := range boots {
		if b.Hello.IsZero() {
			if silent++; silent <= keepScripts {
				continue
			}
		} else if hello++; hello <= keepBoots {
			continue
		}
		if err := t.DropBootEvents(b.Attempt); err != nil {
			return nil, err
		}
		if err := t.DropBoot(b.Attempt); err != nil {
			return nil, err
		}
		dropped = append(dropped, b)
	}
	return dropped, nil
}

func (s *Service) dropLogs(boots []store.Boot) {
	for _, b := range boots {
		if b.BootID == "" {
			continue
		}
		if err := os.Remove(s.logPath(b.Machine, b.BootID)); err != nil && !os.IsNotExist(err) {
			s.cfg.Log.Warn("old log not removed", "machine", b.Machine, "boot", b.BootID, "err", err)
		}
	}
}

// random is n bytes that nobody can guess, in hex.
func (s *Service) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// hash is how a secret is kept. The secrets are 256 random bits: there is
// nothing a slow hash would protect.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

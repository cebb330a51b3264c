package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

func asRule(o store.Order) order.Order {
	r := order.Order{Kind: o.Kind, State: o.State, Attempt: o.Attempt, Restarts: o.Restarts, Boot: o.Boot, Phase: o.Phase}
	r.DryRun = o.Deploy != nil && o.Deploy.DryRun
	return r
}

// follow takes the rules' outcome into the row.
func follow(o *store.Order, r order.Order) {
	o.State, o.Attempt, o.Restarts, o.Boot, o.Phase = r.State, r.Attempt, r.Restarts, r.Boot, r.Phase
}

// shown is the order as callers see it: with the progress that is newer than
// the row.
func (s *Service) shown(o store.Order) *api.Order {
	out := o.Order
	if o.State != api.StateRunning && o.State != api.StateSent {
		out.Progress = nil
		return &out
	}
	s.progressMu.Lock()
	defer s.progressMu.Unlock()
	if p, ok := s.progress[o.ID]; ok && p.Attempt == o.Attempt {
		out.Progress = &p
	}
	return &out
}

// PlaceOrder queues an order.
func (s *Service) PlaceOrder(ctx context.Context, ref string, r api.OrderRequest) (*api.Order, error) {
	if !order.Known(r.Kind) {
		return nil, bad("order kind %q is none of %s", r.Kind, strings.Join(order.Kinds(), ", "))
	}
	var o store.Order
	err := s.store.Update(ctx, func(t *store.Tx) error {
		m, err := find(t, ref)
		if err != nil {
			return err
		}
		rule, open, err := rules(t, m)
		if err != nil {
			return err
		}
		openID := ""
		if open != nil {
			openID = open.ID
		}
		if err := order.Place(rule, r.Kind, openID); err != nil {
			return refused(err)
		}
		now := s.now()
		o = store.Order{Order: api.Order{Machine: m.ID, Kind: r.Kind, State: api.StateQueued, Created: now, Updated: now}}
		if err := s.spec(t, &o.Order, r); err != nil {
			return err
		}
		if o.N, err = t.Count("order"); err != nil {
			return err
		}
		o.ID = fmt.Sprintf("o-%d", o.N)
		if err := t.PutOrder(o); err != nil {
			return err
		}
		return s.tell(t, o, api.Event{Kind: api.EventState, State: o.State, Message: "ordered"})
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{Machine: o.Machine, Order: o.ID})
	return &o.Order, nil
}

// spec fills in what the request means, with all hashes.
func (s *Service) spec(t *store.Tx, o *api.Order, r api.OrderRequest) error {
	switch r.Kind {
	case api.KindDeploy:
		src, err := s.source(t, r.Image, "raw", r.Kind)
		if err != nil {
			return err
		}
		switch r.After {
		case "", "reboot", "poweroff", "wait":
		default:
			return bad("after %q is none of reboot, poweroff, wait", r.After)
		}
		if r.Target.MinSize < 0 || r.Target.MaxSize < 0 || r.Target.MaxSize > 0 && r.Target.MinSize > r.Target.MaxSize {
			return bad("target sizes %d to %d are no range", r.Target.MinSize, r.Target.MaxSize)
		}
		o.Deploy = &api.DeploySpec{Image: src, Target: r.Target, Erase: r.Erase, DryRun: r.DryRun, After: r.After}
	case api.KindRoot:
		words, err := s.rootWords(t, r)
		if err != nil {
			return err
		}
		o.Root = &api.RootSpec{Words: words}
	default:
		if r.Image != "" || r.Root != nil {
			return bad("a %s order takes no image and no root", r.Kind)
		}
	}
	b, err := json.Marshal(struct {
		Kind   string          `json:"kind"`
		Deploy *api.DeploySpec `json:"deploy,omitempty"`
		Root   *api.RootSpec   `json:"root,omitempty"`
	}{o.Kind, o.Deploy, o.Root})
	if err != nil {
		return fmt.Errorf("hash order: %w", err)
	}
	sum := sha256.Sum256(b)
	o.SpecHash = hex.EncodeToString(sum[:])
	return nil
}

func (s *Service) source(t *store.Tx, name, format, kind string) (api.Source, error) {
	if name == "" {
		return api.Source{}, bad("a %s order needs an image; see: bareroot image list", kind)
	}
	i, err := t.Image(name)
	if err != nil {
		return api.Source{}, missing(err, "no image %q; see: bareroot image list", name)
	}
	if i.Format != format {
		return api.Source{}, bad("image %s is %s, a %s order needs a %s one", name, i.Format, kind, format)
	}
	if i.Problem != "" {
		return api.Source{}, conflict("image %s is damaged: %s; remove it and add it again", name, i.Problem)
	}
	return api.Source{URL: s.cfg.BaseURL + "/images/" + i.SHA256, SHA256: i.SHA256, Size: i.Size, Format: i.Format, Compression: i.Compression, RawSize: i.RawSize}, nil
}

func (s *Service) rootWords(t *store.Tx, r api.OrderRequest) ([]string, error) {
	if r.Image == "" {
		if r.Root == nil || len(r.Root.Words) == 0 {
			return nil, bad("a root order needs an image, or the words that name the root")
		}
		total := 0
		for _, w := range r.Root.Words {
			total += len(w) + 1
			if w == "" || strings.ContainsFunc(w, func(c rune) bool { return !unicode.IsPrint(c) }) {
				return nil, bad("root word %q has characters that a kernel command line cannot carry", w)
			}
		}
		if total > 2000 {
			return nil, bad("the root's words are %d characters, more than the 2000 that fit a kernel command line", total)
		}
		return r.Root.Words, nil
	}
	if r.Root != nil {
		return nil, bad("a root order takes an image or a root, not both")
	}
	src, err := s.source(t, r.Image, "squashfs", r.Kind)
	if err != nil {
		return nil, err
	}
	if src.Compression != "" {
		return nil, bad("image %s is a %s-compressed squashfs; add it uncompressed, squashfs compresses by itself", r.Image, src.Compression)
	}
	return []string{
		"root=live:" + src.URL,
		"rd.live.image", "rd.live.overlay.overlayfs=1",
		"bareroot.live.sha256=" + src.SHA256,
		"bareroot.live.size=" + strconv.FormatInt(src.Size, 10),
	}, nil
}

// tell appends the server's own event to the order's history.
func (s *Service) tell(t *store.Tx, o store.Order, e api.Event) error {
	e.Order, e.Attempt, e.Time = o.ID, o.Attempt, s.now()
	_, err := t.AddEvent(store.Event{Machine: o.Machine, Order: o.ID, Attempt: o.Attempt, Event: e})
	return err
}

// Orders lists orders, newest first; all machines' if ref is empty.
func (s *Service) Orders(ctx context.Context, ref string) ([]api.Order, error) {
	out := []api.Order{}
	err := s.store.View(ctx, func(t *store.Tx) error {
		id := ""
		if ref != "" {
			m, err := find(t, ref)
			if err != nil {
				return err
			}
			id = m.ID
		}
		rows, err := t.Orders(id)
		for _, o := range rows {
			out = append(out, *s.shown(o))
		}
		return err
	})
	return out, err
}

// Order is an order with its history.
func (s *Service) Order(ctx context.Context, id string) (*api.OrderDetail, error) {
	var out api.OrderDetail
	err := s.store.View(ctx, func(t *store.Tx) error {
		o, err := findOrder(t, id)
		if err != nil {
			return err
		}
		es, err := t.OrderEvents(id)
		if err != nil {
			return err
		}
		out = api.OrderDetail{Order: *s.shown(o), Events: []api.Event{}}
		for _, e := range es {
			if e.Plan != nil {
				out.Plan = e.Plan
			}
			out.Events = append(out.Events, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

func findOrder(t *store.Tx, id string) (store.Order, error) {
	o, err := t.Order(id)
	return o, missing(err, "no order %q; see: bareroot order list", id)
}

// Cancel ends an open order. A machine that works on it is told with its
// next events.
func (s *Service) Cancel(ctx context.Context, id string) (*api.Order, error) {
	return s.turn(ctx, id, func(t *store.Tx, m *store.Machine, o *store.Order) error {
		r, err := asRule(*o).Cancel()
		if err != nil {
			return conflict("cancel order %s: %s", id, err)
		}
		follow(o, r)
		o.Message = "cancelled by the operator"
		if asRule(*o).Boot != "" {
			m.Message, m.Failed = "order "+o.ID+" was cancelled", false
		}
		return nil
	})
}

// Retry queues a failed or cancelled order again, as its next attempt.
func (s *Service) Retry(ctx context.Context, id string) (*api.Order, error) {
	return s.turn(ctx, id, func(t *store.Tx, m *store.Machine, o *store.Order) error {
		r, err := asRule(*o).Retry()
		if err != nil {
			return conflict("retry order %s: %s", id, err)
		}
		rule, open, err := rules(t, *m)
		if err != nil {
			return err
		}
		openID := ""
		if open != nil {
			openID = open.ID
		}
		if err := order.Place(rule, o.Kind, openID); err != nil {
			return refused(err)
		}
		if o.Deploy != nil {
			if _, err := t.ImageBySHA256(o.Deploy.Image.SHA256); err != nil {
				return missing(err, "the image of order %s is no longer registered; order again with another one", id)
			}
		}
		follow(o, r)
		o.Message, o.Progress, o.Result = "queued again by the operator", nil, nil
		m.GuardSince, m.Failed, m.Message = s.now(), false, ""
		return nil
	})
}

// turn changes an order's state on the operator's word.
func (s *Service) turn(ctx context.Context, id string, f func(*store.Tx, *store.Machine, *store.Order) error) (*api.Order, error) {
	var o store.Order
	err := s.store.Update(ctx, func(t *store.Tx) (err error) {
		if o, err = findOrder(t, id); err != nil {
			return err
		}
		m, err := t.Machine(o.Machine)
		if err != nil {
			return err
		}
		if err := f(t, &m, &o); err != nil {
			return err
		}
		o.Updated = s.now()
		if err := t.PutOrder(o); err != nil {
			return err
		}
		if err := t.PutMachine(m); err != nil {
			return err
		}
		return s.tell(t, o, api.Event{Kind: api.EventState, State: o.State, Message: o.Message})
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{Machine: o.Machine, Order: o.ID})
	return s.shown(o), nil
}

package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
)

// Machines lists all machines by name, without facts and timelines.
func (s *Service) Machines(ctx context.Context) ([]api.Machine, error) {
	out := []api.Machine{}
	err := s.store.View(ctx, func(t *store.Tx) error {
		rows, err := t.Machines()
		if err != nil {
			return err
		}
		macs, err := t.MACs("")
		if err != nil {
			return err
		}
		byID := map[string][]string{}
		for _, m := range macs {
			byID[m.Machine] = append(byID[m.Machine], m.MAC)
		}
		newest, err := t.NewestOrders("")
		if err != nil {
			return err
		}
		orders := map[string]*api.Order{}
		for _, o := range newest {
			orders[o.Machine] = s.shown(o)
		}
		discovered, err := t.Discovered()
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, id := range discovered {
			known[id] = true
		}
		for _, r := range rows {
			out = append(out, asMachine(r, byID[r.ID], orders[r.ID], known[r.ID]))
		}
		return nil
	})
	return out, err
}

// Machine is one machine in detail. ref is its id, name, UUID or a MAC.
func (s *Service) Machine(ctx context.Context, ref string) (*api.Machine, error) {
	var out api.Machine
	err := s.store.View(ctx, func(t *store.Tx) error {
		m, err := find(t, ref)
		if err != nil {
			return err
		}
		out, err = s.detail(t, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

func (s *Service) detail(t *store.Tx, m store.Machine) (api.Machine, error) {
	macs, err := t.MACs(m.ID)
	if err != nil {
		return api.Machine{}, err
	}
	var addrs []string
	for _, a := range macs {
		addrs = append(addrs, a.MAC)
	}
	newest, err := t.NewestOrders(m.ID)
	if err != nil {
		return api.Machine{}, err
	}
	var o *api.Order
	if len(newest) > 0 {
		o = s.shown(newest[0])
	}
	doc, err := t.Facts(m.ID)
	if err != nil {
		return api.Machine{}, err
	}
	out := asMachine(m, addrs, o, doc != nil)
	if doc != nil {
		if err := json.Unmarshal(doc, &out.Facts); err != nil {
			return api.Machine{}, fmt.Errorf("facts of machine %s: %w", m.Name, err)
		}
	}
	stamps, err := t.Stamps(m.ID)
	if err != nil {
		return api.Machine{}, err
	}
	for _, st := range stamps {
		out.Timeline = append(out.Timeline, api.Stamp{Time: st.At, What: st.What, Note: st.Note})
	}
	return out, nil
}

func asMachine(m store.Machine, macs []string, o *api.Order, discovered bool) api.Machine {
	if macs == nil {
		macs = []string{}
	}
	out := api.Machine{
		ID: m.ID, Name: m.Name, UUID: m.UUID, MACs: macs, Approval: m.Approval, Boot: m.Boot, BootSet: m.BootSet,
		Seen: m.Seen, BootID: m.BootID, Phase: m.Phase, Message: m.Message, Failed: m.Failed, Address: m.Address,
		Firmware: m.Firmware, Power: m.Power, Warnings: m.Warnings, Order: o,
	}
	out.Status = order.Status(&out, m.Reason, discovered)
	return out
}

// rules is what package order needs to know of a machine.
func rules(t *store.Tx, m store.Machine) (order.Machine, *store.Order, error) {
	out := order.Machine{Name: m.Name, Approval: m.Approval, Reason: m.Reason, Boot: m.Boot}
	o, err := t.OpenOrder(m.ID)
	if notFound(err) {
		return out, nil, nil
	}
	if err != nil {
		return out, nil, err
	}
	r := asRule(o)
	out.Open = &r
	return out, &o, nil
}

// Approve changes a machine's approval, name or pinned boot set. Approving releases it from
// the boot-loop guard and clears its warnings: someone has read them.
func (s *Service) Approve(ctx context.Context, ref string, r api.ApproveRequest) (*api.Machine, error) {
	if r.Approval == "" {
		r.Approval = api.ApprovalApproved
	}
	if !slices.Contains([]string{api.ApprovalNew, api.ApprovalHeld, api.ApprovalApproved, api.ApprovalRetired}, r.Approval) {
		return nil, bad("approval %q is none of new, held, approved, retired", r.Approval)
	}
	if r.Name != "" && (!nameForm.MatchString(r.Name) || idForm.MatchString(r.Name) || uuidForm.MatchString(r.Name)) {
		return nil, bad("machine name %q must be a host name: lower-case letters, digits and inner dashes, at most 63, and not look like an id (m-1)", r.Name)
	}
	return s.change(ctx, ref, func(t *store.Tx, m *store.Machine) error {
		if r.Name != "" && r.Name != m.Name {
			switch other, err := t.MachineByName(r.Name); {
			case err == nil:
				return conflict("machine %s (%s) has the name already", r.Name, other.ID)
			case !notFound(err):
				return err
			}
			m.Name = r.Name
		}
		switch r.BootSet {
		case "":
		case "default":
			m.BootSet = ""
		default:
			if _, err := t.BootSet(r.BootSet); err != nil {
				return missing(err, "no boot set %q; see: bareroot boot list", r.BootSet)
			}
			m.BootSet = r.BootSet
		}
		m.Approval, m.Reason = r.Approval, ""
		if r.Approval == api.ApprovalApproved {
			m.GuardSince, m.Warnings = s.now(), nil
		}
		return nil
	})
}

func (s *Service) change(ctx context.Context, ref string, f func(*store.Tx, *store.Machine) error) (*api.Machine, error) {
	var out api.Machine
	err := s.store.Update(ctx, func(t *store.Tx) error {
		m, err := find(t, ref)
		if err != nil {
			return err
		}
		if err := f(t, &m); err != nil {
			return err
		}
		if err := t.PutMachine(m); err != nil {
			return err
		}
		out, err = s.detail(t, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{Machine: out.ID})
	return &out, nil
}

// Forget removes a machine and its history. If it netboots again it is new.
func (s *Service) Forget(ctx context.Context, ref string) error {
	var m store.Machine
	err := s.store.Update(ctx, func(t *store.Tx) (err error) {
		if m, err = find(t, ref); err != nil {
			return err
		}
		o, err := t.OpenOrder(m.ID)
		if err == nil {
			return conflict("machine %s has the open order %s (%s, %s); cancel it first with: bareroot order cancel %s", m.Name, o.ID, o.Kind, o.State, o.ID)
		}
		if !notFound(err) {
			return err
		}
		return t.DeleteMachine(m.ID)
	})
	if err != nil {
		return err
	}
	s.broker.publish(api.Change{Machine: m.ID})
	if err := os.RemoveAll(s.logDir(m.ID)); err != nil {
		return fmt.Errorf("forget machine %s: %w", m.Name, err)
	}
	return nil
}

// Import makes a machine known, or updates it, from what a power driver
// says. An imported machine is new until approved, like any other.
func (s *Service) Import(ctx context.Context, p PowerSystem) error {
	var macs []string
	for _, a := range p.MACs {
		if a = cleanMAC(a); a != "" {
			macs = append(macs, a)
		}
	}
	var first string
	if len(macs) > 0 {
		first = macs[0]
	}
	var id string
	changed := false
	err := s.store.Update(ctx, func(t *store.Tx) error {
		m, err := s.identify(t, p.UUID, first, p.Name)
		if err != nil {
			return err
		}
		id = m.ID
		for _, a := range macs {
			if m, err = s.withMAC(t, m, a); err != nil {
				return err
			}
		}
		if m.Power == p.Power && m.BMC == p.Name {
			return nil
		}
		changed = true
		m.Power, m.BMC = p.Power, p.Name
		return t.PutMachine(m)
	})
	if err == nil && changed {
		s.broker.publish(api.Change{Machine: id})
	}
	return err
}

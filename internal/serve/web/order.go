package web

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"

	"bareroot/api"
	"bareroot/internal/human"
)

// orderRow is an order in a machine's list.
type orderRow struct {
	ID, What, State, Tone, Message string
	Attempt                        int
	Open, CanRetry                 bool
	Updated                        clock
}

func (s *Site) orderRow(o *api.Order) orderRow {
	return orderRow{
		ID: o.ID, What: title(o), State: o.State, Tone: orderTone(o.State), Message: o.Message, Attempt: o.Attempt,
		Open: open(o.State), CanRetry: o.State == api.StateFailed || o.State == api.StateCancelled, Updated: s.clock(o.Updated),
	}
}

// title says in words what an order is to do.
func title(o *api.Order) string {
	switch {
	case o.Deploy != nil:
		t := "deploy"
		if o.Deploy.DryRun {
			t = "plan a deployment"
		}
		if o.Deploy.Erase {
			t += ", erase"
		}
		return t
	case o.Root != nil:
		return "run root"
	}
	return o.Kind
}

// orderView is an order with its history.
type orderView struct {
	orderRow
	Machine struct{ ID, Name string }
	Facts   []pair
	Plan    *planView
	Events  []eventView
	Seconds []pair
}

type planView struct {
	Disks []planDisk
	Steps []string
	Hash  string
}

type planDisk struct {
	ID, Path, Size, Action, Why string
	Found                       []string
	Touched                     bool
}

type eventView struct {
	clock
	Attempt       int
	What, Message string
	Failed        bool
}

func (s *Site) orderView(ctx context.Context, id string) (*orderView, error) {
	o, err := s.cfg.Inventory.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	v := &orderView{orderRow: s.orderRow(&o.Order), Facts: s.orderFacts(&o.Order)}
	v.Machine.ID, v.Machine.Name = o.Machine, o.Machine
	if m, err := s.cfg.Inventory.Machine(ctx, o.Machine); err == nil {
		v.Machine.Name = cmp.Or(m.Name, m.ID) // a forgotten machine keeps its id
	}
	if p := o.Plan; p != nil {
		v.Plan = &planView{Hash: p.Hash}
		for _, d := range p.Disks {
			v.Plan.Disks = append(v.Plan.Disks, planDisk{d.ID, d.Path, human.Bytes(d.Size), d.Action, d.Why, d.Found, d.Action != "untouched"})
		}
		for _, st := range p.Steps {
			line := cmp.Or(st.Detail, st.Op)
			if st.Bytes > 0 {
				line += " (" + human.Bytes(st.Bytes) + ")"
			}
			v.Plan.Steps = append(v.Plan.Steps, line)
		}
	}
	for _, e := range o.Events {
		v.Events = append(v.Events, eventView{
			s.clock(e.Time), e.Attempt, strings.TrimSpace(cmp.Or(e.State, e.Kind) + " " + e.Phase),
			e.Message, e.Failed || e.State == api.StateFailed,
		})
	}
	if o.Result != nil {
		v.Seconds = seconds(o.Result.Seconds)
	}
	return v, nil
}

// orderFacts is what was ordered, and what it came to.
func (s *Site) orderFacts(o *api.Order) []pair {
	out := []pair{{"Order", o.ID}, {"Created", s.clock(o.Created).Full}, {"Attempt", fmt.Sprint(o.Attempt)}}
	if d := o.Deploy; d != nil {
		i := d.Image
		out = append(out, pair{"Image", fmt.Sprintf("%s, %s, sha256 %s", cmp.Or(path.Base(i.URL), "-"), human.Bytes(i.Size), i.SHA256)})
		out = append(out, pair{"Target", target(d.Target)})
		erase := "no, data on it is kept safe"
		if d.Erase {
			erase = "yes"
		}
		out = append(out, pair{"May erase data", erase}, pair{"Afterwards", cmp.Or(d.After, "reboot")})
	}
	if o.Root != nil {
		out = append(out, pair{"Root", strings.Join(o.Root.Words, " ")})
	}
	if r := o.Result; r != nil {
		if r.Disk != "" {
			out = append(out, pair{"Written disk", r.Disk})
		}
		if r.ImageBytes > 0 {
			out = append(out, pair{"Bytes", fmt.Sprintf("%s image, %s read, %s written", human.Bytes(r.ImageBytes), human.Bytes(r.BytesRead), human.Bytes(r.BytesWritten))})
		}
	}
	return append(out, pair{"Specification", o.SpecHash})
}

// target is a disk hint in words.
func target(h api.DiskHint) string {
	var parts []string
	for _, p := range []pair{{"path", h.Path}, {"serial", h.Serial}, {"wwn", h.WWN}, {"model", h.Model}} {
		if p.Value != "" {
			parts = append(parts, p.Key+" "+p.Value)
		}
	}
	if h.MinSize > 0 {
		parts = append(parts, "at least "+human.Bytes(h.MinSize))
	}
	if h.MaxSize > 0 {
		parts = append(parts, "at most "+human.Bytes(h.MaxSize))
	}
	if len(parts) == 0 {
		return "the one disk that fits"
	}
	return strings.Join(parts, ", ")
}

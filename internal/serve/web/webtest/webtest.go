// Package webtest is an inventory in memory for the tests of the admin door
// and the page: a few machines in different states, and a record of what was
// asked for. It has none of the real inventory's rules.
package webtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bareroot/api"
)

// Now is the time that the sample data was made for.
var Now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Inventory is the fake. Calls records what changed anything.
type Inventory struct {
	mu       sync.Mutex
	machines []api.Machine
	orders   []api.OrderDetail
	images   []api.Image
	sets     []api.BootSet
	logs     map[string]string
	calls    []string
	subs     map[chan api.Change]bool
}

// New is the sample inventory.
func New() *Inventory {
	orders := sampleOrders()
	return &Inventory{
		machines: sampleMachines(orders),
		orders:   orders,
		images:   sampleImages(),
		sets: []api.BootSet{
			{Name: "debian-6.1", ID: strings.Repeat("5e", 32), Kernel: "6.1.0-41-amd64", Arch: "amd64", Size: 48 << 20, Default: true, Added: Now.Add(-time.Hour)},
			{Name: "older", ID: strings.Repeat("0d", 32), Kernel: "6.1.0-35-amd64", Arch: "amd64", Size: 47 << 20, Added: Now.Add(-240 * time.Hour)},
		},
		logs: map[string]string{"m1": "bareroot-init 0.1.0\n\x1b[32m[    0.812]\x1b[0m network: lease 10.77.0.21/24 on eth0\r\n[    1.204] hello: accepted as node1 <script>alert(1)</script>\n"},
		subs: map[chan api.Change]bool{},
	}
}

// Calls is what was asked for, as text, oldest first.
func (f *Inventory) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Subscribers counts open subscriptions.
func (f *Inventory) Subscribers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs)
}

// Update changes a machine and tells subscribers.
func (f *Inventory) Update(id string, change func(*api.Machine)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.machines {
		if f.machines[i].ID == id {
			change(&f.machines[i])
		}
	}
	for c := range f.subs {
		select {
		case c <- api.Change{Machine: id}:
		default:
		}
	}
}

func (f *Inventory) record(format string, args ...any) {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func problem(status int, format string, args ...any) error {
	return &api.Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

func (f *Inventory) find(ref string) (*api.Machine, error) {
	for i := range f.machines {
		m := &f.machines[i]
		if m.ID == ref || m.Name == ref || m.UUID == ref || slices.Contains(m.MACs, ref) {
			return m, nil
		}
	}
	return nil, problem(404, "there is no machine %q", ref)
}

func (f *Inventory) findOrder(id string) (*api.OrderDetail, error) {
	for i := range f.orders {
		if f.orders[i].ID == id {
			return &f.orders[i], nil
		}
	}
	return nil, problem(404, "there is no order %q", id)
}

func (f *Inventory) Machines(context.Context) ([]api.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.machines)
	for i := range out {
		out[i].Facts, out[i].Timeline = nil, nil
	}
	return out, nil
}

func (f *Inventory) Machine(_ context.Context, ref string) (*api.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	c := *m
	return &c, nil
}

func (f *Inventory) Approve(_ context.Context, ref string, r api.ApproveRequest) (*api.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	f.record("approve %s %q %q", m.ID, r.Approval, r.Name)
	m.Approval = r.Approval
	c := *m
	return &c, nil
}

func (f *Inventory) Forget(_ context.Context, ref string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.find(ref)
	if err != nil {
		return err
	}
	f.record("forget %s", m.ID)
	return nil
}

func (f *Inventory) Logs(_ context.Context, ref, boot string) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	text, ok := f.logs[m.ID]
	if !ok || (boot != "" && boot != m.BootID) {
		return nil, problem(404, "there is no log of boot %q of %s", boot, ref)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (f *Inventory) PlaceOrder(_ context.Context, ref string, r api.OrderRequest) (*api.Order, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	if m.Approval != api.ApprovalApproved {
		return nil, problem(409, "%s is not approved. Approve it first.", m.Name)
	}
	f.record("order %s %s image=%q erase=%v dry=%v target=%+v", m.ID, r.Kind, r.Image, r.Erase, r.DryRun, r.Target)
	return &api.Order{ID: "o9", Machine: m.ID, Kind: r.Kind, State: api.StateQueued, Created: Now, Updated: Now}, nil
}

func (f *Inventory) Orders(_ context.Context, ref string) ([]api.Order, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := ""
	if ref != "" {
		m, err := f.find(ref)
		if err != nil {
			return nil, err
		}
		id = m.ID
	}
	var out []api.Order
	for _, o := range f.orders {
		if id == "" || o.Machine == id {
			out = append(out, o.Order)
		}
	}
	return out, nil
}

func (f *Inventory) Order(_ context.Context, id string) (*api.OrderDetail, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.findOrder(id)
	if err != nil {
		return nil, err
	}
	c := *o
	return &c, nil
}

func (f *Inventory) step(id, call string, want ...string) (*api.Order, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.findOrder(id)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(want, o.State) {
		return nil, problem(409, "order %s is %s", id, o.State)
	}
	f.record("%s %s", call, id)
	c := o.Order
	return &c, nil
}

func (f *Inventory) Cancel(_ context.Context, id string) (*api.Order, error) {
	return f.step(id, "cancel", api.StateQueued, api.StateSent, api.StateRunning)
}

func (f *Inventory) Retry(_ context.Context, id string) (*api.Order, error) {
	return f.step(id, "retry", api.StateFailed, api.StateCancelled)
}

func (f *Inventory) Images(context.Context) ([]api.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.images), nil
}

func (f *Inventory) AddImage(_ context.Context, r api.ImageRequest) (*api.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record("add image %s %s", r.Name, r.Path)
	return &api.Image{Name: r.Name, SHA256: r.SHA256, Format: "raw", Added: Now}, nil
}

func (f *Inventory) image(name, call string) (*api.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.images {
		if i.Name == name {
			f.record("%s %s", call, name)
			return &i, nil
		}
	}
	return nil, problem(404, "there is no image %q", name)
}

func (f *Inventory) VerifyImage(_ context.Context, name string) (*api.Image, error) {
	return f.image(name, "verify image")
}

func (f *Inventory) RemoveImage(_ context.Context, name string) error {
	_, err := f.image(name, "remove image")
	return err
}

func (f *Inventory) BootSets(context.Context) ([]api.BootSet, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sets), nil
}

func (f *Inventory) AddBootSet(_ context.Context, r api.BootSetRequest) (*api.BootSet, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record("add boot set %s %s %v", r.Name, r.Path, r.Default)
	return &api.BootSet{Name: r.Name, Added: Now}, nil
}

func (f *Inventory) set(name, call string) (*api.BootSet, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.sets {
		if b.Name == name {
			f.record("%s %s", call, name)
			return &b, nil
		}
	}
	return nil, problem(404, "there is no boot set %q", name)
}

func (f *Inventory) DefaultBootSet(_ context.Context, name string) (*api.BootSet, error) {
	return f.set(name, "default boot set")
}

func (f *Inventory) RemoveBootSet(_ context.Context, name string) error {
	_, err := f.set(name, "remove boot set")
	return err
}

func (f *Inventory) Subscribe() (<-chan api.Change, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan api.Change, 16)
	f.subs[c] = true
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, c)
	}
}

// Power is a power service that does at once what it is told.
type Power struct {
	mu    sync.Mutex
	calls []string
}

// Do records the request.
func (p *Power) Do(_ context.Context, uuid string, r api.PowerRequest) (api.PowerReply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Action == "explode" {
		return api.PowerReply{}, problem(400, "power action %q is not known", r.Action)
	}
	p.calls = append(p.calls, fmt.Sprintf("%s %s %q", uuid, r.Action, r.Boot))
	state := "on"
	if r.Action == "off" {
		state = "off"
	}
	return api.PowerReply{Power: state}, nil
}

// Calls is what was asked for.
func (p *Power) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

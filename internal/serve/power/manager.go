package power

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/inventory"
)

// pollLimit bounds one poll of one service.
const pollLimit = 50 * time.Second

// Manager owns the configured services.
type Manager struct {
	cfg      Config
	services []*service

	mu    sync.Mutex
	owner map[string]*machine // by UUID
}

// service is a Driver and what the last poll said of it.
type service struct {
	name string
	Driver
	down string // why the last poll failed, "" if it did not; by the polling goroutine only
	ever bool   // polled before
}

// machine is a UUID that a service holds. Its lock makes requests to one
// machine follow each other.
type machine struct {
	svc *service
	sys inventory.PowerSystem
	act sync.Mutex
}

// New checks the services' configuration. It does not connect.
func New(cfg Config) (*Manager, error) {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Minute
	}
	if cfg.Settle <= 0 {
		cfg.Settle = 30 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{cfg: cfg, owner: map[string]*machine{}}
	names := map[string]bool{}
	for _, s := range cfg.Services {
		if err := s.check(); err != nil {
			return nil, err
		}
		if names[s.Name] {
			return nil, fmt.Errorf("power service %s: named twice; give each a name of its own", s.Name)
		}
		names[s.Name] = true
		d := s.Driver
		if d == nil {
			d = newRedfish(s)
		}
		m.services = append(m.services, &service{name: s.Name, Driver: d})
	}
	return m, nil
}

// Run polls every service, at once and then each interval, until ctx ends.
// A service that is down is logged when that changes.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range m.services {
		wg.Go(func() {
			tick := time.NewTicker(m.cfg.Interval)
			defer tick.Stop()
			for {
				m.poll(ctx, s)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	wg.Wait()
	<-ctx.Done()
	return nil
}

// poll imports the service's machines.
func (m *Manager) poll(ctx context.Context, s *service) {
	limited, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	list, err := s.Systems(limited)
	if ctx.Err() != nil {
		return
	}
	down := ""
	if err != nil {
		down = err.Error()
	}
	switch {
	case down != "" && down != s.down:
		m.cfg.Log.Warn("power service does not answer", "service", s.name, "err", down)
	case down == "" && (s.down != "" || !s.ever):
		m.cfg.Log.Info("power service answers", "service", s.name, "machines", len(list))
	}
	s.down, s.ever = down, true
	for _, sys := range list {
		if mc := m.learn(s, sys); mc != nil {
			m.tell(ctx, sys)
		}
	}
}

// learn notes which service holds sys. The service that had it first keeps it.
func (m *Manager) learn(s *service, sys inventory.PowerSystem) *machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	mc := m.owner[sys.UUID]
	switch {
	case mc == nil:
		mc = &machine{svc: s}
		m.owner[sys.UUID] = mc
	case mc.svc != s:
		m.cfg.Log.Debug("machine ignored: another service has it", "uuid", sys.UUID, "service", s.name, "has", mc.svc.name)
		return nil
	}
	mc.sys = sys
	return mc
}

// tell imports sys into the inventory.
func (m *Manager) tell(ctx context.Context, sys inventory.PowerSystem) {
	if m.cfg.Inventory == nil {
		return
	}
	if err := m.cfg.Inventory.Import(ctx, sys); err != nil && ctx.Err() == nil {
		m.cfg.Log.Error("machine of a power service not imported", "uuid", sys.UUID, "name", sys.Name, "err", err)
	}
}

// find is the machine with that UUID; services are asked again if none has it.
func (m *Manager) find(ctx context.Context, uuid string) (*machine, error) {
	get := func() *machine {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.owner[uuid]
	}
	if mc := get(); mc != nil {
		return mc, nil
	}
	var errs []error
	for _, s := range m.services {
		list, err := s.Systems(ctx)
		if err != nil {
			errs = append(errs, err)
		}
		for _, sys := range list {
			m.learn(s, sys)
		}
	}
	if mc := get(); mc != nil {
		return mc, nil
	}
	if len(errs) > 0 {
		return nil, problem(http.StatusBadGateway, "ask the power services for the machine: "+strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
	}
	return nil, problem(http.StatusConflict, fmt.Sprintf("no power service knows the machine %s; name its Redfish service in the server's configuration", uuid))
}

// Do carries out r on the machine with that UUID, waits for the state it asks
// for, and tells the inventory. Errors are *api.Problem.
func (m *Manager) Do(ctx context.Context, uuid string, r api.PowerRequest) (api.PowerReply, error) {
	if err := check(r); err != nil {
		return api.PowerReply{}, err
	}
	if uuid == "" {
		return api.PowerReply{}, problem(http.StatusConflict, "the machine has no UUID, so no power service can be found for it")
	}
	uuid = strings.ToLower(uuid)
	mc, err := m.find(ctx, uuid)
	if err != nil {
		return api.PowerReply{}, err
	}
	mc.act.Lock()
	defer mc.act.Unlock()
	state, err := m.act(ctx, mc.svc, uuid, r)
	if state != Unknown {
		m.mu.Lock()
		sys := mc.sys
		sys.Power, mc.sys.Power = state, state
		m.mu.Unlock()
		m.tell(ctx, sys)
	}
	if err != nil {
		if ctx.Err() != nil {
			return api.PowerReply{}, ctx.Err()
		}
		m.cfg.Log.Warn("power request failed", "uuid", uuid, "action", r.Action, "service", mc.svc.name, "err", err)
		return api.PowerReply{}, problem(http.StatusBadGateway, err.Error())
	}
	m.cfg.Log.Info("power request done", "uuid", uuid, "action", r.Action, "boot", r.Boot, "power", state)
	return api.PowerReply{Power: state}, nil
}

// act is Do without the bookkeeping.
func (m *Manager) act(ctx context.Context, d Driver, uuid string, r api.PowerRequest) (string, error) {
	if r.Boot != "" {
		if err := d.SetBootOnce(ctx, uuid, r.Boot); err != nil {
			return Unknown, err
		}
	}
	want := ""
	var err error
	switch r.Action {
	case "on":
		want, err = On, d.On(ctx, uuid)
	case "off":
		want, err = Off, d.Off(ctx, uuid)
	case "cycle":
		want, err = On, d.Cycle(ctx, uuid)
	}
	if err != nil {
		return Unknown, err
	}
	return await(ctx, d, uuid, want, m.cfg.Settle)
}

// await asks for the state until it is want (any, if empty).
func await(ctx context.Context, d Driver, uuid, want string, limit time.Duration) (string, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := d.Status(ctx, uuid)
		if err != nil {
			return Unknown, err
		}
		if want == "" || state == want {
			return state, nil
		}
		select {
		case <-ctx.Done():
			return state, ctx.Err()
		case <-deadline.C:
			return state, fmt.Errorf("the service accepted the request, but the machine is still %q, not %q, after %s", state, want, limit)
		case <-tick.C:
		}
	}
}

// check refuses what no driver can do.
func check(r api.PowerRequest) error {
	switch r.Action {
	case "on", "off", "cycle", "status":
	default:
		return problem(http.StatusBadRequest, fmt.Sprintf("power action %q is not known; use on, off, cycle or status", r.Action))
	}
	switch r.Boot {
	case "":
	case BootPXE, BootDisk:
		if r.Action == "off" || r.Action == "status" {
			return problem(http.StatusBadRequest, fmt.Sprintf("a boot device goes with on or cycle, not with %s", r.Action))
		}
	default:
		return problem(http.StatusBadRequest, fmt.Sprintf("boot device %q is not known; use pxe or disk", r.Boot))
	}
	return nil
}

func problem(status int, detail string) *api.Problem {
	return &api.Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

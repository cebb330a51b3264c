// Package serve puts the server together: the inventory, the provisioning
// door (packages netboot and agentapi), the operator's door (package admin)
// and the power drivers, on their listeners, until its context ends. It
// decides nothing itself.
//
// State is in the inventory's database and files only. A server that is
// killed at any moment goes on where it was when it is started again.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bareroot/api"
	"bareroot/internal/serve/admin"
	"bareroot/internal/serve/agentapi"
	"bareroot/internal/serve/config"
	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/netboot"
	"bareroot/internal/serve/power"
	"bareroot/internal/version"
)

// grace is how long downloads that run may go on after the server was told
// to stop.
const grace = 10 * time.Second

// Config is the server's configuration.
type Config = config.Config

// server is what the parts of Run share.
type server struct {
	cfg     *Config
	log     *slog.Logger
	tally   *netboot.Tally
	started time.Time
	inv     *inventory.Service

	mu     sync.Mutex
	listen map[string][]string // door -> addresses
}

// Run serves until ctx ends, then lets requests finish. Listeners that were
// passed in replace those of the configuration; Run closes them.
func Run(ctx context.Context, cfg *Config, given Listeners, log *slog.Logger) (err error) {
	log = slog.New(newQuiet(log.Handler(), time.Now))
	s := &server{cfg: cfg, log: log, tally: &netboot.Tally{}, started: time.Now(), listen: map[string][]string{}}
	var open closers
	open.addAll(given.HTTP)
	open.addAll(given.Admin)
	defer open.closeAll() // what was handed over is closed twice, harmlessly

	nets, err := findNetworks(cfg)
	if err != nil {
		return err
	}
	doors, err := s.provisioningListeners(ctx, given.HTTP, nets, &open)
	if err != nil {
		return err
	}
	base, err := baseURL(cfg, nets, doors)
	if err != nil {
		return err
	}
	subnets, err := subnetsOf(cfg)
	if err != nil {
		return err
	}
	s.inv, err = inventory.New(inventory.Config{StateDir: cfg.StateDir, BaseURL: base, Subnets: subnets, Log: log.With("part", "inventory")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.inv.Close()) }()
	pow, err := s.power()
	if err != nil {
		return err
	}
	adminDoors, err := s.adminListeners(ctx, given.Admin, &open)
	if err != nil {
		return err
	}
	adm, err := s.admin(pow, adminDoors)
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	boot := netboot.HTTP{Boots: s.inv, Base: cfg.BaseURL, Log: log.With("part", "boot"), Errors: s.tally}
	agent := agentapi.Handler(s.inv, log.With("part", "agent"))
	handler := s.provisioning(ctx, boot.Handler(), agent)
	for _, l := range doors {
		s.listening(netboot.DoorHTTP, l.Addr().String())
		g.Go(func() error { return s.serveProvisioning(ctx, l, handler) })
	}
	for _, l := range adminDoors {
		s.listening("admin", l.Addr().String())
		g.Go(func() error { return adm.Serve(ctx, l) })
	}
	g.Go(func() error { return pow.Run(ctx) })
	if err := s.startNetworks(ctx, g, nets, doors); err != nil {
		// Wrong from the start: stop what runs already.
		g.Go(func() error { return err })
		return g.Wait()
	}
	notifyReady()
	log.Info("serving", "version", version.String(), "state", cfg.StateDir, "base", base, "listeners", s.listeners())
	err = g.Wait()
	log.Info("stopped", "err", err)
	return err
}

func (s *server) power() (*power.Manager, error) {
	var services []power.Service
	for _, p := range s.cfg.Power {
		services = append(services, power.Service{Name: p.Name, URL: p.URL, Username: p.Username, PasswordFile: p.PasswordFile, Insecure: p.Insecure})
	}
	return power.New(power.Config{Services: services, Inventory: s.inv, Log: s.log.With("part", "power")})
}

func (s *server) admin(pow *power.Manager, doors []net.Listener) (*admin.Admin, error) {
	public := s.cfg.Admin.PublicURL
	if public == "" {
		scheme := "http"
		if s.cfg.Admin.TLSCert != "" {
			scheme = "https"
		}
		for _, l := range doors {
			if l.Addr().Network() == "tcp" {
				public = scheme + "://" + l.Addr().String()
				break
			}
		}
	}
	return admin.New(admin.Config{
		Inventory: s.inv, Power: pow, Status: s.status,
		TokenFile: s.cfg.Admin.TokenFile, PublicURL: public,
		TLSCert: s.cfg.Admin.TLSCert, TLSKey: s.cfg.Admin.TLSKey,
		Refused: func() { s.tally.Add(DoorAdmin) },
		Log:     s.log.With("part", "admin"),
	})
}

// listening notes an address for the status page.
func (s *server) listening(door, addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen[door] = append(s.listen[door], addr)
}

func (s *server) listeners() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for door, addrs := range s.listen {
		out[door] = strings.Join(addrs, ", ")
	}
	return out
}

// status is the server about itself.
func (s *server) status() api.Status {
	st := api.Status{Version: version.String(), Started: s.started, Listeners: s.listeners(), Errors: s.tally.Counts()}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if ms, err := s.inv.Machines(ctx); err == nil {
		st.Machines = len(ms)
	}
	return st
}

// leaseFile is where an interface's leases are kept.
func leaseFile(cfg *Config, iface string) string {
	name := "leases.json"
	if len(cfg.Interfaces) > 1 {
		name = "leases-" + iface + ".json"
	}
	return filepath.Join(cfg.StateDir, name)
}

// baseURL is the provisioning door as machines see it.
func baseURL(cfg *Config, nets []network, doors []net.Listener) (string, error) {
	if cfg.BaseURL != "" {
		return cfg.BaseURL, nil
	}
	for _, l := range doors {
		a, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			continue
		}
		if !a.IP.IsUnspecified() {
			return "http://" + a.String(), nil
		}
		if len(nets) > 0 {
			return fmt.Sprintf("http://%s:%d", nets[0].addr, a.Port), nil
		}
	}
	return "", errors.New("nothing says how machines reach this server; set base_url, or an address in http, or name an interface")
}

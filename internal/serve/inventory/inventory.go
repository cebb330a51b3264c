// Package inventory is what the server knows and decides: machines, orders,
// system images, boot sets, and the boots of machines with their one-boot
// secrets. It joins the pure rules of package order with the store and the
// files of the state directory.
//
// It is not a protocol: packages netboot, agentapi and admin call it. All
// state is in the store and the state directory, so that a server that was
// killed goes on where it was. Errors meant for callers are *api.Problem.
//
// Below the state directory it keeps:
//
//	bareroot.db                 the store
//	images/SHA256               system images, by content
//	bootsets/ID/                boot sets, by content
//	logs/MACHINE/BOOT.log       console logs of boots, bounded
package inventory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/api"
	"bareroot/internal/serve/store"
)

// Config is what a Service needs. Only StateDir and BaseURL have no default.
type Config struct {
	StateDir string
	// BaseURL is the provisioning door as machines see it, without a path:
	// http://10.0.0.1:8080. It goes into segments and orders.
	BaseURL string
	Now     func() time.Time // default time.Now
	Rand    io.Reader        // default crypto/rand
	Log     *slog.Logger     // default: discard
	// MaxUnknown bounds the machines that nobody approved; default 4096.
	MaxUnknown int
	// Subnets say what machines are told for where they boot.
	Subnets []Subnet
	// Store replaces the SQLite store in StateDir.
	Store Store
}

// Subnet is what machines that boot from one of its addresses are told, weaker
// than what a machine itself is told. Of several, the longest prefix counts.
type Subnet struct {
	Prefix          netip.Prefix
	Cmdline         string
	Locked, Modules []string
	SSHKeys         []string
}

// Store is what a Service keeps its state in.
type Store interface {
	Update(context.Context, func(*store.Tx) error) error
	View(context.Context, func(*store.Tx) error) error
	Close() error
}

// PowerSystem is a machine as a power driver (Redfish) knows it.
type PowerSystem struct {
	UUID  string
	Name  string
	MACs  []string
	Power string // on, off, or "" if unknown
}

// Session is an exchanged nonce: a boot that may speak the agent protocol.
type Session struct {
	Machine string // id
	Attempt string
	BootID  string
}

// Service is the inventory. New makes it, Close ends it.
type Service struct {
	cfg    Config
	store  Store
	lock   *os.File
	broker *broker
	logMu  sync.Mutex // one writer of log files

	progressMu sync.Mutex
	progress   map[string]api.Event // newest of each running order
	saved      map[string]time.Time // when it was last written to the store
	heard      map[string]time.Time // when the newest came
}

// New opens the inventory of cfg.StateDir. It takes the directory for
// itself: a second server on it is refused.
func New(cfg Config) (*Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.MaxUnknown == 0 {
		cfg.MaxUnknown = 4096
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(cfg.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" {
		return nil, fmt.Errorf("open inventory: base URL %q must be http://HOST:PORT without a path", cfg.BaseURL)
	}
	s := &Service{cfg: cfg, store: cfg.Store, broker: newBroker(), progress: map[string]api.Event{}, saved: map[string]time.Time{}, heard: map[string]time.Time{}}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Service) open() error {
	for _, d := range []string{"", "images", "bootsets", "logs"} {
		if err := os.MkdirAll(filepath.Join(s.cfg.StateDir, d), 0o700); err != nil {
			return fmt.Errorf("open inventory: %w", err)
		}
	}
	f, err := os.OpenFile(filepath.Join(s.cfg.StateDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open inventory: %w", err)
	}
	s.lock = f
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("open inventory: %s is in use by another server; stop that one, or set another state_dir", s.cfg.StateDir)
	case err != nil:
		return fmt.Errorf("open inventory: lock %s: %w", s.cfg.StateDir, err)
	}
	ctx := context.Background()
	if s.store == nil {
		st, err := store.Open(ctx, filepath.Join(s.cfg.StateDir, "bareroot.db"))
		if err != nil {
			return err
		}
		s.store = st
	}
	return s.sweep(ctx)
}

// sweep removes what a killed server left half done: files that no row names.
func (s *Service) sweep(ctx context.Context) error {
	keep := map[string]bool{}
	err := s.store.Update(ctx, func(t *store.Tx) error {
		images, err := t.Images()
		if err != nil {
			return err
		}
		for _, i := range images {
			keep[s.imagePath(i.SHA256)] = true
		}
		sets, err := t.KeptBootSets()
		if err != nil {
			return err
		}
		for _, b := range sets {
			keep[s.setPath(b.Manifest.ID)] = true
		}
		return t.DropSegments(s.now().Add(-segmentLife))
	})
	if err != nil {
		return fmt.Errorf("open inventory: %w", err)
	}
	for _, d := range []string{"images", "bootsets"} {
		es, err := os.ReadDir(filepath.Join(s.cfg.StateDir, d))
		if err != nil {
			return fmt.Errorf("open inventory: %w", err)
		}
		for _, e := range es {
			p := filepath.Join(s.cfg.StateDir, d, e.Name())
			if keep[p] {
				continue
			}
			s.cfg.Log.Info("remove leftover of an interrupted registration", "path", p)
			if err := os.RemoveAll(p); err != nil {
				return fmt.Errorf("open inventory: %w", err)
			}
		}
	}
	return nil
}

// Close ends the service; calls that wait return.
func (s *Service) Close() error {
	s.broker.close()
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC() }

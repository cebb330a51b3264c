package lab

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/qemu"
	"bareroot/internal/lab/redfish"
	"bareroot/internal/lab/sock"
)

// Reexec must be the first call in main of a program that starts labs or
// namespaces: a process that is a lab's inside does its work and ends here.
func Reexec() {
	netns.Reexec()
	state := os.Getenv(envState)
	if !netns.Inside() || state == "" {
		return
	}
	files := netns.Inherited()
	ready := files["ready"]
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := runInside(ctx, state, files, log, func() { fmt.Fprintln(ready, "ok"); ready.Close() })
	stop()
	if err != nil {
		fmt.Fprintln(ready, strings.ReplaceAll(err.Error(), "\n", "; ")) // nobody listens after "ok"
		log.Error("lab failed", "err", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// world is the lab, inside.
type world struct {
	inside
	state    string
	log      *slog.Logger
	machines []*qemu.Machine
	services []*service
	servers  []*http.Server
	wg       sync.WaitGroup
}

func runInside(ctx context.Context, state string, files map[string]*os.File, log *slog.Logger, ready func()) (err error) {
	// What is started from here is no part of this namespace's making.
	for _, k := range []string{envState, "BAREROOT_NETNS_STAGE", "BAREROOT_NETNS_FILES", "BAREROOT_NETNS_RUN"} {
		os.Unsetenv(k)
	}
	w := &world{state: state, log: log}
	b, err := os.ReadFile(filepath.Join(state, configName))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &w.inside); err != nil {
		return fmt.Errorf("read %s: %w", configName, err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.network(); err != nil {
		return err
	}
	if err := w.control(files["redfish"]); err != nil {
		return err
	}
	for _, s := range w.Config.Services {
		sv, err := startService(s, state, w.Config.Dir, files, log)
		if err != nil {
			return err
		}
		w.services = append(w.services, sv)
	}
	log.Info("lab is up", "machines", len(w.machines), "accel", w.Accel.Accel, "why", w.Accel.Why, "redfish", w.Redfish)
	ready()
	<-ctx.Done()
	log.Info("lab is stopping")
	return nil
}

// network makes bridge, taps and machines.
func (w *world) network() error {
	br := w.Config.bridge()
	if err := br.Up(); err != nil {
		return err
	}
	for i, spec := range w.Config.Machines {
		for n := range spec.NICs {
			spec.NICs[n].Tap = fmt.Sprintf("m%dn%d", i, n)
			if err := br.Tap(spec.NICs[n].Tap); err != nil {
				return err
			}
		}
		for d := range spec.Disks {
			if p := spec.Disks[d].Path; p != "" && !filepath.IsAbs(p) {
				spec.Disks[d].Path = filepath.Join(w.Config.Dir, p)
			}
		}
		m, err := qemu.New(spec, filepath.Join(w.state, "machines", spec.Name), w.Accel.Accel, w.log)
		if err != nil {
			return err
		}
		w.machines = append(w.machines, m)
	}
	return nil
}

// control starts Redfish, inside and outside, and the lab's own socket.
func (w *world) control(outside *os.File) error {
	password, err := passwordOf(w.state)
	if err != nil {
		return err
	}
	var ms []redfish.Machine
	for _, m := range w.machines {
		ms = append(ms, controller{m})
	}
	rf := redfish.New(w.Config.Redfish.User, password, ms, w.log).Handler()
	in, err := net.Listen("tcp", "127.0.0.1:8000")
	if err != nil {
		return fmt.Errorf("open redfish inside: %w", err)
	}
	w.serve(in, rf)
	out, err := net.FileListener(outside)
	if err != nil {
		return fmt.Errorf("open redfish outside: %w", err)
	}
	outside.Close()
	w.serve(out, rf)
	l, err := sock.Listen(filepath.Join(w.state, controlName))
	if err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(w.state, controlName), 0o600); err != nil {
		return err
	}
	w.serve(l, w.controlHandler())
	return nil
}

func (w *world) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute,
		ErrorLog: slog.NewLogLogger(w.log.Handler(), slog.LevelDebug)}
	w.servers = append(w.servers, s)
	w.wg.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.log.Error("listener failed", "addr", l.Addr().String(), "err", err)
		}
	})
}

// close stops everything: services first, so that they see no machine die.
func (w *world) close() error {
	var errs []error
	var wg sync.WaitGroup
	for _, s := range w.services {
		wg.Go(s.stop)
	}
	wg.Wait()
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	for _, m := range w.machines {
		errs = append(errs, m.Close())
	}
	w.wg.Wait()
	return errors.Join(errs...)
}

// passwordOf is the password for Redfish, made at the first start.
func passwordOf(state string) (string, error) {
	path := PasswordFile(state)
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) >= 16 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 15)
	_, _ = rand.Read(raw) // never fails
	p := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
	return p, writeFile(path, []byte(p+"\n"), 0o600)
}

// controller shows a machine to Redfish.
type controller struct{ m *qemu.Machine }

func (c controller) Info() redfish.Info {
	s, st := c.m.Spec(), c.m.State()
	i := redfish.Info{Name: s.Name, UUID: s.UUID, UEFI: s.Firmware == qemu.UEFI, On: st.On,
		Enabled: st.Override.Enabled, Target: st.Override.Target, CPUs: s.CPUs, MemoryMiB: s.MemoryMiB}
	for _, n := range s.NICs {
		i.MACs = append(i.MACs, n.MAC)
	}
	return i
}

// Reset outlives the request: a client that hangs up has pressed the button
// all the same.
func (c controller) Reset(ctx context.Context, kind string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	switch kind {
	case "On":
		return c.m.On(ctx)
	case "ForceOff":
		return c.m.Off(ctx)
	case "GracefulShutdown":
		return c.m.Press(ctx)
	case "ForceRestart", "PowerCycle":
		return c.m.Restart(ctx)
	}
	return fmt.Errorf("unknown reset %q", kind)
}

func (c controller) SetBoot(ctx context.Context, enabled, target string) error {
	return c.m.SetOverride(ctx, qemu.Override{Enabled: enabled, Target: target})
}

// Package lab runs blank machines on a private network: QEMU machines on a
// bridge in a network namespace, switched by a Redfish service, with the
// programs that are to serve them. Nothing of it touches the host's network;
// when the process that started it ends, all of it ends.
//
// It is not a cloud: machines are few, listed in one file, and live as long
// as the lab is up; only their disks stay.
//
// A program that starts labs calls Reexec first thing in main.
package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/qemu"
)

// Names in the state directory.
const (
	lockName     = "lab.lock"
	pidName      = "lab.pid"
	configName   = "lab.json"
	controlName  = "lab.sock"
	passwordName = "redfish.password"
)

const envState = "BAREROOT_LAB_STATE"

// Options of Start.
type Options struct {
	StateDir string   // made if missing; disks, consoles, logs
	CacheDir string   // kernels, to try KVM with; "" = below StateDir
	Log      *os.File // the lab's own log; nil = none
}

// Running is a lab as seen by the process that started it.
type Running struct {
	StateDir   string
	RedfishURL string
	// Addresses of the services' listeners, by "service/listener".
	Addresses map[string]string

	child *netns.Child
	lock  *os.File
}

// inside is what the process outside tells the one inside.
type inside struct {
	Config  Config      `json:"config"`
	Accel   qemu.Choice `json:"accel"`
	Redfish string      `json:"redfish"` // URL outside
	Listen  map[string]string
}

// Start brings a lab up and returns when its machines can be switched on.
func Start(ctx context.Context, cfg Config, o Options) (*Running, error) {
	if err := cfg.Fill(); err != nil {
		return nil, fmt.Errorf("lab configuration: %w", err)
	}
	state, err := filepath.Abs(o.StateDir)
	if err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		if cfg.Dir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, fmt.Errorf("make the lab's state directory: %w", err)
	}
	r := &Running{StateDir: state, Addresses: map[string]string{}}
	if r.lock, err = takeLock(ctx, state); err != nil {
		return nil, err
	}
	if err := r.start(ctx, cfg, o); err != nil {
		if r.child != nil {
			r.child.Kill()
			<-r.child.Done()
		}
		r.lock.Close()
		return nil, fmt.Errorf("start lab: %w", err)
	}
	return r, nil
}

func (r *Running) start(ctx context.Context, cfg Config, o Options) error {
	cache := o.CacheDir
	if cache == "" {
		cache = filepath.Join(r.StateDir, "cache")
	}
	accel, err := qemu.Accel(ctx, func(ctx context.Context) (string, error) {
		k, err := distro.Kernel(ctx, cache)
		return k.Image, err
	}, r.StateDir)
	if err != nil {
		return err
	}
	var files []netns.File
	defer func() {
		for _, f := range files {
			f.File.Close()
		}
	}()
	// Listeners are opened out here and used in there.
	open := func(name, addr string) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
		r.Addresses[name] = l.Addr().String()
		files = append(files, netns.File{Name: name, File: f})
		return nil
	}
	if err := open("redfish", cfg.Redfish.Listen); err != nil {
		return err
	}
	for _, s := range cfg.Services {
		for _, name := range sorted(s.Listen) {
			if err := open(s.Name+"/"+name, s.Listen[name]); err != nil {
				return err
			}
		}
	}
	r.RedfishURL = "http://" + r.Addresses["redfish"]
	b, err := json.MarshalIndent(inside{cfg, accel, r.RedfishURL, r.Addresses}, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(r.StateDir, configName), b, 0o600); err != nil {
		return err
	}
	ready, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	files = append(files, netns.File{Name: "ready", File: report})
	r.child, err = netns.Start(netns.Options{
		Args: []string{"lab-inside"}, Env: []string{envState + "=" + r.StateDir}, Files: files, KeepFD: []*os.File{r.lock},
		Run: !strings.HasPrefix(r.StateDir, "/run/"), Stdout: o.Log, Stderr: o.Log,
	})
	if err != nil {
		return err
	}
	report.Close()
	files = files[:len(files)-1]
	if err := writePid(r.StateDir, os.Getpid(), r.child.Pid); err != nil {
		return err
	}
	return waitReady(ctx, ready)
}

// waitReady reads "ok", or what went wrong, from the lab.
func waitReady(ctx context.Context, ready *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer stop()
	_ = ready.SetReadDeadline(time.Now().Add(60 * time.Second))
	line, err := bufio.NewReader(ready).ReadString('\n')
	line = strings.TrimSpace(line)
	switch {
	case line == "ok":
		return nil
	case line != "":
		return errors.New(line)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return errors.New("the process inside the namespaces ended at once; its log says why")
	}
	return fmt.Errorf("wait for the lab: %w", err)
}

// Wait returns when the lab has ended; ctx ending tells it to end.
func (r *Running) Wait(ctx context.Context) error {
	err := r.child.Wait(ctx)
	os.Remove(filepath.Join(r.StateDir, pidName))
	r.lock.Close()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// Stop ends the lab and waits for it.
func (r *Running) Stop() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return r.Wait(ctx)
}

// PasswordFile holds the password of the Redfish service.
func PasswordFile(stateDir string) string { return filepath.Join(stateDir, passwordName) }

// takeLock makes this the only lab of the state directory. What is left of a
// lab that was killed gets a moment to die.
func takeLock(ctx context.Context, state string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(state, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the lab's state directory: %w", err)
	}
	p, perr := readPid(state)
	if perr == nil && !p.Parent.alive() {
		if err := p.Init.waitGone(ctx, 10*time.Second); err != nil {
			f.Close()
			return nil, fmt.Errorf("wait for the end of the last lab: %w", err)
		}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if perr == nil {
			return nil, fmt.Errorf("a lab is up in %s already (process %d); end it with: bareroot lab down", state, p.Parent.Pid)
		}
		return nil, fmt.Errorf("lock %s: %w", state, err)
	}
	return f, nil
}

func sorted[V any](m map[string]V) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// writeFile replaces a file at once.
func writeFile(path string, b []byte, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

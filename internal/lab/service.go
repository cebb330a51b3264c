package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// service is a program that runs inside.
type service struct {
	cfg  Service
	cmd  *exec.Cmd
	log  *slog.Logger
	path string // of its log
	done chan struct{}

	mu       sync.Mutex
	stopping bool
	exit     string // how it ended, "" = it runs
}

// startService runs one, with the listeners that were opened for it.
func startService(cfg Service, state, dir string, files map[string]*os.File, log *slog.Logger) (*service, error) {
	s := &service{cfg: cfg, log: log.With("service", cfg.Name), done: make(chan struct{}),
		path: filepath.Join(state, "services", cfg.Name+".log")}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return nil, err
	}
	out, err := os.Create(s.path)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(cfg.Command[0], cfg.Command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = os.Environ()
	for _, k := range sorted(cfg.Env) {
		cmd.Env = append(cmd.Env, k+"="+cfg.Env[k])
	}
	names := sorted(cfg.Listen)
	for _, n := range names {
		f := files[cfg.Name+"/"+n]
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if len(names) > 0 {
		cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	// A group of its own: Ctrl-C is for the lab, and its children end with it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start service %s: %w", cfg.Name, err)
	}
	s.cmd = cmd
	go s.wait()
	return s, nil
}

// wait owns the process; stop waits for it.
func (s *service) wait() {
	defer close(s.done)
	err := s.cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exit = "ended"
	if err != nil {
		s.exit = err.Error()
	}
	if !s.stopping {
		s.log.Error("service ended by itself", "err", s.exit, "log", s.path)
	}
}

func (s *service) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		s.log.Error("service does not end; it is killed")
		if err := unix.Kill(-s.cmd.Process.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			s.log.Error("kill failed", "err", err)
		}
		<-s.done
	}
}

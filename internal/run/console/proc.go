package console

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Reaper waits for all children of PID 1: those it started, whose status it
// hands over, and orphans. Nothing else in the process may wait for children.
type Reaper struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
	sig     chan os.Signal
	reaping chan struct{}     // closed when nothing reaps any more
	pipes   map[*os.File]bool // from programs that run
	stopped bool              // reading them ends
	wg      sync.WaitGroup    // who reads them
}

// NewReaper starts reaping; Stop ends it.
func NewReaper() *Reaper {
	r := &Reaper{waiting: map[int]chan syscall.WaitStatus{}, sig: make(chan os.Signal, 1), reaping: make(chan struct{})}
	signal.Notify(r.sig, syscall.SIGCHLD)
	go func() {
		defer close(r.reaping)
		for range r.sig {
			r.reap()
		}
	}()
	return r
}

// Stop ends reaping, and listening to programs that still run.
func (r *Reaper) Stop() {
	signal.Stop(r.sig)
	close(r.sig)
	<-r.reaping // or it would take what the next one waits for
	r.mu.Lock()
	r.stopped = true
	for p := range r.pipes {
		_ = p.SetReadDeadline(time.Now())
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if c, ok := r.waiting[pid]; ok {
			c <- ws
			delete(r.waiting, pid)
		}
	}
}

// Start runs argv with its standard files on tty, in a session of its own
// with tty as controlling terminal. The channel gets the exit status.
func (r *Reaper) Start(argv, env []string, tty *os.File) (pid int, done <-chan syscall.WaitStatus, err error) {
	return r.start(argv, env, &syscall.SysProcAttr{Setsid: true, Setctty: isTTY(tty), Ctty: 0}, tty, tty, tty)
}

func (r *Reaper) start(argv, env []string, sys *syscall.SysProcAttr, in, out, errs *os.File) (pid int, done <-chan syscall.WaitStatus, err error) {
	attr := &syscall.ProcAttr{Env: env, Dir: "/", Files: []uintptr{in.Fd(), out.Fd(), errs.Fd()}, Sys: sys}
	// Held over the fork, so that a child that ends at once finds its waiter.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err = syscall.ForkExec(argv[0], argv, attr)
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	c := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = c
	return pid, c, nil
}

func isTTY(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// ExitText says how a process ended.
func ExitText(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "killed by signal " + ws.Signal().String()
	}
	return fmt.Sprintf("exit code %d", ws.ExitStatus())
}

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process names one process for good: ids are used again, start times are not.
type process struct {
	Pid   int    `json:"pid"`
	Start string `json:"start"` // field 22 of /proc/PID/stat, proc(5)
}

type pids struct {
	Parent process `json:"parent"` // started the lab, outside
	Init   process `json:"init"`   // process 1 of its namespace, as seen from outside
}

func identify(pid int) (process, error) {
	start, err := stat(pid)
	return process{pid, start}, err
}

// stat returns the start time. The name before it may hold anything, so
// fields are counted from its closing parenthesis.
func stat(pid int) (start string, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 {
		return "", fmt.Errorf("/proc/%d/stat: %q is not as expected", pid, s)
	}
	return f[19], nil
}

// open returns a pidfd of this very process, or -1 when it is gone. Opened
// first and compared then, the id cannot change hands in between.
func (p process) open() int {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil {
		return -1
	}
	if start, err := stat(p.Pid); err != nil || start != p.Start {
		unix.Close(fd)
		return -1
	}
	return fd
}

// alive tells whether this very process runs. A pidfd is readable when all
// threads have ended, which the state in /proc does not tell; for process 1
// of a namespace that is when all others in it have ended, too.
func (p process) alive() bool {
	fd := p.open()
	if fd < 0 {
		return false
	}
	defer unix.Close(fd)
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n == 0
}

// waitGone waits until the process has ended.
func (p process) waitGone(ctx context.Context, limit time.Duration) error {
	fd := p.open()
	if fd < 0 {
		return nil
	}
	defer unix.Close(fd)
	end := time.Now().Add(limit)
	for time.Now().Before(end) && ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for process %d: %w", p.Pid, err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("process %d still runs after %v", p.Pid, limit)
}

func (p process) signal(s unix.Signal) error {
	fd := p.open()
	if fd < 0 {
		return nil
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, s, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.Pid, err)
	}
	return nil
}

func writePid(state string, parent, init int) error {
	var p pids
	var err error
	if p.Parent, err = identify(parent); err != nil {
		return err
	}
	if p.Init, err = identify(init); err != nil {
		return err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(state, pidName), append(b, '\n'), 0o644)
}

func readPid(state string) (pids, error) {
	var p pids
	b, err := os.ReadFile(filepath.Join(state, pidName))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("read %s: %w", filepath.Join(state, pidName), err)
	}
	return p, nil
}

// ErrNotUp says that no lab is up in this state directory.
var ErrNotUp = errors.New("no lab is up")

// Down ends the lab of a state directory, started by whatever process: first
// politely, then not. It touches no other process.
func Down(ctx context.Context, stateDir string) error {
	p, err := readPid(stateDir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !p.Parent.alive() && !p.Init.alive() {
		return fmt.Errorf("%w in %s", ErrNotUp, stateDir)
	}
	if err != nil {
		return err
	}
	if err := p.Parent.signal(unix.SIGTERM); err != nil {
		return err
	}
	if p.Parent.waitGone(ctx, 20*time.Second) != nil {
		if err := errors.Join(p.Parent.signal(unix.SIGKILL), p.Parent.waitGone(context.WithoutCancel(ctx), 5*time.Second)); err != nil {
			return fmt.Errorf("end the lab: %w", err)
		}
	}
	if err := p.Init.waitGone(ctx, 10*time.Second); err != nil {
		return errors.Join(err, p.Init.signal(unix.SIGKILL))
	}
	return nil
}

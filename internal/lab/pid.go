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
	start, _, err := stat(pid)
	return process{pid, start}, err
}

// stat returns start time and state. The name before them may hold anything,
// so fields are counted from its closing parenthesis.
func stat(pid int) (start, state string, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 {
		return "", "", fmt.Errorf("/proc/%d/stat: %q is not as expected", pid, s)
	}
	return f[19], f[0], nil
}

// alive tells whether this very process runs. A zombie does not: as process
// 1 of a namespace it has no others in it left.
func (p process) alive() bool {
	start, state, err := stat(p.Pid)
	return err == nil && start == p.Start && state != "Z" && state != "X"
}

// waitGone waits until the process has ended.
func (p process) waitGone(ctx context.Context, limit time.Duration) error {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil || !p.alive() {
		if err == nil {
			unix.Close(fd)
		}
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
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find process %d: %w", p.Pid, err)
	}
	defer unix.Close(fd)
	if !p.alive() { // the id belongs to somebody else by now
		return nil
	}
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

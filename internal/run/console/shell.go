package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rc is read by the shell at its start.
const rc = "/run/bareroot/shrc"

// ErrNoShell is the error for a ramdisk without one.
var ErrNoShell = errors.New("there is no shell in this ramdisk (it was built without the feature shell)")

// Shells opens a shell on every terminal and waits until one of them is left;
// the others end with it. screen is what the operator reads first. A terminal
// that hangs up is given up: nobody left anything there.
func (t *Terminals) Shells(ctx context.Context, r *Reaper, screen string) error {
	release, err := t.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	const sh = "/bin/sh"
	_, missing := os.Stat(sh)
	env := Environment()
	// busybox's shell prefers its own modprobe, which reads no .ko.zst.
	if err := os.WriteFile(rc, []byte("alias modprobe=/usr/sbin/modprobe\n"), 0o644); err == nil {
		env = append(env, "ENV="+rc)
	}
	type shell struct {
		tty  *os.File
		pid  int
		done <-chan syscall.WaitStatus
	}
	var shells []shell
	var errs []error
	left := make(chan *os.File, 16)
	for _, name := range t.Names() {
		tty, err := OpenTTY(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer tty.Close()
		tell(ctx, name, "\n"+strings.TrimRight(screen, "\n")+"\n") // who cannot read it may still type
		if missing != nil {
			continue
		}
		pid, done, err := r.Start([]string{sh, "-i"}, env, tty)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		shells = append(shells, shell{tty, pid, done})
	}
	if missing != nil {
		return ErrNoShell
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range shells {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-s.done
			left <- s.tty
		}()
	}
	defer func() {
		for _, s := range shells {
			// What is in the foreground of a terminal hears it from the kernel, when
			// its shell goes.
			_ = syscall.Kill(s.pid, syscall.SIGHUP)
			_ = syscall.Kill(-s.pid, syscall.SIGKILL)
		}
	}()
	for open := len(shells); open > 0; open-- {
		select {
		case tty := <-left:
			if hungUp(tty.Name()) {
				errs = append(errs, fmt.Errorf("%s hung up", tty.Name()))
				continue
			}
			for _, s := range shells {
				if s.tty != tty {
					tell(ctx, strings.TrimPrefix(s.tty.Name(), "/dev/"), fmt.Sprintf("\nbareroot: the shell on %s was left; the boot goes on\n", tty.Name()))
				}
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("no shell could be kept open: %w", errors.Join(errs...))
}

// hungUp looks at the terminal anew: what was opened for the shell is hung up
// by the shell's end.
func hungUp(name string) bool {
	tty, err := OpenTTY(strings.TrimPrefix(name, "/dev/"))
	if err != nil {
		return true
	}
	defer tty.Close()
	p := []unix.PollFd{{Fd: int32(tty.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// WaitKey waits up to d for a key on any terminal and says whether one was
// pressed. say is shown at the start and then every ten seconds.
func (t *Terminals) WaitKey(ctx context.Context, d time.Duration, say func(left time.Duration) string) bool {
	end := time.Now().Add(d)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	release, err := t.Hold(ctx)
	if err != nil {
		return false
	}
	defer release()
	ttys, err := t.Open()
	if err != nil {
		<-ctx.Done()
		return false
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	pressed := make(chan bool, len(ttys))
	for _, tty := range ttys {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer tty.Close()
			raw, err := tty.SyscallConn()
			if err != nil {
				return
			}
			var restore func()
			_ = raw.Control(func(fd uintptr) { restore, err = keyMode(int(fd)) })
			if err == nil {
				defer func() { _ = raw.Control(func(uintptr) { restore() }) }()
			}
			stop := context.AfterFunc(ctx, func() { _ = tty.SetReadDeadline(time.Unix(1, 0)) })
			defer stop()
			var b [64]byte
			// A terminal that hung up gives an error or nothing, and no key.
			if n, _ := tty.Read(b[:]); n > 0 {
				pressed <- true
			}
		}()
	}
	defer cancel()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		text := say(time.Until(end))
		for _, n := range t.Names() {
			tell(ctx, n, text)
		}
		select {
		case <-pressed:
			return true
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

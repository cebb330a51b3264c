package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// session is a shell or a command, with or without a terminal.
func (s *Server) session(ctx context.Context, ch ssh.Channel, reqs <-chan *ssh.Request) {
	defer ch.Close()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var term *pty
	env := s.Env
	started := false
	for r := range reqs {
		ok := false
		switch r.Type {
		case "pty-req":
			var want struct {
				Term                 string
				Cols, Rows, Wpx, Hpx uint32
				Modes                string
			}
			if started || term != nil || ssh.Unmarshal(r.Payload, &want) != nil {
				break
			}
			t, err := openPTY()
			if err != nil {
				s.Logf("%v", err)
				break
			}
			defer t.master.Close()
			t.resize(want.Cols, want.Rows)
			term, ok = t, true
			env = append(env[:len(env):len(env)], "TERM="+strings.Map(printable, want.Term))
		case "window-change":
			var want struct{ Cols, Rows, Wpx, Hpx uint32 }
			if term != nil && ssh.Unmarshal(r.Payload, &want) == nil {
				term.resize(want.Cols, want.Rows)
				ok = true
			}
		case "shell", "exec":
			var want struct{ Command string }
			if started || r.Type == "exec" && ssh.Unmarshal(r.Payload, &want) != nil {
				break
			}
			argv := []string{s.Shell, "-i"}
			if r.Type == "exec" {
				argv = []string{s.Shell, "-c", want.Command}
			} else if term == nil {
				argv = []string{s.Shell}
			}
			started, ok = true, true
			wg.Add(1)
			go func() {
				defer wg.Done()
				// The client learns how it ended, and closes.
				code := s.run(ctx, ch, term, argv, env)
				_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
				ch.Close()
			}()
		case "signal":
			ok = false // a terminal's keys and the end of the connection do for all
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
}

func printable(r rune) rune {
	if r > ' ' && r < 0x7f {
		return r
	}
	return -1
}

// run runs argv until it ends or the client is gone, and gives its exit code.
func (s *Server) run(ctx context.Context, ch ssh.Channel, term *pty, argv, env []string) int {
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env, c.Dir = env, "/"
	if fi, err := os.Stat("/root"); err == nil && fi.IsDir() {
		c.Dir = "/root"
	}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGHUP) }
	c.WaitDelay = 3 * time.Second
	var wg sync.WaitGroup
	if term != nil {
		slave, err := term.slave()
		if err != nil {
			fmt.Fprintf(ch.Stderr(), "%v\r\n", err)
			return 255
		}
		c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		err = c.Start()
		slave.Close()
		if err != nil {
			fmt.Fprintf(ch.Stderr(), "%v\r\n", err)
			return 255
		}
		done := make(chan struct{})
		go func() { _, _ = io.Copy(term.master, ch); _ = syscall.Kill(-c.Process.Pid, syscall.SIGHUP) }() // ends with the channel
		wg.Add(1)
		go func() { defer wg.Done(); defer close(done); _, _ = io.Copy(ch, term.master) }()
		err = c.Wait()
		// The rest of its output; a daemon that it left may keep the terminal.
		t := time.AfterFunc(time.Second, func() { _ = term.master.SetReadDeadline(time.Now()) })
		<-done
		t.Stop()
		wg.Wait()
		return exitCode(err)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Stdout, c.Stderr = ch, ch.Stderr()
	in, err := c.StdinPipe() // not ch itself: Wait would wait for its end
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintf(ch.Stderr(), "%v\n", err)
		return 255
	}
	go func() { _, _ = io.Copy(in, ch); in.Close() }() // ends with the channel
	return exitCode(c.Wait())
}

func exitCode(err error) int {
	var e *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0
	case errors.As(err, &e) && e.ExitCode() >= 0:
		return e.ExitCode()
	}
	return 255
}

// pty is a pseudo terminal; see pts(4).
type pty struct {
	master *os.File
	n      int
}

func openPTY() (*pty, error) {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		if m, err = os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err != nil {
			return nil, fmt.Errorf("open a terminal: %w", err)
		}
	}
	p := &pty{master: m}
	err = p.control(func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
			p.n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		}
		return err
	})
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	return p, nil
}

// control runs an ioctl without making the file one that deadlines do not
// reach.
func (p *pty) control(do func(fd int) error) error {
	raw, err := p.master.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) })
	return errors.Join(cerr, err)
}

func (p *pty) slave() (*os.File, error) {
	f, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", p.n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	return f, nil
}

func (p *pty) resize(cols, rows uint32) {
	_ = p.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(cols), Row: uint16(rows)})
	})
}

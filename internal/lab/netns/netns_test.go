package netns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test program plays the parts of the program inside, chosen by argument.
func TestMain(m *testing.M) {
	Reexec()
	if len(os.Args) > 1 {
		if part, ok := parts[os.Args[1]]; ok {
			if err := part(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

var parts = map[string]func() error{
	"part:serve": func() error {
		if err := DefaultBridge().Up(); err != nil {
			return err
		}
		if os.Getpid() == 1 || !Inside() {
			return fmt.Errorf("pid %d, inside %v", os.Getpid(), Inside())
		}
		l, err := net.FileListener(Inherited()["page"])
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		ifs, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range ifs {
			fmt.Fprint(c, i.Name, " ")
		}
		return c.Close()
	},
	"part:exit3": func() error { os.Exit(3); return nil },
	// A parent that starts a namespace with a sleeper in the background,
	// prints its pid as seen outside, and waits to be killed.
	"part:parent": func() error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		c, err := Start(Options{Args: []string{"part:orphan"}, Stdout: w, Stderr: os.Stderr})
		if err != nil {
			return err
		}
		if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
			return err
		}
		fmt.Println(c.Pid)
		return c.Wait(context.Background())
	},
	"part:orphan": func() error {
		if err := exec.Command("sleep", "1000").Start(); err != nil {
			return err
		}
		fmt.Println("started")
		select {}
	},
}

func needNamespaces(t *testing.T) {
	t.Helper()
	c, err := Start(Options{Args: []string{"part:exit3"}})
	if err == nil {
		err = c.Wait(t.Context())
	}
	var r *Refused
	if errors.As(err, &r) {
		t.Skipf("this host refuses namespaces to this user: %v", err)
	}
}

func TestListenerFromOutside(t *testing.T) {
	needNamespaces(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(Options{Args: []string{"part:serve"}, Stderr: os.Stderr, Files: []File{{"page", f}}})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	conn, err := net.DialTimeout("tcp", l.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(b); !strings.Contains(got, "br0") || strings.Contains(got, "eth0") {
		t.Errorf("interfaces inside: %q, expected lo and br0 only", got)
	}
	if err := c.Wait(t.Context()); err != nil {
		t.Errorf("program inside: %v", err)
	}
}

func TestExitCode(t *testing.T) {
	needNamespaces(t)
	c, err := Start(Options{Args: []string{"part:exit3"}})
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(t.Context()); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("Wait: %v, expected exit code 3", err)
	}
}

// TestKill9 kills the process outside; nothing inside may live on.
func TestKill9(t *testing.T) {
	needNamespaces(t)
	cmd := exec.Command("/proc/self/exe", "part:parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// Process 1 is gone only when the kernel has ended all others in it.
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
	if err != nil || n != 1 {
		t.Fatalf("process %d still lives a minute after its parent was killed (poll: %d, %v)", pid, n, err)
	}
}

func TestExplain(t *testing.T) {
	var r *Refused
	if err := explain(fmt.Errorf("fork: %w", unix.EPERM)); !errors.As(err, &r) || !strings.Contains(err.Error(), "sudo") {
		t.Errorf("explain(EPERM) = %v", err)
	}
	if err := explain(unix.ENOMEM); errors.As(err, &r) {
		t.Errorf("explain(ENOMEM) = %v", err)
	}
}

func TestCheckTun(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tun")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkTun(file); err != nil {
		t.Errorf("a file that opens: %v", err)
	}
	var r *Refused
	if err := checkTun(filepath.Join(dir, "none")); !errors.As(err, &r) || !strings.Contains(err.Error(), "modprobe tun") {
		t.Errorf("no device: %v", err)
	}
	if err := noTun(file, os.ErrPermission); !errors.As(err, &r) || !strings.Contains(err.Error(), "sudo chmod 0666 "+file) {
		t.Errorf("not ours: %v", err)
	}
	if err := noTun(file, io.EOF); err != nil {
		t.Errorf("another error: %v", err)
	}
}

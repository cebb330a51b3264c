package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pty makes a terminal that stands for a console, and a folder that stands
// for /sys and names it.
func pty(t *testing.T) (master *os.File, terms *Terminals) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	raw, err := m.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	line, err := openNow(fmt.Sprintf("pts/%d", n)) // without anybody there the master reads errors
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	sys := t.TempDir()
	if err := os.MkdirAll(filepath.Join(sys, "class/tty/console"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sys, "class/tty/console/active"), fmt.Appendf(nil, "pts/%d\n", n), 0o644); err != nil {
		t.Fatal(err)
	}
	terms = NewTerminals()
	terms.sys = sys
	return m, terms
}

func readUntil(t *testing.T, f *os.File, want string) string {
	t.Helper()
	var got strings.Builder
	buf := make([]byte, 256)
	_ = f.SetReadDeadline(time.Now().Add(time.Minute))
	for !strings.Contains(got.String(), want) {
		n, err := f.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("waiting for %q: %v after %q", want, err, got.String())
		}
	}
	return got.String()
}

func TestAskOnTerminal(t *testing.T) {
	m, terms := pty(t)
	a := NewAsker(terms, NewLog(&strings.Builder{}))
	got := make(chan string, 1)
	go func() {
		s, err := a.Ask(t.Context(), "passphrase of /dev/sda2")
		got <- fmt.Sprint(s, err)
	}()
	readUntil(t, m, "passphrase of /dev/sda2: ")
	if _, err := m.WriteString("wrong\x7f\x7f\x7f\x7f\x7fhunter 2\r"); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "hunter 2<nil>" {
		t.Errorf("answer %q", s)
	}
	_ = m.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	buf := make([]byte, 100)
	if n, _ := m.Read(buf); strings.Contains(string(buf[:n]), "hunter") {
		t.Errorf("the answer was shown: %q", buf[:n])
	}
}

// A terminal that takes nothing, such as a serial line with flow control and
// nobody there, holds up neither an answer from elsewhere nor the machine's
// way down.
func TestTerminalStuck(t *testing.T) {
	_, terms := pty(t)
	f, err := openNow(terms.Names()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = f.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for _, n := range []int{1 << 20, 1, 1} { // a large piece leaves a little room
		for err == nil {
			_, err = f.Write(make([]byte, n))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		err = nil
		_ = f.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	}
	a := NewAsker(terms, NewLog(&strings.Builder{}))
	path := filepath.Join(t.TempDir(), "ask.sock")
	if err := a.Listen(path); err != nil {
		t.Fatal(err)
	}
	unlocked := make(chan error, 1)
	go func() { unlocked <- Unlock(path, strings.NewReader("secret\n"), io.Discard, time.Minute) }()
	if s, err := a.Ask(t.Context(), "passphrase"); s != "secret" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	a.Close()
	if err := <-unlocked; err != nil {
		t.Error(err)
	}
	if terms.WaitKey(t.Context(), 300*time.Millisecond, func(time.Duration) string { return "press a key\n" }) {
		t.Error("somebody pressed a key")
	}
}

// The key that ends a file's worth of typing does not end the asking.
func TestAskEndKey(t *testing.T) {
	m, terms := pty(t)
	a := NewAsker(terms, NewLog(&strings.Builder{}))
	got := make(chan string, 1)
	go func() {
		s, err := a.Ask(t.Context(), "passphrase")
		got <- fmt.Sprint(s, err)
	}()
	readUntil(t, m, "passphrase: ")
	if _, err := m.WriteString("\x04\r"); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "\x04<nil>" {
		t.Errorf("answer %q", s)
	}
}

// lateListener has a guest only after it was closed.
type lateListener struct {
	net.Listener
	guest  chan net.Conn
	closed chan struct{}
}

func (l lateListener) Accept() (net.Conn, error) {
	<-l.closed
	select {
	case c := <-l.guest:
		return c, nil
	default:
		return nil, net.ErrClosed
	}
}

func (l lateListener) Close() error { close(l.closed); return nil }

// Who connects while listening ends does not hold up that end.
func TestAskLateGuest(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	l := lateListener{guest: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.guest <- ours
	a := NewAsker(NewTerminals(), NewLog(io.Discard))
	a.listen(l)
	a.Close()
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the guest is still there: %v", err)
	}
}

// told is what a person reads; news is signalled.
type told struct {
	strings.Builder
	news chan bool
}

func (o *told) Write(p []byte) (int, error) {
	n, err := o.Builder.Write(p)
	if strings.Contains(o.String(), "x is open\n") {
		select {
		case o.news <- true:
		default:
		}
	}
	return n, err
}

// A program answers while the terminal waits; the terminal is told, a wrong
// answer is asked for again on the same connection, and the news ends it.
func TestAskOverSocket(t *testing.T) {
	m, terms := pty(t)
	a := NewAsker(terms, NewLog(&strings.Builder{}))
	path := filepath.Join(t.TempDir(), "ask.sock")
	if err := a.Listen(path); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	out := &told{news: make(chan bool, 1)}
	in, answers := io.Pipe()
	defer answers.Close()
	unlocked := make(chan error, 1)
	go func() { unlocked <- Unlock(path, in, out, time.Minute) }()
	for _, q := range []struct{ prompt, answer string }{
		{"passphrase of x", "one"},
		{"wrong; passphrase of x", "two"},
	} {
		got := make(chan string, 1)
		go func() {
			s, err := a.Ask(t.Context(), q.prompt)
			got <- fmt.Sprint(s, err)
		}()
		readUntil(t, m, q.prompt+": ") // a terminal not yet asked is told nothing
		if _, err := io.WriteString(answers, q.answer+"\n"); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s != q.answer+"<nil>" {
			t.Errorf("answer %q", s)
		}
		readUntil(t, m, "answered elsewhere")
	}
	a.Tell("x is open")
	<-out.news
	a.Close() // the boot goes on
	if err := <-unlocked; err != nil {
		t.Error(err)
	}
	if d := cmp.Diff("passphrase of x: \nwrong; passphrase of x: \nx is open\nthe boot went on\n", out.String()); d != "" {
		t.Error(d)
	}
}

func TestAskWithdrawn(t *testing.T) {
	_, terms := pty(t)
	a := NewAsker(terms, NewLog(&strings.Builder{}))
	ctx, cancel := context.WithCancel(t.Context())
	release, err := terms.Hold(ctx) // a shell is open there
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := a.Ask(ctx, "p"); done <- err }()
	cancel()
	if err := <-done; err == nil {
		t.Error("an answer without anybody")
	}
	release()
	if err := Unlock(filepath.Join(t.TempDir(), "none"), strings.NewReader(""), &strings.Builder{}, time.Second); err == nil {
		t.Error("unlock without a boot")
	}
}

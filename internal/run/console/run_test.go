package console

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	for name, c := range map[string]struct {
		script, input string
		code          int
		lines         []string
	}{
		"output of both kinds": {"echo a; echo b >&2; printf c", "", 0, []string{"a", "b", "c"}},
		"input and exit code":  {"cat; exit 3", "x\ny\n", 3, []string{"x", "y"}},
		"input not read":       {"true", strings.Repeat("x", 1<<20), 0, nil},
	} {
		var mu sync.Mutex
		var got []string
		ws, err := r.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", c.script}, Input: c.input, Line: func(s string) { mu.Lock(); got = append(got, s); mu.Unlock() }})
		mu.Lock()
		if d := cmp.Diff(c.lines, got); err != nil || ws.ExitStatus() != c.code || d != "" {
			t.Errorf("%s: %v, exit %d, %s", name, err, ws.ExitStatus(), d)
		}
		mu.Unlock()
	}
	if _, err := r.Run(t.Context(), Command{Argv: []string{"/no/such"}}); err == nil {
		t.Error("ran a program that does not exist")
	}
}

// TestRunOutput: standard output as it is, apart from what is said.
func TestRunOutput(t *testing.T) {
	r := NewReaper()
	var out, said strings.Builder
	ws, err := r.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "echo hint >&2; printf 'a\\n\\000b\\n'; sleep 60 & exit 2"}, Output: &out, Line: func(s string) { said.WriteString(s) }})
	if err != nil || ws.ExitStatus() != 2 || out.String() != "a\n\x00b\n" {
		t.Errorf("%v, exit %d, %q", err, ws.ExitStatus(), out.String())
	}
	r.Stop()
	if said.String() != "hint" {
		t.Errorf("it said %q", said.String())
	}
}

// slow is who gets output and is not quick about it.
type slow struct{ strings.Builder }

func (s *slow) Write(b []byte) (int, error) {
	time.Sleep(150 * time.Millisecond)
	return s.Builder.Write(b)
}

// All that a program wrote arrives, though a daemon keeps the pipe.
func TestRunOutputSlow(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	var out slow
	const n = 1 << 18
	ws, err := r.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "sleep 60 & head -c 262144 /dev/zero"}, Output: &out})
	if err != nil || ws != 0 || out.Len() != n {
		t.Errorf("%v, %v, %d of %d bytes", err, ws, out.Len(), n)
	}
}

// A daemon that keeps the pipe does not hold up Run; its words still come.
func TestRunDaemon(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	lines := make(chan string, 10)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "(read x <" + fifo + "; echo late) & echo early; printf last"
	if _, err := r.Run(ctx, Command{Argv: []string{"/bin/sh", "-c", script}, Line: func(s string) {
		time.Sleep(250 * time.Millisecond) // a slow console loses nothing
		lines <- s
	}}); err != nil {
		t.Fatal(err) // it waited for the daemon
	}
	if len(lines) != 2 {
		t.Errorf("%d lines of the program came before its end", len(lines))
	}
	if err := os.WriteFile(fifo, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if a, b, c := <-lines, <-lines, <-lines; a != "early" || b != "last" || c != "late" {
		t.Errorf("%s, %s, %s", a, b, c)
	}
}

func TestRunStopped(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := r.Run(ctx, Command{Argv: []string{"/bin/sh", "-c", "sleep 100 & wait"}})
	if err == nil || time.Since(start) > time.Minute {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

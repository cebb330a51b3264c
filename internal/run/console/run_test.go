package console

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	ws, err := r.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "echo hint >&2; printf 'a\\n\\000b\\n'; sleep 1000 & exit 2"}, Output: &out, Line: func(s string) { said.WriteString(s) }})
	if err != nil || ws.ExitStatus() != 2 || out.String() != "a\n\x00b\n" {
		t.Errorf("%v, exit %d, %q", err, ws.ExitStatus(), out.String())
	}
	r.Stop()
	if said.String() != "hint" {
		t.Errorf("it said %q", said.String())
	}
}

// A daemon that keeps the pipe does not hold up Run; its words still come.
func TestRunDaemon(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	lines := make(chan string, 10)
	start := time.Now()
	if _, err := r.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "(sleep 1; echo late) & echo early"}, Line: func(s string) { lines <- s }}); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 900*time.Millisecond {
		t.Errorf("waited %s for the daemon", d)
	}
	if a, b := <-lines, <-lines; a != "early" || b != "late" {
		t.Errorf("%s, %s", a, b)
	}
}

func TestRunStopped(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := r.Run(ctx, Command{Argv: []string{"/bin/sh", "-c", "sleep 100 & wait"}})
	if err == nil || time.Since(start) > 4*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

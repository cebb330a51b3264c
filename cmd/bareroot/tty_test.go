package main

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onTerminal runs the program with a pseudo terminal of 100 columns as its
// three streams, types keys, and returns what a person would see.
func onTerminal(t *testing.T, keys string, args ...string) (string, int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // EIO when the last slave is closed
		seen <- string(b)
	}()
	if _, err := io.WriteString(master, keys); err != nil {
		t.Error(err)
	}
	code := run(t.Context(), &env{Stdin: slave, Stdout: slave, Stderr: slave}, args)
	if err := slave.Close(); err != nil {
		t.Error(err)
	}
	return <-seen, code
}

func TestTerminal(t *testing.T) {
	tests := map[string]struct {
		term string
		keys string
		args string
		want []string // regular expressions, in order
		not  string
	}{
		"a bar with rate and time left": {
			term: "xterm", args: "machine deploy alpha --image debian-12 --wait",
			want: []string{`order o1: sent`, `order o1: write +\[=+>? *\] +100% of 300 MiB, 100 MiB/s, 0.00 s left`, `order o1: done: all is well`, `disk +serial-A1`},
		},
		"lines on a dumb one": {
			term: "dumb", args: "machine deploy alpha --image debian-12 --wait",
			want: []string{`order o1: write 25% of 300 MiB`, `order o1: done`}, not: "\x1b",
		},
		"a machine cannot steer it": {
			term: "xterm", args: "machine show alpha",
			want: []string{`rebooting into the\?\[31m disk`}, not: "\x1b",
		},
		"a person says yes": {
			term: "xterm", keys: "y\n", args: "machine forget beta",
			want: []string{`forget machine beta .*history\? \[y/N\]`, `machine beta forgotten`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(newFakeServer(time.Now()).handler())
			defer srv.Close()
			defer srv.CloseClientConnections()
			t.Setenv("TERM", tt.term)
			t.Setenv("BAREROOT_SERVER", srv.URL)
			got, code := onTerminal(t, tt.keys, strings.Fields(tt.args)...)
			if code != exitOK {
				t.Errorf("exit code %d", code)
			}
			if !regexp.MustCompile(`(?s)` + strings.Join(tt.want, `.*`)).MatchString(got) {
				t.Errorf("not seen in this order: %q\nseen: %q", tt.want, got)
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("%q was written: %q", tt.not, got)
			}
		})
	}
}

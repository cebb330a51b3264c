package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"bareroot/internal/sys"
)

// Terminals are the consoles of the machine: serial lines and screens. One
// part of the boot at a time talks to the person there; who asks while
// another does waits for its turn.
type Terminals struct {
	only string // rd.ctty
	sys  string // /sys, another folder in tests
	turn chan struct{}
}

// NewTerminals are the kernel's active consoles.
func NewTerminals() *Terminals { return &Terminals{sys: "/sys", turn: make(chan struct{}, 1)} }

// Only leaves one terminal, by its name; "" are all again.
func (t *Terminals) Only(name string) { t.only = name }

// Names lists the terminals as names below /dev, that of /dev/console last.
func (t *Terminals) Names() []string {
	if t.only != "" {
		return []string{strings.TrimPrefix(t.only, "/dev/")}
	}
	var out []string
	for _, n := range strings.Fields(sys.Line(filepath.Join(t.sys, "class/tty/console/active"))) {
		if n == "tty0" { // stands for the virtual terminal in front
			if front := sys.Line(filepath.Join(t.sys, "class/tty/tty0/active")); front != "" {
				n = front
			}
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		out = []string{"console"}
	}
	return out
}

// Open opens those terminals that can be opened, each to be closed by the
// caller. It fails when none can.
func (t *Terminals) Open() ([]*os.File, error) {
	var out []*os.File
	var errs []error
	for _, n := range t.Names() {
		// Nonblocking: a serial line would wait for its carrier, and reads must end
		// when somebody else answered.
		f, err := os.OpenFile(filepath.Join("/dev", n), os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("open a console: %w", errors.Join(errs...))
	}
	return out, nil
}

// Hold waits for the terminals to be free and takes them until release.
func (t *Terminals) Hold(ctx context.Context) (release func(), err error) {
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

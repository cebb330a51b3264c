package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"bareroot/internal/sys"
)

// Terminals are the consoles of the machine: serial lines and screens. One
// part of the boot at a time talks to the person there; who asks while
// another does waits for its turn.
type Terminals struct {
	sys  string // /sys, another folder in tests
	turn chan struct{}

	mu   sync.Mutex
	only string // rd.ctty
}

// NewTerminals are the kernel's active consoles.
func NewTerminals() *Terminals { return &Terminals{sys: "/sys", turn: make(chan struct{}, 1)} }

// Only leaves one terminal, by its name; "" are all again.
func (t *Terminals) Only(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.only = name
}

// Names lists the terminals as names below /dev, that of /dev/console last.
func (t *Terminals) Names() []string {
	t.mu.Lock()
	only := t.only
	t.mu.Unlock()
	if only != "" {
		return []string{strings.TrimPrefix(only, "/dev/")}
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
		f, err := openNow(n)
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

// tellLimit is how long a line may take for a text: nobody may be at the other
// end of one with flow control.
const tellLimit = 10 * time.Second

// tell writes a text on a terminal, if that takes it.
func tell(ctx context.Context, name, text string) {
	f, err := openNow(name)
	if err != nil {
		return
	}
	defer f.Close()
	_ = f.SetWriteDeadline(time.Now().Add(tellLimit))
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, _ = io.WriteString(f, text)
}

// openNow opens the terminal with a name below /dev. Nonblocking: a serial line
// would wait for its carrier, and reads must end when somebody else answered.
func openNow(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join("/dev", name), os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
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

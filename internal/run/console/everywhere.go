package console

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Everywhere writes to /dev/console, which is the last of the active consoles,
// and to all others: who looks at a screen sees what the serial line says.
type Everywhere struct {
	console io.Writer
	sys     string
	dev     string
	others  map[string]*os.File
}

// NewEverywhere writes to console and to the consoles that are active now.
func NewEverywhere(console io.Writer) *Everywhere { return newEverywhere(console, "/sys", "/dev") }

func newEverywhere(console io.Writer, sys, dev string) *Everywhere {
	e := &Everywhere{console: console, sys: sys, dev: dev, others: map[string]*os.File{}}
	b, _ := os.ReadFile(filepath.Join(sys, "class/tty/console/active"))
	if names := strings.Fields(string(b)); len(names) > 1 {
		for _, n := range names[:len(names)-1] {
			e.others[n] = nil
		}
	}
	return e
}

func (e *Everywhere) Write(p []byte) (int, error) {
	for n, f := range e.others {
		if f != nil {
			if _, err := f.Write(p); err == nil {
				continue
			}
			// The end of a shell hangs up its terminal for all that have it open.
			f.Close()
		}
		// Nonblocking: a line that nobody reads must not hold up the boot.
		f, err := os.OpenFile(filepath.Join(e.dev, n), os.O_WRONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
		if err != nil {
			e.others[n] = nil
			continue
		}
		e.others[n] = f
		_, _ = f.Write(p)
	}
	return e.console.Write(p)
}

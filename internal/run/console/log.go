// Package console is what a person at the machine sees and can do: the boot's
// messages on the console (and in the kernel log and the boot log), and the
// emergency shell. It also starts and reaps processes, as PID 1 must.
package console

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/sys"
)

// maxLog bounds the boot log, which lies in memory.
const maxLog = 4 << 20

// Log writes the boot's messages with the seconds since the kernel started.
// It is safe for many goroutines.
type Log struct {
	mu      sync.Mutex
	quiet   bool // only warnings and failures on the console
	debug   bool // everything on the console
	console io.Writer
	kmsg    *sys.Kmsg
	file    io.Writer
	size    int
	early   []byte // before the file was opened
	now     func() time.Duration
	grown   chan struct{}
}

// NewLog logs to w only, until Attach.
func NewLog(w io.Writer) *Log {
	return &Log{console: w, now: Uptime, grown: make(chan struct{}, 1)}
}

// Uptime is the time since the kernel started.
func Uptime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Attach adds the kernel log and the boot log at path.
func (l *Log) Attach(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kmsg, _ = sys.OpenKmsg()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("open boot log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open boot log: %w", err)
	}
	l.file = f
	l.toFile(l.early)
	l.early = nil
	return nil
}

// SetConsole changes where people see the lines.
func (l *Log) SetConsole(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.console = w
}

// SetLevel says what people see: with quiet only warnings and failures, with
// debug everything.
func (l *Log) SetLevel(quiet, debug bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quiet, l.debug = quiet, debug
}

// Debug says whether people see everything.
func (l *Log) Debug() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.debug
}

// Grown gets a value after lines were added to the boot log.
func (l *Log) Grown() <-chan struct{} { return l.grown }

// Infof says what happens.
func (l *Log) Infof(format string, a ...any) { l.write(sys.LevelInfo, format, a...) }

// Warnf says what an operator should look at though the boot goes on.
func (l *Log) Warnf(format string, a ...any) { l.write(sys.LevelWarn, format, a...) }

// Errorf says what failed.
func (l *Log) Errorf(format string, a ...any) { l.write(sys.LevelErr, format, a...) }

// Debugf is for the log only, unless rd.debug.
func (l *Log) Debugf(format string, a ...any) { l.write(sys.LevelDebug, format, a...) }

func (l *Log) write(level int, format string, a ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, a...), "\n")
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp := l.now()
	for _, line := range strings.Split(text, "\n") {
		line = Clean(line)
		mark := ""
		switch level {
		case sys.LevelErr:
			mark = "FAILED: "
		case sys.LevelWarn:
			mark = "warning: "
		}
		full := fmt.Sprintf("[%5d.%03d] bareroot: %s%s\n", int(stamp.Seconds()), stamp.Milliseconds()%1000, mark, line)
		if l.debug || level < sys.LevelInfo || (level == sys.LevelInfo && !l.quiet) {
			_, _ = io.WriteString(l.console, full)
		}
		// Level debug keeps the kernel from printing the line to the console again.
		l.kmsg.Write(sys.LevelDebug, "bareroot: "+mark+line)
		if l.file == nil {
			l.early = append(l.early, full...)
		} else {
			l.toFile([]byte(full))
		}
	}
}

func (l *Log) toFile(b []byte) {
	if len(b) == 0 || l.size > maxLog {
		return
	}
	if l.size+len(b) > maxLog {
		b = []byte("the boot log is full; the rest is in the kernel log only\n")
		l.size = maxLog
	}
	_, _ = l.file.Write(b)
	l.size += len(b)
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// Clean keeps control characters of others off the terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

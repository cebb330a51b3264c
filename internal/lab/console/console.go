// Package console reads what a machine says on its serial line, as a stream
// of characters and not of lines: "login: " ends in no newline. Escape
// sequences of terminals are taken out before anything is compared. It is
// not a terminal emulator.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stream holds the text so far. Write feeds it; Expect waits for something
// to turn up. The zero value is ready.
type Stream struct {
	mu      sync.Mutex
	strip   Stripper
	text    []byte
	pos     int // what Expect has consumed
	changed chan struct{}
	err     error // why there will be no more
}

// Write adds raw bytes from the line.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = s.strip.Append(s.text, p)
	s.wake()
	return len(p), nil
}

// End says that nothing more will come.
func (s *Stream) End(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = io.EOF
	}
	s.err = err
	s.wake()
}

func (s *Stream) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Expect waits until re matches the text after the last match and returns
// the match with its groups. The text up to its end is consumed.
func (s *Stream) Expect(ctx context.Context, re *regexp.Regexp, timeout time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		s.mu.Lock()
		if loc := re.FindSubmatchIndex(s.text[s.pos:]); loc != nil {
			var groups []string
			for i := 0; i < len(loc); i += 2 {
				g := ""
				if loc[i] >= 0 {
					g = string(s.text[s.pos+loc[i] : s.pos+loc[i+1]])
				}
				groups = append(groups, g)
			}
			s.pos += loc[1]
			s.mu.Unlock()
			return groups, nil
		}
		if s.err != nil {
			err := s.err
			s.mu.Unlock()
			return nil, fmt.Errorf("console ended before %q was seen: %w; it last said:\n%s", re, err, s.Tail(12))
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			err := ctx.Err()
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, fmt.Errorf("%q was not seen within %v; the console last said:\n%s", re, timeout, s.Tail(12))
			}
			return nil, err
		}
	}
}

// Text is all that was said, without escape sequences.
func (s *Stream) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

// Tail is the last n lines.
func (s *Stream) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(s.Text(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Follow feeds s from a growing log file, beginning at its start, until ctx
// ends. A log that is cut short (a new run) is read again from its start.
func Follow(ctx context.Context, path string, s io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("follow console: %w", err)
	}
	defer f.Close()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("follow console %s: inotify: %w", path, err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY); err != nil {
		return fmt.Errorf("follow console %s: inotify: %w", path, err)
	}
	stop := context.AfterFunc(ctx, func() { watch.Close() })
	defer stop()
	events := make([]byte, 4096)
	for {
		if _, err := io.Copy(s, f); err != nil {
			return fmt.Errorf("follow console: %w", err)
		}
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			if st, err := f.Stat(); err == nil && st.Size() < at {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					return fmt.Errorf("follow console: %w", err)
				}
				continue
			}
		}
		if _, err := watch.Read(events); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("follow console %s: inotify: %w", path, err)
		}
	}
}

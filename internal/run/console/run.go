package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is what a program may take to end after it was asked to.
const grace = 5 * time.Second

// Command is a program of the ramdisk.
type Command struct {
	Argv  []string // Argv[0] is its path
	Env   []string // nil: Environment
	Input string   // what it reads from standard input
	// Line gets each line that it writes, from one goroutine.
	Line func(text string)
	// Output, if there is one, gets its standard output as it is; Line then
	// gets standard error only. Nothing is written to it after Run returned.
	Output io.Writer
}

// Run starts c in a session of its own and waits for its end. At the end of
// ctx it is asked to end and then killed, with all that it started. What a
// daemon that it leaves behind writes still reaches Line.
func (r *Reaper) Run(ctx context.Context, c Command) (syscall.WaitStatus, error) {
	if len(c.Argv) == 0 {
		return 0, errors.New("run a program: none named")
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("run %s: %w", c.Argv[0], err)
	}
	var p pipes
	in, feed := p.pipe()
	out, write := p.pipe()
	give, finish := output(c.Output, &p, write)
	defer finish()
	if p.err != nil {
		return 0, p.fail(fmt.Errorf("run %s: %w", c.Argv[0], p.err))
	}
	env := c.Env
	if env == nil {
		env = Environment()
	}
	pid, done, err := r.start(c.Argv, env, &syscall.SysProcAttr{Setsid: true}, in, give, write)
	if err != nil {
		return 0, p.fail(err)
	}
	in.Close()
	write.Close()
	give.Close()
	read := r.follow(out, c.Line)
	go func() { // ends with the program, which holds the other end
		_, _ = io.WriteString(feed, c.Input)
		feed.Close()
	}()
	var ws syscall.WaitStatus
	select {
	case ws = <-done:
	case <-ctx.Done():
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		ended := waitFor(done, grace)
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		if !ended {
			waitFor(done, grace) // one that is stuck in the kernel is reaped when it comes out
		}
		return 0, fmt.Errorf("run %s: stopped: %w", c.Argv[0], context.Cause(ctx))
	}
	lastWords(out, read)
	return ws, nil
}

// output is what a program has as standard output: shared, or a pipe to w.
// finish ends the reading of it.
func output(w io.Writer, p *pipes, shared *os.File) (give *os.File, finish func()) {
	if w == nil {
		return shared, func() {}
	}
	take, give := p.pipe()
	if take == nil {
		return nil, func() {}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(w, words{f: take})
	}()
	return give, func() {
		lastWords(take, read)
		take.Close()
		<-read
	}
}

// pipes are those of a program that is being started.
type pipes struct {
	ends []*os.File
	err  error // the first that could not be made
}

func (p *pipes) pipe() (read, write *os.File) {
	if p.err != nil {
		return nil, nil
	}
	if read, write, p.err = os.Pipe(); p.err != nil {
		return nil, nil
	}
	p.ends = append(p.ends, read, write)
	return read, write
}

// fail closes all that there are.
func (p *pipes) fail(err error) error {
	for _, f := range p.ends {
		f.Close()
	}
	return err
}

// words is the reading end of a pipe. Its deadline is the end of the program,
// and comes to light only when all that the program wrote was read.
type words struct{ f *os.File }

func (w words) Read(b []byte) (int, error) {
	n, err := w.f.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	raw, rerr := w.f.SyscallConn()
	if rerr != nil {
		return 0, err
	}
	n = 0
	// It does not block: such a pipe is one of the runtime's poller.
	_ = raw.Control(func(fd uintptr) { n, _ = unix.Read(int(fd), b) }) // nothing to read is the end, too
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// lastWords waits until what an ended program left in a pipe was read, which
// read says; a daemon may hold the other end for ever.
func lastWords(out *os.File, read <-chan struct{}) {
	_ = out.SetReadDeadline(time.Unix(1, 0)) // a closed one was read
	waitFor(read, grace)                     // who gets them may be slow
}

// waitFor says whether c gave something, or was closed, within limit.
func waitFor[T any](c <-chan T, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// follow hands over lines until the last writer is gone or Stop. The channel
// tells that those before the deadline of out were handed over.
func (r *Reaper) follow(out *os.File, line func(string)) <-chan struct{} {
	read := make(chan struct{})
	r.mu.Lock()
	if r.pipes == nil {
		r.pipes = map[*os.File]bool{}
	}
	r.pipes[out] = true
	r.mu.Unlock()
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		over := sync.OnceFunc(func() { close(read) })
		defer over()
		b := bufio.NewReaderSize(words{f: out}, 4096)
		for {
			text, err := b.ReadSlice('\n')
			if len(text) > 0 && line != nil {
				n := len(text)
				if text[n-1] == '\n' {
					n--
				}
				line(string(text[:n]))
			}
			if errors.Is(err, os.ErrDeadlineExceeded) && r.goOn(out) {
				over()
				continue
			}
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
		r.mu.Lock()
		delete(r.pipes, out)
		r.mu.Unlock()
		out.Close()
	}()
	return read
}

// goOn takes the deadline from a pipe that a daemon may hold, unless the
// reading of all pipes ends.
func (r *Reaper) goOn(out *os.File) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.stopped && out.SetReadDeadline(time.Time{}) == nil
}

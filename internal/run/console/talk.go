package console

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Talk is a program that runs beside init and is spoken with over its standard
// input and output.
type Talk struct {
	in, out, errs *os.File
	pid           int
	done          <-chan syscall.WaitStatus
	said          <-chan struct{} // what it said before it ended was handed over
	grace         time.Duration
}

// Talk starts argv in a session of its own. line gets each line of its standard
// error, from one goroutine.
func (r *Reaper) Talk(argv []string, line func(text string)) (*Talk, error) {
	var ends []*os.File
	pipe := func() (read, write *os.File, err error) {
		if read, write, err = os.Pipe(); err == nil {
			ends = append(ends, read, write)
		}
		return read, write, err
	}
	fail := func(err error) (*Talk, error) {
		for _, f := range ends {
			f.Close()
		}
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	in, tell, err := pipe()
	if err != nil {
		return fail(err)
	}
	hear, out, err := pipe()
	if err != nil {
		return fail(err)
	}
	said, errs, err := pipe()
	if err != nil {
		return fail(err)
	}
	pid, done, err := r.start(argv, Environment(), &syscall.SysProcAttr{Setsid: true}, in, out, errs)
	if err != nil {
		for _, f := range ends {
			f.Close()
		}
		return nil, err
	}
	in.Close()
	out.Close()
	errs.Close()
	return &Talk{in: tell, out: hear, errs: said, pid: pid, done: done, said: r.follow(said, line), grace: talkGrace}, nil
}

// Read reads from its standard output.
func (t *Talk) Read(b []byte) (int, error) { return t.out.Read(b) }

// Write writes to its standard input.
func (t *Talk) Write(b []byte) (int, error) { return t.in.Write(b) }

// End ends the program's input, by which it ends, or else kills it; it says how
// it ended.
func (t *Talk) End() string {
	t.in.Close()
	defer t.out.Close()
	timer := time.NewTimer(t.grace)
	defer timer.Stop()
	select {
	case ws := <-t.done:
		lastWords(t.errs, t.said)
		return ExitText(ws)
	case <-timer.C:
	}
	_ = syscall.Kill(-t.pid, syscall.SIGKILL)
	if !waitFor(t.done, grace) {
		return "it cannot be killed"
	}
	return "killed, as it did not end"
}

// talkGrace is what a program has that need only see the end of its input.
const talkGrace = 2 * time.Second

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
	var p pipes
	in, tell := p.pipe()
	hear, out := p.pipe()
	said, errs := p.pipe()
	if p.err != nil {
		return nil, p.fail(fmt.Errorf("start %s: %w", argv[0], p.err))
	}
	pid, done, err := r.start(argv, Environment(), &syscall.SysProcAttr{Setsid: true}, in, out, errs)
	if err != nil {
		return nil, p.fail(err)
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

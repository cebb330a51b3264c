package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// AskPath is where programs answer questions: those that "unlock" runs.
const AskPath = "/run/bareroot/ask.sock"

// maxAnswer is more than any passphrase.
const maxAnswer = 4096

// Asker asks the operator for secrets: on all terminals at once, and whoever
// connects to its socket. The first answer counts.
type Asker struct {
	terms *Terminals
	log   *Log

	one sync.Mutex // one question at a time

	mu      sync.Mutex
	current *question
	changed chan struct{} // closed and replaced with current or news
	news    string        // what became of the last answer
	conns   map[net.Conn]bool
	closing bool // who connects now is too late

	listener net.Listener
	wg       sync.WaitGroup
}

type question struct {
	prompt string
	shown  bool        // the answer is no secret
	answer chan string // takes one
	over   chan struct{}
}

// NewAsker asks on terms.
func NewAsker(terms *Terminals, log *Log) *Asker {
	return &Asker{terms: terms, log: log, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
}

// Listen lets programs answer at path, until Close.
func (a *Asker) Listen(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("listen for answers: %w", err)
	}
	_ = os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}) // without a resolver
	if err != nil {
		return fmt.Errorf("listen for answers: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("listen for answers: %w", err)
	}
	a.listen(l)
	return nil
}

func (a *Asker) listen(l net.Listener) {
	a.listener = l
	a.mu.Lock()
	a.closing = false
	a.mu.Unlock()
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			late := a.closing
			if !late {
				a.conns[c] = true
			}
			a.mu.Unlock()
			if late {
				c.Close()
				continue
			}
			a.wg.Add(1)
			go func() {
				defer a.wg.Done()
				a.serve(c)
				a.mu.Lock()
				delete(a.conns, c)
				a.mu.Unlock()
				c.Close()
			}()
		}
	}()
}

// Close ends listening.
func (a *Asker) Close() {
	if a.listener == nil {
		return
	}
	a.listener.Close()
	a.mu.Lock()
	a.closing = true
	for c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	a.wg.Wait()
	a.listener = nil
}

// Ask puts a question and waits for its answer, which is not shown while it is
// typed. A wrong passphrase is asked for again by calling Ask again, with a
// prompt that says so.
func (a *Asker) Ask(ctx context.Context, prompt string) (string, error) {
	a.log.Infof("waiting for an answer: %s (on a console, or with \"unlock\" over ssh)", Clean(prompt))
	return a.ask(ctx, prompt, false)
}

// AskShown asks for what is no secret.
func (a *Asker) AskShown(ctx context.Context, prompt string) (string, error) {
	return a.ask(ctx, prompt, true)
}

func (a *Asker) ask(ctx context.Context, prompt string, shown bool) (string, error) {
	a.one.Lock()
	defer a.one.Unlock()
	prompt = Clean(prompt)
	q := &question{prompt: prompt, shown: shown, answer: make(chan string, 1), over: make(chan struct{})}
	a.set(q, "")
	sub, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); a.askTerminals(sub, q) }()
	defer func() {
		close(q.over)
		cancel()
		wg.Wait()
	}()
	select {
	case s := <-q.answer:
		a.set(nil, "")
		return s, nil
	case <-ctx.Done():
		a.set(nil, "the question was withdrawn")
		return "", fmt.Errorf("ask %q: %w", prompt, ctx.Err())
	}
}

// Tell says to those who answered what becomes of it. They wait a while longer
// for another question.
func (a *Asker) Tell(text string) { a.set(nil, Clean(text)) }

func (a *Asker) set(q *question, news string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, a.news = q, news
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *Asker) state() (*question, string, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current, a.news, a.changed
}

func (q *question) reply(s string) {
	select {
	case q.answer <- s:
	default: // somebody was faster
	}
}

// askTerminals asks on every terminal until one answers or ctx ends.
func (a *Asker) askTerminals(ctx context.Context, q *question) {
	release, err := a.terms.Hold(ctx)
	if err != nil {
		return
	}
	defer release()
	ttys, err := a.terms.Open()
	if err != nil {
		a.log.Warnf("%v; the answer can come over ssh only", err)
		return
	}
	var wg sync.WaitGroup
	for _, tty := range ttys {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer tty.Close()
			s, err := readAnswer(ctx, tty, q)
			if err == nil {
				q.reply(s)
			} else if ctx.Err() == nil {
				a.log.Debugf("%s: %v", tty.Name(), err)
			}
		}()
	}
	wg.Wait()
}

// readAnswer reads a line from tty, without showing it if it is secret.
func readAnswer(ctx context.Context, tty *os.File, q *question) (string, error) {
	raw, err := tty.SyscallConn()
	if err != nil {
		return "", err
	}
	// Not by Fd, which would make the file one that deadlines do not reach.
	var restore func()
	_ = raw.Control(func(fd uintptr) { restore, err = lineMode(int(fd), q.shown, true) })
	if err == nil {
		defer func() { _ = raw.Control(func(uintptr) { restore() }) }()
	}
	// Also of the prompt: a line with flow control may take nothing.
	stop := context.AfterFunc(ctx, func() { _ = tty.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	fmt.Fprintf(tty, "\n%s: ", q.prompt)
	s, err := readLine(bufio.NewReaderSize(tty, maxAnswer))
	if ctx.Err() != nil {
		_ = tty.SetWriteDeadline(time.Now().Add(time.Second))
		fmt.Fprint(tty, "\n(answered elsewhere, or no longer asked)\n")
	}
	return s, err
}

func readLine(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// serve speaks with one program: "ask PROMPT" and "say NEWS" go out, one line
// comes back for each ask.
func (a *Asker) serve(c net.Conn) {
	type line struct {
		text string
		err  error
	}
	lines := make(chan line)
	gone := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		r := bufio.NewReaderSize(c, maxAnswer)
		for {
			s, err := readLine(r)
			select {
			case lines <- line{s, err}:
			case <-gone:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() { c.Close(); close(gone); wg.Wait() }()
	var told *question
	said := ""
	for {
		q, news, changed := a.state()
		switch {
		case q != nil && q != told:
			if _, err := fmt.Fprintf(c, "ask %s\n", q.prompt); err != nil {
				return
			}
			told = q
			said = ""
		case q == nil && news != "" && told != nil && news != said:
			if _, err := fmt.Fprintf(c, "say %s\n", news); err != nil {
				return
			}
			said = news
		}
		select {
		case <-changed:
		case l := <-lines:
			if l.err != nil {
				return
			}
			if q != nil {
				q.reply(l.text)
			}
		}
	}
}

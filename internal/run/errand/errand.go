// Package errand is how bareroot-init sends bareroot-agent on errands: what
// speaks HTTP and TLS is the agent, because a boot from a local disk needs none
// of it and init is unpacked by every boot.
//
// The agent runs as a child ("bareroot-agent --errands") with pipes as standard
// input and output. Init writes an Errand as one line of JSON and reads Answers,
// a line each, until one without More; then it may write the next. The end of
// standard input ends the agent, also in the middle of an errand. Secrets travel
// in these pipes only. An errand can be sent again by another agent process: all
// that it needs is in it.
//
// It is not a protocol between machines: both ends are of the same build.
package errand

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"bareroot/api"
	"bareroot/internal/rdconf"
)

// Flag makes bareroot-agent run errands.
const Flag = "--errands"

// maxLine bounds a line of the protocol. What is longest are all the events of
// a boot that had no session.
const maxLine = 8 << 20

// Errand is one thing to do; one field is set.
type Errand struct {
	Hello  *Hello    `json:"hello,omitempty"`
	Report *Report   `json:"report,omitempty"`
	Size   *Download `json:"size,omitempty"`   // how large is it
	Fetch  *Download `json:"fetch,omitempty"`  // into a file
	Lookup string    `json:"lookup,omitempty"` // the addresses of a name
}

// Hello exchanges the nonce for a session, once.
type Hello struct {
	Server  rdconf.Server    `json:"server"`
	Request api.HelloRequest `json:"request"`
}

// Report sends events, then what the boot's log has from Offset on.
type Report struct {
	Server rdconf.Server `json:"server"`
	Token  string        `json:"token"`
	Events []api.Event   `json:"events,omitempty"`
	Log    string        `json:"log"` // its path
	Offset int64         `json:"offset"`
}

// Download is an image at a URL. Without SHA256 it is not checked and the
// token is not sent.
type Download struct {
	URL    string         `json:"url"`
	SHA256 string         `json:"sha256,omitempty"`
	Size   int64          `json:"size,omitempty"` // 0: not known
	To     string         `json:"to,omitempty"`
	Server *rdconf.Server `json:"server,omitempty"` // the machine's own, nil: none
	Token  string         `json:"token,omitempty"`  // only for URLs of Server
}

// Answer is what became of an errand, or with More how it goes.
type Answer struct {
	More  bool   `json:"more,omitempty"`
	Text  string `json:"text,omitempty"`  // with More: for the log
	Done  int64  `json:"done,omitempty"`  // bytes, with More so far
	Total int64  `json:"total,omitempty"` // bytes, 0: not known
	Rate  int64  `json:"rate,omitempty"`  // bytes a second

	Hello  *api.HelloReply `json:"hello,omitempty"`
	Addrs  []netip.Addr    `json:"addrs,omitempty"`
	Events int             `json:"events,omitempty"` // that were taken, also by a Report that failed
	Offset int64           `json:"offset,omitempty"` // how far the log is sent, likewise

	Error   string       `json:"error,omitempty"`
	Problem *api.Problem `json:"problem,omitempty"` // the server's, with Error
}

// Failed is the answer of an errand that failed.
func Failed(err error) Answer {
	a := Answer{Error: err.Error()}
	errors.As(err, &a.Problem)
	return a
}

// Err is the error that Failed was given, as far as it went through the pipe.
func (a Answer) Err() error {
	if a.Error == "" {
		return nil
	}
	return failure{a}
}

type failure struct{ Answer }

func (f failure) Error() string { return f.Answer.Error }

func (f failure) Unwrap() error {
	if f.Problem == nil {
		return nil
	}
	return f.Problem
}

// Serve runs the errands of in one after the other. It returns at the end of in,
// which ends the errand in hand, or of ctx.
func Serve(ctx context.Context, in io.Reader, out io.Writer, do func(ctx context.Context, e Errand, tell func(Answer)) Answer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan Errand)
	go func() { // ends at the end of in, or with the program
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			var e Errand
			if err := json.Unmarshal(s.Bytes(), &e); err != nil {
				cancel(fmt.Errorf("read an errand: %w", err)) // the text is not shown: it may hold a secret
				return
			}
			select {
			case todo <- e:
			case <-ctx.Done():
				return
			}
		}
		if err := s.Err(); err != nil {
			cancel(fmt.Errorf("read an errand: %w", err))
			return
		}
		cancel(io.EOF)
	}()
	var werr error
	write := func(a Answer) {
		b, err := json.Marshal(a)
		if err == nil {
			_, err = out.Write(append(b, '\n'))
		}
		if err != nil && werr == nil {
			werr = fmt.Errorf("answer: %w", err)
			cancel(werr)
		}
	}
	for {
		select {
		case e := <-todo:
			a := do(ctx, e, func(a Answer) { a.More = true; write(a) })
			a.More = false
			write(a)
		case <-ctx.Done():
			if err := context.Cause(ctx); err != io.EOF && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
	}
}

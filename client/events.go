package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strings"
	"time"

	"bareroot/api"
)

// Bounds of the stream of changes.
const (
	eventIdle    = 2 * time.Minute // silence after which the connection is made anew
	eventBackoff = 5 * time.Second // longest pause between attempts
	maxEvent     = 1 << 20         // bytes of one event
)

// Events yields what changes at the server, until ctx ends or the caller
// stops. When the stream breaks, Events connects again: it yields the error of
// each failed attempt, and a caller that has waited long enough stops. After
// each connection it yields the zero Change, which means "anything may have
// changed: read again". A refusal by the server is yielded and ends it.
func (c *Client) Events(ctx context.Context) iter.Seq2[api.Change, error] {
	return func(yield func(api.Change, error) bool) {
		pause := time.Duration(0)
		for {
			if !sleep(ctx, pause) {
				return
			}
			heard := false
			err := c.stream(ctx, func(ch api.Change) bool {
				heard = true
				return yield(ch, nil)
			})
			var p *api.Problem
			switch {
			case errors.Is(err, errStopped) || ctx.Err() != nil:
				return
			case errors.As(err, &p) && p.Status < 500: // 503 is a server on its way up or down
				yield(api.Change{}, err)
				return
			case !yield(api.Change{}, err):
				return
			case heard:
				pause = 100 * time.Millisecond
			default:
				pause = min(max(2*pause, 100*time.Millisecond), eventBackoff)
			}
		}
	}
}

var (
	errStopped = errors.New("the caller stopped")
	errIdle    = fmt.Errorf("nothing heard for %s", eventIdle)
)

// stream reads one connection's changes. It never returns nil.
func (c *Client) stream(ctx context.Context, yield func(api.Change) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(eventIdle, func() { cancel(errIdle) })
	defer idle.Stop()
	failed := func(err error) error {
		if context.Cause(ctx) == errIdle {
			err = errIdle
		}
		return fmt.Errorf("listen for changes: %w", err)
	}

	resp, err := c.send(ctx, http.MethodGet, "/api/v1/events", http.Header{"Accept": {"text/event-stream"}}, nil)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		return fmt.Errorf("listen for changes: the server answered with %q, not an event stream", kind)
	}
	if !yield(api.Change{}) {
		return errStopped
	}
	r := eventReader{scan: bufio.NewScanner(resp.Body), alive: func() { idle.Reset(eventIdle) }}
	r.scan.Buffer(nil, maxEvent)
	for {
		data, err := r.next()
		if err != nil {
			return failed(err)
		}
		var ch api.Change
		if err := json.Unmarshal(data, &ch); err != nil {
			return fmt.Errorf("listen for changes: read event: %w", err)
		}
		if !yield(ch) {
			return errStopped
		}
	}
}

// eventReader takes a text/event-stream (HTML, section 9.2) apart. Names and
// ids of events are of no use here and skipped.
type eventReader struct {
	scan  *bufio.Scanner
	alive func() // called with each line
}

// next returns the data of the next event that has any.
func (r *eventReader) next() ([]byte, error) {
	var data []string
	for r.scan.Scan() {
		r.alive()
		line := strings.TrimSuffix(r.scan.Text(), "\r")
		if line == "" {
			if b := strings.Join(data, "\n"); b != "" {
				return []byte(b), nil
			}
			data = nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if name == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	if err := r.scan.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF // an event that is not ended by an empty line is dropped
}

// sleep waits for d, or less if ctx ends: then it is false.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

package errand

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"bareroot/internal/run/console"
)

// Process is an agent that runs errands.
type Process interface {
	io.ReadWriter
	// End ends it, if it did not end by itself, and says how it ended.
	End() string
}

// ErrGone is the error of an agent that failed too often to be started again.
var ErrGone = errors.New("bareroot-agent is given up")

// Sender is init's side: it starts the agent when there is an errand, and again
// when it fails. It is safe for many goroutines; errands wait for each other.
type Sender struct {
	Start func(ctx context.Context) (Process, error)
	// Again says whether an agent that failed shall be started again.
	Again func() bool

	mu      sync.Mutex
	process Process
	answers *bufio.Reader
	gone    error
}

// Send has an errand run and returns its answer; hear, if it is not nil, gets
// those before. At the end of ctx the agent is ended. A failure of the errand
// itself is an error, too.
func (s *Sender) Send(ctx context.Context, e Errand, hear func(Answer)) (Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		return Answer{}, s.gone
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	line, err := json.Marshal(e)
	if err != nil {
		return Answer{}, fmt.Errorf("send bareroot-agent: %w", err)
	}
	if s.process == nil {
		p, err := s.Start(ctx)
		if err != nil {
			return Answer{}, err
		}
		s.process, s.answers = p, bufio.NewReader(p)
	}
	type result struct {
		a   Answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := s.exchange(append(line, '\n'), hear)
		done <- result{a, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return Answer{}, s.failed(r.err)
		}
		return r.a, r.a.Err()
	case <-ctx.Done():
		s.process.End()
		<-done
		s.process = nil
		return Answer{}, context.Cause(ctx)
	}
}

// exchange writes a line and reads what is answered.
func (s *Sender) exchange(line []byte, hear func(Answer)) (Answer, error) {
	// An agent that died before it read shows when its answer is read.
	_, werr := s.process.Write(line)
	for {
		text, err := readLine(s.answers)
		if err != nil {
			return Answer{}, errors.Join(err, werr)
		}
		var a Answer
		if err := json.Unmarshal(text, &a); err != nil {
			return Answer{}, fmt.Errorf("it said what is no answer: %q", console.Clean(string(text[:min(len(text), 80)])))
		}
		if !a.More {
			return a, nil
		}
		if hear != nil {
			hear(a)
		}
	}
}

// errEnded: the reason is how the process ended.
var errEnded = errors.New("it ended")

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("its answer has more than %d bytes", maxLine)
		case err == nil:
			return bytes.TrimSpace(line), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, errEnded // whatever the pipe says of it
		}
	}
}

// failed ends an agent that did not do what it is for.
func (s *Sender) failed(err error) error {
	how := s.process.End()
	s.process = nil
	if errors.Is(err, errEnded) {
		err = fmt.Errorf("bareroot-agent ended in the middle of its work (%s)", how)
	} else {
		err = fmt.Errorf("bareroot-agent: %w", err)
	}
	if !s.Again() {
		s.gone = fmt.Errorf("%w: it failed too often: %w", ErrGone, err)
		return s.gone
	}
	return err
}

// Close ends the agent.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.End()
		s.process = nil
	}
}

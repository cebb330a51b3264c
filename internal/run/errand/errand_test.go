package errand

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
)

// fake is an agent in this process: serve gets both ends of its pipes.
type fake struct {
	in, out *os.File // the sender's ends
	ended   chan struct{}
	once    sync.Once
}

func newFake(t *testing.T, serve func(in, out *os.File)) *fake {
	t.Helper()
	in, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	hear, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{in: tell, out: hear, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		serve(in, out)
		in.Close()
		out.Close()
	}()
	return f
}

func (f *fake) Read(b []byte) (int, error)  { return f.out.Read(b) }
func (f *fake) Write(b []byte) (int, error) { return f.in.Write(b) }
func (f *fake) End() string {
	f.once.Do(func() { f.in.Close(); <-f.ended; f.out.Close() })
	return "exit code 7"
}

// serving is an agent that does what do says.
func serving(t *testing.T, do func(context.Context, Errand, func(Answer)) Answer) func(context.Context) (Process, error) {
	return func(context.Context) (Process, error) {
		return newFake(t, func(in, out *os.File) {
			if err := Serve(context.Background(), in, out, do); err != nil {
				t.Errorf("serve: %v", err)
			}
		}), nil
	}
}

func TestSend(t *testing.T) {
	s := &Sender{Start: serving(t, func(_ context.Context, e Errand, tell func(Answer)) Answer {
		switch {
		case e.Hello != nil:
			return Failed(fmt.Errorf("say hello: %w", &api.Problem{Status: 403, Title: "no"}))
		case e.Size != nil:
			return Failed(errors.New("who knows"))
		}
		tell(Answer{Text: "half"})
		return Answer{Events: len(e.Report.Events), Offset: e.Report.Offset + 1}
	})}
	defer s.Close()
	var heard []string
	hear := func(a Answer) { heard = append(heard, a.Text) }
	a, err := s.Send(t.Context(), Errand{Report: &Report{Events: make([]api.Event, 3), Offset: 41}}, hear)
	if d := cmp.Diff(Answer{Events: 3, Offset: 42}, a); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if d := cmp.Diff([]string{"half"}, heard); d != "" {
		t.Error(d)
	}
	// The server's refusal goes through the pipe as what it is.
	var p *api.Problem
	if _, err = s.Send(t.Context(), Errand{Hello: &Hello{}}, nil); !errors.As(err, &p) || p.Status != 403 || !strings.HasPrefix(err.Error(), "say hello: ") {
		t.Errorf("refusal: %v", err)
	}
	if _, err = s.Send(t.Context(), Errand{Size: &Download{}}, nil); err == nil || err.Error() != "who knows" || errors.As(err, &p) {
		t.Errorf("failure: %v", err)
	}
}

// Whatever an agent does wrong, the errand fails with words for it, and the
// next one has a new agent, until there were too many.
func TestSendToBadAgents(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(in, out *os.File)
		want  string
	}{
		"dead at once":       {func(in, out *os.File) {}, "ended in the middle of its work (exit code 7)"},
		"dies of an errand":  {func(in, out *os.File) { _, _ = bufio.NewReader(in).ReadString('\n') }, "exit code 7"},
		"half an answer":     {func(in, out *os.File) { io.WriteString(out, `{"events":1`) }, "exit code 7"},
		"after half the way": {func(in, out *os.File) { io.WriteString(out, `{"more":true,"done":1}`+"\n") }, "exit code 7"},
		"garbage":            {func(in, out *os.File) { io.WriteString(out, "panic: \x1b[2J\n"); io.Copy(io.Discard, in) }, `what is no answer: "panic: ?[2J"`},
		"endless": {func(in, out *os.File) {
			for b := []byte(strings.Repeat("x", 1<<16)); ; {
				if _, err := out.Write(b); err != nil {
					return
				}
			}
		}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			starts, crashes := 0, 0
			s := &Sender{
				Start: func(ctx context.Context) (Process, error) {
					if starts++; starts == 2 {
						return serving(t, func(context.Context, Errand, func(Answer)) Answer { return Answer{Done: 5} })(ctx)
					}
					f := newFake(t, c.serve)
					return stubborn{f}, nil
				},
				Again: func() bool { crashes++; return crashes < 2 },
			}
			defer s.Close()
			if _, err := s.Send(t.Context(), Errand{}, nil); err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrGone) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if a, err := s.Send(t.Context(), Errand{}, nil); err != nil || a.Done != 5 {
				t.Errorf("the second agent: %+v %v", a, err)
			}
			s.Close()
			for range 2 {
				if _, err := s.Send(t.Context(), Errand{}, nil); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("the third: %v", err)
				}
			}
			if starts != 3 {
				t.Errorf("started %d times", starts)
			}
		})
	}
}

// stubborn does not end by itself: its output is closed, as a killed one's is.
type stubborn struct{ *fake }

func (f stubborn) End() string {
	f.out.Close()
	return f.fake.End()
}

func TestSendStops(t *testing.T) {
	s := &Sender{Start: serving(t, func(ctx context.Context, e Errand, _ func(Answer)) Answer {
		if e.Size != nil {
			return Answer{Total: 1}
		}
		<-ctx.Done() // a server that is away
		return Answer{}
	})}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, Errand{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped: %v", err)
	}
	if a, err := s.Send(t.Context(), Errand{Size: &Download{}}, nil); err != nil || a.Total != 1 {
		t.Errorf("after that: %+v %v", a, err)
	}
}

func TestServe(t *testing.T) {
	do := func(_ context.Context, e Errand, _ func(Answer)) Answer { return Answer{Done: int64(len(e.Size.URL))} }
	for name, c := range map[string]struct{ in, out, err string }{
		"nothing":  {"", "", ""},
		"two":      {`{"size":{"url":"a"}}` + "\n" + `{"size":{"url":"bb"},"new":1}` + "\n", `{"done":1}` + "\n" + `{"done":2}` + "\n", ""},
		"garbage":  {"secret\n", "", "read an errand: invalid character"},
		"too long": {strings.Repeat(" ", maxLine+1), "", "too long"},
	} {
		var out strings.Builder
		err := Serve(t.Context(), strings.NewReader(c.in), &out, do)
		if (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.HasPrefix(c.out, out.String()) { // the end of the input ends what is in hand
			t.Errorf("%s: %s", name, out.String())
		}
	}
	in, tell := io.Pipe()
	go func() { _, _ = io.WriteString(tell, `{"size":{}}`+"\n") }()
	if err := Serve(t.Context(), in, broken{}, do); err == nil {
		t.Error("nobody hears the answers and nobody minds")
	}
	tell.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, tell = io.Pipe()
	defer tell.Close()
	if err := Serve(ctx, in, io.Discard, do); err != nil {
		t.Errorf("stopped: %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"size":{"url":"http://h/"}}` + "\n"))
	f.Add([]byte(`{"report":{"events":[{}]}}` + "\nx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = Serve(t.Context(), strings.NewReader(string(b)), io.Discard, func(context.Context, Errand, func(Answer)) Answer { return Answer{} })
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"done":1}` + "\n"))
	f.Add([]byte("\xff\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Sender{Again: func() bool { return true }, Start: func(context.Context) (Process, error) { return &said{strings.NewReader(string(b))}, nil }}
		if a, err := s.Send(t.Context(), Errand{}, nil); err == nil && a.More {
			t.Error("an answer with more to come is the last one")
		}
	})
}

type said struct{ *strings.Reader }

func (said) Write(b []byte) (int, error) { return len(b), nil }
func (said) End() string                 { return "ended" }

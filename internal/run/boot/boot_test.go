package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"bareroot/internal/run/errand"
)

func TestRunner(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		fails map[string]int // how often a stage fails first
		again int            // how often Failed says yes
		want  string
		err   string
	}{
		"all well":             {want: "<a a <b b <c c"},
		"tried again":          {fails: map[string]int{"b": 2}, again: 5, want: "<a a <b b !b b !b b <c c"},
		"given up":             {fails: map[string]int{"b": 9}, again: 1, want: "<a a <b b !b b !b", err: "stage b: boom"},
		"a panic is a failure": {fails: map[string]int{"c": -1}, want: "<a a <b b <c c !c", err: "stage c: internal error: oops"},
	} {
		var got []string
		left := map[string]int{}
		for k, v := range c.fails {
			left[k] = v
		}
		stage := func(n string) Stage {
			return Stage{n, func(context.Context) error {
				got = append(got, n)
				if left[n] < 0 {
					panic("oops")
				}
				if left[n] > 0 {
					left[n]--
					return boom
				}
				return nil
			}}
		}
		r := Runner{Stages: []Stage{stage("a"), stage("b"), stage("c")},
			Before: func(_ context.Context, s string) { got = append(got, "<"+s) },
			Failed: func(_ context.Context, e *StageError) bool {
				got = append(got, "!"+e.Stage)
				c.again--
				return c.again >= 0
			}}
		err := r.Run(t.Context())
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		if (err == nil) != (c.err == "") || (err != nil && err.Error() != c.err) {
			t.Errorf("%s: %v, want %s", name, err, c.err)
		}
	}
}

func TestStageNames(t *testing.T) {
	var got []string
	for _, s := range (&Boot{}).stages() {
		got = append(got, s.Name)
	}
	if d := cmp.Diff(cmdline.Stages[:], got); d != "" {
		t.Error(d)
	}
}

func TestJudge(t *testing.T) {
	const m = time.Minute
	for _, c := range []struct {
		line            string
		server, console bool
		want            Verdict
	}{
		{"", false, true, Verdict{Shell: true, Delay: m}},
		{"", true, true, Verdict{Key: true, Delay: m, Action: "reboot"}},
		{"", true, false, Verdict{Delay: m, Action: "reboot"}},
		{"", false, false, Verdict{Delay: m, Action: "reboot"}},
		{"rd.shell=0", false, true, Verdict{Delay: m, Action: "reboot"}},
		{"rd.shell=0 rd.emergency=halt", true, true, Verdict{Delay: m, Action: "halt"}},
		{"rd.shell=1", true, true, Verdict{Shell: true, Delay: m}},
		{"rd.shell", true, true, Verdict{Shell: true, Delay: m}},
		{"rd.break=mount", true, true, Verdict{Shell: true, Delay: m}},
		{"rd.emergency=poweroff", false, true, Verdict{Shell: true, Delay: m, Action: "poweroff"}},
		{"rd.emergency=poweroff bareroot.emergency.delay=5", true, true, Verdict{Key: true, Delay: 5 * time.Second, Action: "poweroff"}},
		{"rd.emergency=nonsense", true, true, Verdict{Key: true, Delay: m, Action: "reboot"}},
	} {
		if d := cmp.Diff(c.want, Judge(cmdline.Parse(c.line, "t"), c.server, c.console)); d != "" {
			t.Errorf("%q server %v console %v: %s", c.line, c.server, c.console, d)
		}
	}
}

func TestRestarts(t *testing.T) {
	r := restarts{max: 3, within: time.Minute}
	at := time.Unix(0, 0)
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, true}, {time.Second, false}, {2 * time.Minute, true}, {50 * time.Second, true}, {50 * time.Second, true}, {time.Second, false}} {
		at = at.Add(c.after)
		if got := r.allow(at); got != c.want {
			t.Errorf("crash %d: allowed %v", i, got)
		}
	}
}

func TestProbeAddress(t *testing.T) {
	for in, want := range map[string]string{
		"http://10.0.0.1:8080": "10.0.0.1:8080", "https://h/x": "h:443", "http://h": "h:80", "http://[fd00::1]/x": "[fd00::1]:80", "": "", "::": "",
	} {
		if got := probeAddress(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// server is an agent and a server behind it, which fails as told.
type server struct {
	mu      sync.Mutex
	fails   []error // of the next sends
	got     []string
	bad     []string
	reached chan struct{}
}

func (s *server) Send(_ context.Context, e errand.Errand, _ func(errand.Answer)) (errand.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reached != nil {
		close(s.reached)
		s.reached = nil
	}
	if e.Report.Token != "t" || e.Report.Server.URL != "http://s" {
		s.bad = append(s.bad, fmt.Sprintf("sent to %+v", e.Report.Server))
	}
	take := func(events []api.Event) {
		for _, e := range events {
			if e.BootID != "boot" || e.Seq != len(s.got)+1 {
				s.bad = append(s.bad, fmt.Sprintf("event %+v", e))
			}
			s.got = append(s.got, e.Kind+" "+e.Phase)
		}
	}
	if len(s.fails) > 0 {
		err := s.fails[0]
		if s.fails = s.fails[1:]; err == errLogOnly {
			take(e.Report.Events)
			return errand.Answer{Events: len(e.Report.Events)}, err
		}
		return errand.Answer{}, err
	}
	take(e.Report.Events)
	return errand.Answer{Events: len(e.Report.Events), Offset: 5}, nil
}

var errLogOnly = errors.New("the events were taken, the log not")

// The reporter keeps order and numbers, sends again what failed, whether that
// was the server or the agent, and keeps only the newest progress.
func TestReporter(t *testing.T) {
	for name, fails := range map[string][]error{
		"all well":            nil,
		"server away":         {&api.Problem{Status: 503}},
		"the agent dies":      {errors.New("bareroot-agent ended in the middle of its work")},
		"the log is not sent": {errLogOnly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{fails: fails}
			r := NewReporter(console.NewLog(&strings.Builder{}), "boot")
			defer r.Close()
			o := &api.Order{ID: "o", Attempt: 1}
			r.Event("network", "", false)
			r.Order(o, api.Event{Kind: api.EventProgress, Done: 1})
			r.Order(o, api.Event{Kind: api.EventProgress, Done: 2})
			r.Event("root", "", true)
			session := &rdconf.Session{Server: rdconf.Server{URL: "http://s"}, Token: "t"}
			r.Connect(t.Context(), s, session)
			r.Flush(time.Minute)
			r.Close()
			// A switch to the root that failed.
			r.Event("switch-root", "", true)
			r.Connect(t.Context(), s, session)
			r.Flush(time.Minute)
			s.mu.Lock()
			defer s.mu.Unlock()
			if d := cmp.Diff([]string{"boot network", "boot root", "boot switch-root"}, s.got); d != "" || len(s.bad) > 0 {
				t.Error(d, s.bad)
			}
		})
	}
}

// Nobody waits for an agent that was given up, nor for a server that is away.
func TestReporterGivesUp(t *testing.T) {
	for name, err := range map[string]error{"gone": errand.ErrGone, "away": errors.New("no route to host")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{fails: slices.Repeat([]error{err}, 100), reached: make(chan struct{})}
			reached := s.reached
			r := NewReporter(console.NewLog(&strings.Builder{}), "boot")
			r.Connect(t.Context(), s, &rdconf.Session{Server: rdconf.Server{URL: "http://s"}, Token: "t"})
			r.Event("network", "", false)
			<-reached
			limit := 5 * time.Minute
			if name == "away" {
				limit = 200 * time.Millisecond
			}
			start := time.Now()
			r.Flush(limit)
			r.Close()
			if d := time.Since(start); d > time.Minute {
				t.Errorf("it took %s", d)
			}
		})
	}
}

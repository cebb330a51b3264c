package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/role"
)

func newAgent(f *fake, roles map[string]Role) (*Agent, *bytes.Buffer) {
	f.cancel = make(chan string, 1)
	out := &bytes.Buffer{}
	return &Agent{
		Dialect: f, Roles: roles, Console: &lockedWriter{w: out}, BootID: "boot",
		Gather: func(context.Context) (api.Facts, error) { return api.Facts{Version: 1}, nil },
	}, out
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func brief(events []api.Event) []string {
	var out []string
	for _, e := range events {
		s := fmt.Sprintf("%s#%d %s", e.Order, e.Seq, e.Kind)
		if e.State != "" {
			s += " " + e.State
		}
		if e.Message != "" {
			s += ": " + e.Message
		}
		out = append(out, s)
	}
	return out
}

func deployOrder(id, after string) api.Order {
	return api.Order{ID: id, Kind: api.KindDeploy, Attempt: 1, Deploy: &api.DeploySpec{After: after}}
}

func TestOrders(t *testing.T) {
	ok := roleFunc(func(_ context.Context, _ api.Order, rep role.Reporter) error {
		rep.Plan(&api.Plan{Version: 1})
		rep.Note("wrote it")
		rep.Result(api.Result{BytesRead: 1})
		return nil
	})
	fails := roleFunc(func(context.Context, api.Order, role.Reporter) error { return errors.New("no disk") })
	panics := roleFunc(func(context.Context, api.Order, role.Reporter) error { panic("oops") })
	found := "#1000 boot: 0 disks, 0 network interfaces"
	reboot := api.Order{ID: "r", Kind: api.KindReboot, Attempt: 1}
	rebooted := []string{"r#1 state done: rebooting"}
	for name, tc := range map[string]struct {
		role   Role
		orders []api.Order
		want   []string
		action string
	}{
		"deploy, then reboot": {ok, []api.Order{deployOrder("o", "")}, []string{"o#1 state running", "o#2 plan", "o#3 note: wrote it", "o#4 state done: wrote it"}, rdconf.ActionReboot},
		"deploy, power off":   {ok, []api.Order{deployOrder("o", "poweroff")}, []string{"o#1 state running", "o#2 plan", "o#3 note: wrote it", "o#4 state done: wrote it"}, rdconf.ActionPowerOff},
		"deploy, wait":        {ok, []api.Order{deployOrder("o", "wait"), reboot}, append([]string{"o#1 state running", "o#2 plan", "o#3 note: wrote it", "o#4 state done: wrote it"}, rebooted...), rdconf.ActionReboot},
		"failed, stays":       {fails, []api.Order{deployOrder("o", ""), reboot}, append([]string{"o#1 state running", "o#2 state failed: no disk"}, rebooted...), rdconf.ActionReboot},
		"panic ends the order": {panics, []api.Order{deployOrder("o", ""), reboot},
			append([]string{"o#1 state running", "o#2 state failed: internal error: oops"}, rebooted...), rdconf.ActionReboot},
		"unknown kind": {ok, []api.Order{{ID: "x", Kind: "dance", Attempt: 1}, reboot},
			append([]string{`x#1 state failed: not supported: this ramdisk cannot do orders of kind "dance"`}, rebooted...), rdconf.ActionReboot},
		"root":       {ok, []api.Order{{ID: "x", Kind: api.KindRoot, Attempt: 1, Root: &api.RootSpec{Words: []string{"root=live:x"}}}}, []string{"x#1 state running: going on to the root"}, rdconf.ActionRoot},
		"empty root": {ok, []api.Order{{ID: "x", Kind: api.KindRoot, Attempt: 1}, reboot}, append([]string{"x#1 state failed: the order names no root"}, rebooted...), rdconf.ActionReboot},
		"power off":  {ok, []api.Order{{ID: "x", Kind: api.KindPowerOff, Attempt: 1}}, []string{"x#1 state done: powering off"}, rdconf.ActionPowerOff},
		"second attempt counts from one": {fails, []api.Order{deployOrder("o", ""), {ID: "o", Kind: "dance", Attempt: 2}, reboot},
			append([]string{"o#1 state running", "o#2 state failed: no disk", `o#1 state failed: not supported: this ramdisk cannot do orders of kind "dance"`}, rebooted...), rdconf.ActionReboot},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{orders: tc.orders}
				a, _ := newAgent(f, map[string]Role{api.KindDeploy: tc.role})
				o := a.Run(t.Context())
				if diff := cmp.Diff(append([]string{found}, tc.want...), brief(f.events)); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if o.Action != tc.action {
					t.Errorf("outcome %+v, want %s", o, tc.action)
				}
				if o.Action == rdconf.ActionRoot && (o.Order == nil || len(o.Words) != 1) {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

// The server goes away in the middle of an order: the order goes on, and
// afterwards the server hears everything in order, of the progress only the newest.
func TestServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{orders: []api.Order{deployOrder("o", "")}}
		r := roleFunc(func(_ context.Context, _ api.Order, rep role.Reporter) error {
			rep.Note("before")
			time.Sleep(time.Second)
			f.setErr(errors.New("connection refused"))
			for i := range 600 {
				rep.Progress("write", int64(i), 600, 1)
				time.Sleep(time.Second)
			}
			rep.Note("after")
			go func() { time.Sleep(5 * time.Minute); f.setErr(nil) }()
			return nil
		})
		a, out := newAgent(f, map[string]Role{api.KindDeploy: r})
		o := a.Run(t.Context())
		if o.Action != rdconf.ActionReboot {
			t.Errorf("outcome %+v", o)
		}
		var kinds []string
		seq := 0
		for _, e := range f.events[1:] {
			// The one that was on its way when the server went stays beside the newest.
			if n := len(kinds); e.Kind != api.EventProgress || n == 0 || kinds[n-1] != e.Kind {
				kinds = append(kinds, e.Kind)
			}
			if e.Seq <= seq {
				t.Errorf("sequence %d after %d", e.Seq, seq)
			}
			seq = e.Seq
		}
		if n := len(f.events); n > 8 {
			t.Errorf("%d events are told after an absence of ten minutes, most of them old news", n)
		}
		if got, want := strings.Join(kinds, " "), "state note progress note state"; got != want {
			t.Errorf("events %s, want %s", got, want)
		}
		if last := f.events[len(f.events)-3]; last.Done != 599 {
			t.Errorf("last progress says %d", last.Done)
		}
		if !strings.Contains(out.String(), "connection refused") || !strings.Contains(out.String(), "answers again") {
			t.Errorf("console:\n%s", out)
		}
		if n := strings.Count(out.String(), "\n"); n > 40 {
			t.Errorf("%d lines on the console for one absence", n)
		}
	})
}

func TestServerAwayAtStart(t *testing.T) {
	for name, away := range map[string]error{"away": errors.New("no route to host"), "busy": &api.Problem{Status: 429, Title: "too many requests"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{err: away, orders: []api.Order{{ID: "r", Kind: api.KindReboot}}}
				a, _ := newAgent(f, nil)
				go func() { time.Sleep(3 * time.Hour); f.setErr(nil) }()
				if o := a.Run(t.Context()); o.Action != rdconf.ActionReboot || f.facts != 1 {
					t.Errorf("outcome %+v, facts %d times", o, f.facts)
				}
			})
		})
	}
}

func TestSessionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{err: &api.Problem{Status: 401, Title: "unknown session"}}
		a, _ := newAgent(f, nil)
		start := time.Now()
		o := a.Run(t.Context())
		if o.Action != rdconf.ActionReboot || !strings.Contains(o.Reason, "session") || time.Since(start) < lostBound {
			t.Errorf("outcome %+v after %v", o, time.Since(start))
		}
	})
}

func TestRefusedReportDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{orders: []api.Order{{ID: "r", Kind: api.KindReboot}}}
		a, _ := newAgent(f, nil)
		f.onPost = func(api.Event) {}
		a.Dialect = &refusing{f}
		if o := a.Run(t.Context()); o.Action != rdconf.ActionReboot {
			t.Errorf("outcome %+v", o)
		}
	})
}

type refusing struct{ *fake }

func (r *refusing) Report(context.Context, api.Event) error {
	return &api.Problem{Status: 409, Title: "order is final"}
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{orders: []api.Order{deployOrder("o", ""), {ID: "r", Kind: api.KindReboot}}}
		f.onPost = func(ev api.Event) {
			if ev.Kind == api.EventProgress {
				select {
				case f.cancel <- "o":
				default:
				}
			}
		}
		r := roleFunc(func(ctx context.Context, _ api.Order, rep role.Reporter) error {
			rep.Progress("write", 1, 2, 1)
			<-ctx.Done()
			return ctx.Err()
		})
		a, _ := newAgent(f, map[string]Role{api.KindDeploy: r})
		a.Run(t.Context())
		want := []string{"#1000 boot: 0 disks, 0 network interfaces", "o#1 state running", "o#2 progress", "o#3 state cancelled: cancelled by the operator", "r#1 state done: rebooting"}
		if diff := cmp.Diff(want, brief(f.events)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		a, _ := newAgent(f, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if o := a.Run(ctx); o.Action != rdconf.ActionShell {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestLogIsSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.log")
	text := strings.Repeat("a line of the boot\n", 10000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fake{orders: []api.Order{{ID: "r", Kind: api.KindReboot}}}
	a, _ := newAgent(f, nil)
	a.LogPath = path
	a.Run(context.Background())
	if string(f.log) != text {
		t.Errorf("%d bytes arrived of %d", len(f.log), len(text))
	}
}

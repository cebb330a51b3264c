package order

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bareroot/api"
)

func TestReport(t *testing.T) {
	tests := map[string]struct {
		have    string
		attempt int
		told    string
		want    string
		ok      bool
	}{
		"starts":                       {api.StateSent, 2, api.StateRunning, api.StateRunning, true},
		"ends":                         {api.StateRunning, 2, api.StateDone, api.StateDone, true},
		"ends without running":         {api.StateSent, 2, api.StateDone, api.StateDone, true},
		"fails":                        {api.StateRunning, 2, api.StateFailed, api.StateFailed, true},
		"old attempt":                  {api.StateRunning, 1, api.StateDone, api.StateRunning, false},
		"attempt that never was":       {api.StateRunning, 3, api.StateDone, api.StateRunning, false},
		"again":                        {api.StateRunning, 2, api.StateRunning, api.StateRunning, false},
		"queued cannot be done":        {api.StateQueued, 2, api.StateDone, api.StateQueued, false},
		"done stays done":              {api.StateDone, 2, api.StateFailed, api.StateDone, false},
		"cancelled stays cancelled":    {api.StateCancelled, 2, api.StateDone, api.StateCancelled, false},
		"machines do not cancel":       {api.StateRunning, 2, api.StateCancelled, api.StateRunning, false},
		"machines do not queue":        {api.StateRunning, 2, api.StateQueued, api.StateRunning, false},
		"a state that nobody knows of": {api.StateRunning, 2, "exploded", api.StateRunning, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := Order{Kind: api.KindDeploy, State: tc.have, Attempt: 2}.Report(tc.attempt, tc.told)
			if got.State != tc.want || ok != tc.ok {
				t.Errorf("%s, %v; want %s, %v", got.State, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestRestarted(t *testing.T) {
	tests := map[string]struct {
		have  Order
		boot  string
		want  Order
		story string
		ok    bool
	}{
		"first": {
			have: Order{Kind: api.KindDeploy, State: api.StateRunning, Attempt: 1, Boot: "a", Phase: "write"}, boot: "b",
			want:  Order{Kind: api.KindDeploy, State: api.StateQueued, Attempt: 1, Restarts: 1, Phase: "write"},
			story: "machine restarted during deploy, step write (attempt 1); queued again as attempt 2", ok: true,
		},
		"third": {
			have: Order{Kind: api.KindDeploy, State: api.StateSent, Attempt: 3, Restarts: 2, Boot: "a"}, boot: "b",
			want:  Order{Kind: api.KindDeploy, State: api.StateFailed, Attempt: 3, Restarts: 3, Boot: "a"},
			story: "machine restarted 3 times during deploy", ok: true,
		},
		"a reboot is what was asked for": {
			have: Order{Kind: api.KindReboot, State: api.StateRunning, Attempt: 1, Boot: "a"}, boot: "b",
			want:  Order{Kind: api.KindReboot, State: api.StateDone, Attempt: 1, Boot: "a"},
			story: "machine restarted, as ordered", ok: true,
		},
		"same boot": {
			have: Order{Kind: api.KindDeploy, State: api.StateRunning, Attempt: 1, Boot: "a"}, boot: "a",
			want: Order{Kind: api.KindDeploy, State: api.StateRunning, Attempt: 1, Boot: "a"},
		},
		"queued": {
			have: Order{Kind: api.KindDeploy, State: api.StateQueued}, boot: "a",
			want: Order{Kind: api.KindDeploy, State: api.StateQueued},
		},
		"done": {
			have: Order{Kind: api.KindDeploy, State: api.StateDone, Attempt: 1, Boot: "a"}, boot: "b",
			want: Order{Kind: api.KindDeploy, State: api.StateDone, Attempt: 1, Boot: "a"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, story, ok := tc.have.Restarted(tc.boot)
			if d := cmp.Diff(tc.want, got); d != "" || story != tc.story || ok != tc.ok {
				t.Errorf("%s\nstory %q, %v", d, story, ok)
			}
		})
	}
}

// TestOrderMachine drives an order by any sequence of what can happen and
// holds what must be true of each.
func TestOrderMachine(t *testing.T) {
	states := []string{api.StateQueued, api.StateSent, api.StateRunning, api.StateDone, api.StateFailed, api.StateCancelled}
	rapid.Check(t, func(t *rapid.T) {
		o := Order{Kind: rapid.SampledFrom(Kinds()).Draw(t, "kind"), State: api.StateQueued}
		before := o
		byRetry := false
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				n, err := o.Send(rapid.StringMatching(`[a-c]`).Draw(t, "boot"))
				if (err == nil) != (o.State == api.StateQueued) {
					t.Fatalf("send of a %s order: %v", o.State, err)
				}
				o = n
			},
			"report": func(t *rapid.T) {
				o, _ = o.Report(o.Attempt-rapid.IntRange(0, 1).Draw(t, "old"), rapid.SampledFrom(states).Draw(t, "state"))
			},
			"restart": func(t *rapid.T) {
				n, story, ok := o.Restarted(rapid.StringMatching(`[a-d]`).Draw(t, "boot"))
				if ok != (story != "") || ok != (n.State != o.State) {
					t.Fatalf("restart of a %s order: %s, %v, story %q", o.State, n.State, ok, story)
				}
				o = n
			},
			"abandon": func(t *rapid.T) {
				n, story, ok := o.Abandoned(rapid.StringMatching(`[a-d]`).Draw(t, "boot"), time.Duration(rapid.IntRange(20, 40).Draw(t, "quiet"))*time.Second)
				if ok != (story != "") || ok && (o.State != api.StateRunning || n.State == o.State) {
					t.Fatalf("abandoned %s order: %s, %v, story %q", o.State, n.State, ok, story)
				}
				o = n
			},
			"cancel": func(t *rapid.T) { o, _ = o.Cancel() },
			"retry": func(t *rapid.T) {
				n, err := o.Retry()
				byRetry = err == nil
				o = n
			},
			"": func(t *rapid.T) {
				if !before.Open() && before.State != o.State && !byRetry {
					t.Fatalf("a final state was left: %s -> %s", before.State, o.State)
				}
				if o.Attempt < before.Attempt || o.Attempt > before.Attempt+1 {
					t.Fatalf("attempt went from %d to %d", before.Attempt, o.Attempt)
				}
				if o.Attempt != before.Attempt && o.State != api.StateSent {
					t.Fatalf("a new attempt of a %s order", o.State)
				}
				if o.Restarts > MaxRestarts || o.Restarts == MaxRestarts && o.Open() {
					t.Fatalf("%d restarts and still %s", o.Restarts, o.State)
				}
				if (o.State == api.StateSent || o.State == api.StateRunning) && o.Boot == "" {
					t.Fatalf("%s to no boot", o.State)
				}
				before, byRetry = o, false
			},
		})
	})
}

func TestBootAfter(t *testing.T) {
	tests := map[string]struct {
		o    Order
		want string
	}{
		"deployed":      {Order{Kind: api.KindDeploy, State: api.StateDone}, api.BootDisk},
		"dry run":       {Order{Kind: api.KindDeploy, State: api.StateDone, DryRun: true}, ""},
		"deploy failed": {Order{Kind: api.KindDeploy, State: api.StateFailed}, ""},
		"root":          {Order{Kind: api.KindRoot, State: api.StateDone}, api.BootRoot},
		"reboot":        {Order{Kind: api.KindReboot, State: api.StateDone}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := tc.o.BootAfter()
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("%q, %v", got, ok)
			}
		})
	}
}

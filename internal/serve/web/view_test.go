package web

import (
	"testing"
	"time"

	"bareroot/api"
)

func TestStatusAndTone(t *testing.T) {
	order := func(state string) *api.Order { return &api.Order{State: state} }
	tests := map[string]struct {
		m            api.Machine
		status, tone string
	}{
		"empty":            {api.Machine{}, "unknown", "calm"},
		"new":              {api.Machine{Status: "new", Approval: api.ApprovalNew}, "new", "note"},
		"new, at work":     {api.Machine{Status: "discovering", Approval: api.ApprovalNew, Order: order(api.StateRunning)}, "discovering", "busy"},
		"new, queued":      {api.Machine{Status: "waiting for approval", Approval: api.ApprovalNew, Order: order(api.StateQueued)}, "waiting for approval", "note"},
		"queued":           {api.Machine{Status: "deploy queued", Approval: api.ApprovalApproved, Order: order(api.StateQueued)}, "deploy queued", "calm"},
		"sent":             {api.Machine{Status: "deploy starting", Approval: api.ApprovalApproved, Order: order(api.StateSent)}, "deploy starting", "busy"},
		"done":             {api.Machine{Status: "deployed", Approval: api.ApprovalApproved, Order: order(api.StateDone)}, "deployed", "good"},
		"failed, said":     {api.Machine{Status: "failed: no disk", Message: "no disk", Failed: true}, "failed", "bad"},
		"failed, not said": {api.Machine{Status: "failed: no disk", Message: "waits"}, "failed: no disk", "bad"},
		"parked":           {api.Machine{Status: "parked: boots again and again", Approval: api.ApprovalHeld}, "parked: boots again and again", "bad"},
	}
	for name, tc := range tests {
		if s, tn := status(&tc.m), tone(&tc.m); s != tc.status || tn != tc.tone {
			t.Errorf("%s: %q %q, want %q %q", name, s, tn, tc.status, tc.tone)
		}
	}
}

func TestProgress(t *testing.T) {
	s := New(Config{Now: time.Now})
	tests := map[string]struct {
		p         api.Event
		state     string
		percent   int64
		bar       bool
		rate, eta string
	}{
		"under way":     {api.Event{Done: 50, Total: 200, Rate: 10}, api.StateRunning, 25, true, "10 B/s", "15 s"},
		"long":          {api.Event{Done: 0, Total: 10000, Rate: 10}, api.StateRunning, 0, true, "10 B/s", "16m40s"},
		"unknown total": {api.Event{Done: 50, Rate: 10}, api.StateRunning, 0, false, "10 B/s", ""},
		"too much":      {api.Event{Done: 300, Total: 200, Rate: 10}, api.StateRunning, 100, true, "10 B/s", ""},
		"negative":      {api.Event{Done: -5, Total: 200}, api.StateRunning, 0, true, "", ""},
		"stands still":  {api.Event{Done: 50, Total: 200}, api.StateRunning, 25, true, "", ""},
		"over":          {api.Event{Done: 50, Total: 200, Rate: 10}, api.StateFailed, 0, false, "", ""},
	}
	for name, tc := range tests {
		r := s.row(&api.Machine{Order: &api.Order{State: tc.state, Progress: &tc.p}})
		if r.Percent != tc.percent || r.Progress != tc.bar || r.Rate != tc.rate || r.ETA != tc.eta {
			t.Errorf("%s: %d %v %q %q", name, r.Percent, r.Progress, r.Rate, r.ETA)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s ago", 59 * time.Second: "59 s ago", time.Minute: "1 min ago", 59*time.Minute + 59*time.Second: "59 min ago",
		47 * time.Hour: "47 h ago", 48 * time.Hour: "2 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestTarget(t *testing.T) {
	for want, h := range map[string]api.DiskHint{
		"the one disk that fits": {},
		"serial S, wwn W":        {Serial: "S", WWN: "W"},
		"path /dev/sda, model M, at least 1.0 GiB, at most 2.0 GiB": {Path: "/dev/sda", Model: "M", MinSize: 1 << 30, MaxSize: 2 << 30},
	} {
		if got := target(h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package order

import (
	"strings"
	"testing"
	"time"

	"bareroot/api"
)

func TestNetBoot(t *testing.T) {
	deploy := &Order{Kind: api.KindDeploy, State: api.StateQueued}
	tests := map[string]struct {
		m                  Machine
		action, role, says string
	}{
		"unknown machine":        {Machine{Approval: api.ApprovalNew, Boot: api.BootDiscover}, ActBoot, RoleDiscover, ""},
		"approved":               {Machine{Approval: api.ApprovalApproved, Boot: api.BootDiscover}, ActBoot, RoleDiscover, ""},
		"deployed":               {Machine{Approval: api.ApprovalApproved, Boot: api.BootDisk}, ActDisk, "", "own disk"},
		"deployed, ordered anew": {Machine{Approval: api.ApprovalApproved, Boot: api.BootDisk, Open: deploy}, ActBoot, RoleDiscover, ""},
		"live root":              {Machine{Approval: api.ApprovalApproved, Boot: api.BootRoot}, ActBoot, RoleRoot, ""},
		"live root, ordered":     {Machine{Approval: api.ApprovalApproved, Boot: api.BootRoot, Open: deploy}, ActBoot, RoleDiscover, ""},
		"held":                   {Machine{Name: "n", Approval: api.ApprovalHeld, Reason: "boot loop", Boot: api.BootDisk, Open: deploy}, ActPark, "", "boot loop; release it with: bareroot machine approve n"},
		"retired":                {Machine{Approval: api.ApprovalRetired, Boot: api.BootDisk}, ActPark, "", "retired"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			v := NetBoot(tc.m)
			if v.Action != tc.action || v.Role != tc.role || !strings.Contains(v.Message, tc.says) {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	tests := map[string]struct {
		m    Machine
		kind string
		says string // "" = allowed
	}{
		"approved":          {Machine{Approval: api.ApprovalApproved}, api.KindDeploy, ""},
		"new, deploy":       {Machine{Name: "n", Approval: api.ApprovalNew}, api.KindDeploy, "bareroot machine approve n"},
		"new, discover":     {Machine{Approval: api.ApprovalNew}, api.KindDiscover, ""},
		"held, discover":    {Machine{Approval: api.ApprovalHeld}, api.KindDiscover, "held"},
		"retired, poweroff": {Machine{Approval: api.ApprovalRetired}, api.KindPowerOff, "retired"},
		"busy":              {Machine{Approval: api.ApprovalApproved, Open: &Order{Kind: api.KindRoot, State: api.StateSent}}, api.KindDeploy, "o-7"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := Place(tc.m, tc.kind, "o-7")
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(minutes ...int) (ts []time.Time) {
		for _, m := range minutes {
			ts = append(ts, now.Add(-time.Duration(m)*time.Minute))
		}
		return ts
	}
	if reason, ok := TooManyScripts(ago(1, 2, 3, 4), now); ok {
		t.Errorf("four earlier scripts: %s", reason)
	}
	if _, ok := TooManyScripts(ago(1, 2, 3, 4, 10), now); ok {
		t.Error("the fifth is out of the window")
	}
	if _, ok := TooManyScripts(ago(1, 2, 3, 4, 9), now); !ok {
		t.Error("five earlier scripts are too many")
	}
	if _, ok := TooManyHellos(ago(0, 3, 6, 9), now, "order o-1"); ok {
		t.Error("four hellos")
	}
	if reason, ok := TooManyHellos(ago(0, 3, 6, 9, 14), now, "order o-1"); !ok || !strings.Contains(reason, "order o-1") {
		t.Errorf("five hellos are too many: %q", reason)
	}
}

func TestStatus(t *testing.T) {
	running := func(kind string, done, total int64) *api.Order {
		return &api.Order{Kind: kind, State: api.StateRunning, Progress: &api.Event{Done: done, Total: total}}
	}
	tests := map[string]struct {
		m          api.Machine
		reason     string
		discovered bool
		want       string
	}{
		"imported":       {m: api.Machine{Approval: api.ApprovalNew}, want: "new"},
		"first boot":     {m: api.Machine{Approval: api.ApprovalNew, BootID: "x"}, want: "discovering"},
		"discovered":     {m: api.Machine{Approval: api.ApprovalNew, BootID: "x"}, discovered: true, want: "new"},
		"approved":       {m: api.Machine{Approval: api.ApprovalApproved, BootID: "x"}, discovered: true, want: "waiting"},
		"parked":         {m: api.Machine{Approval: api.ApprovalHeld, Order: running(api.KindDeploy, 1, 2)}, reason: "boot loop", want: "parked: boot loop"},
		"retired":        {m: api.Machine{Approval: api.ApprovalRetired}, want: "retired"},
		"queued":         {m: api.Machine{Approval: api.ApprovalApproved, Order: &api.Order{Kind: "deploy", State: "queued"}}, want: "deploy queued"},
		"not approved":   {m: api.Machine{Approval: api.ApprovalNew, Order: &api.Order{Kind: "deploy", State: "queued"}}, want: "waiting for approval"},
		"deploying":      {m: api.Machine{Approval: api.ApprovalApproved, Order: running(api.KindDeploy, 41, 100)}, want: "deploying 41%"},
		"overshoot":      {m: api.Machine{Approval: api.ApprovalApproved, Order: running(api.KindDeploy, 500, 100)}, want: "deploying 100%"},
		"size not known": {m: api.Machine{Approval: api.ApprovalApproved, Order: running(api.KindRoot, 41, 0)}, want: "starting root"},
		"deployed":       {m: api.Machine{Approval: api.ApprovalApproved, Boot: api.BootDisk, Order: &api.Order{State: api.StateDone}}, want: "deployed"},
		"live":           {m: api.Machine{Approval: api.ApprovalApproved, Boot: api.BootRoot}, want: "live"},
		"root starts":    {m: api.Machine{Approval: api.ApprovalApproved, Boot: api.BootRoot, Phase: "hello"}, want: "starting root"},
		"root runs":      {m: api.Machine{Approval: api.ApprovalApproved, Boot: api.BootRoot, Phase: "switch-root"}, want: "live"},
		"in the ramdisk": {m: api.Machine{Approval: api.ApprovalApproved, Boot: api.BootRoot, Phase: "discovered"}, want: "waiting"},
		"dry run":        {m: api.Machine{Approval: api.ApprovalApproved, Boot: api.BootDisk, Order: &api.Order{State: api.StateFailed, Deploy: &api.DeploySpec{DryRun: true}}}, want: "deployed"},
		"order failed":   {m: api.Machine{Approval: api.ApprovalApproved, Order: &api.Order{State: api.StateFailed, Message: "sha256 differs"}}, want: "failed: sha256 differs"},
		"boot failed":    {m: api.Machine{Approval: api.ApprovalApproved, Failed: true, Message: "no root"}, want: "failed: no root"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Status(&tc.m, tc.reason, tc.discovered); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

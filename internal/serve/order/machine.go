package order

import (
	"fmt"
	"time"

	"bareroot/api"
)

// Machine is what the rules need to know of a machine.
type Machine struct {
	Name     string
	Approval string
	Reason   string // why held
	Boot     string // desired
	Open     *Order
}

// Verdict is what a netbooting machine gets: an action, and with ActBoot the
// role of its ramdisk.
type Verdict struct {
	Action  string
	Role    string
	Message string
}

// Roles that the server gives.
const (
	RoleDiscover = "discover"
	RoleRoot     = "root"
)

// NetBoot decides what a machine at the boot door gets. An open order goes
// first, as it may be what leads out of a broken disk or root.
func NetBoot(m Machine) Verdict {
	switch {
	case m.Approval == api.ApprovalRetired:
		return Verdict{Action: ActPark, Message: fmt.Sprintf("machine %s is retired: it is not served", m.Name)}
	case m.Approval == api.ApprovalHeld:
		msg := fmt.Sprintf("machine %s is held", m.Name)
		if m.Reason != "" {
			msg += ": " + m.Reason
		}
		return Verdict{Action: ActPark, Message: msg + "; release it with: bareroot machine approve " + m.Name}
	case m.Open != nil:
		return Verdict{Action: ActBoot, Role: RoleDiscover, Message: fmt.Sprintf("machine %s: %s ordered", m.Name, m.Open.Kind)}
	case m.Boot == api.BootDisk:
		return Verdict{Action: ActDisk, Message: fmt.Sprintf("machine %s boots from its own disk", m.Name)}
	case m.Boot == api.BootRoot:
		return Verdict{Action: ActBoot, Role: RoleRoot, Message: fmt.Sprintf("machine %s boots its live root", m.Name)}
	}
	return Verdict{Action: ActBoot, Role: RoleDiscover, Message: fmt.Sprintf("machine %s is discovered", m.Name)}
}

// Bounds of the boot-loop guard.
const (
	MaxScripts   = 5
	ScriptWindow = 10 * time.Minute
	MaxHellos    = 5
	HelloWindow  = 15 * time.Minute
)

// TooManyScripts judges a machine that asks for a boot script: asked are the
// times of its earlier scripts that no hello followed, since the guard was
// last released.
func TooManyScripts(asked []time.Time, now time.Time) (reason string, ok bool) {
	if n := within(asked, now, ScriptWindow); n >= MaxScripts {
		return fmt.Sprintf("boot loop: %d boots within %s never reported back", n, minutes(ScriptWindow)), true
	}
	return "", false
}

// TooManyHellos judges a machine that says hello: hellos are the times of its
// hellos for the same goal (an order, or its root), this one included, since
// the guard was last released.
func TooManyHellos(hellos []time.Time, now time.Time, goal string) (reason string, ok bool) {
	if n := within(hellos, now, HelloWindow); n >= MaxHellos {
		return fmt.Sprintf("boot loop: %d boots within %s for %s, which did not end", n, minutes(HelloWindow), goal), true
	}
	return "", false
}

func within(ts []time.Time, now time.Time, d time.Duration) int {
	n := 0
	for _, t := range ts {
		if now.Sub(t) < d {
			n++
		}
	}
	return n
}

func minutes(d time.Duration) string { return fmt.Sprintf("%d minutes", d/time.Minute) }

// Refusal of an order that a machine cannot take now.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return r.Why }

// Place says whether a machine may be given an order of the kind now. openID
// names its open order, if it has one.
func Place(m Machine, kind, openID string) error {
	if m.Open != nil {
		return &Refusal{fmt.Sprintf("machine %s has the open order %s (%s, %s); cancel it first with: bareroot order cancel %s", m.Name, openID, m.Open.Kind, m.Open.State, openID)}
	}
	return allowed(m, kind)
}

// Deliver says whether an order may be handed to the machine now: the
// approval can have changed since it was placed.
func Deliver(m Machine, kind string) error { return allowed(m, kind) }

func allowed(m Machine, kind string) error {
	switch m.Approval {
	case api.ApprovalApproved:
		return nil
	case api.ApprovalNew:
		if !Changing(kind) {
			return nil
		}
	}
	return &Refusal{fmt.Sprintf("machine %s is %s, %s needs an approved machine; approve it with: bareroot machine approve %s", m.Name, m.Approval, kind, m.Name)}
}

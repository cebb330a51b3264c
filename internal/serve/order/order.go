package order

import (
	"fmt"
	"slices"
	"time"

	"bareroot/api"
)

// MaxRestarts is how often a machine may restart in the middle of an order
// before the order is given up.
const MaxRestarts = 3

// Order is what the rules need to know of an order. Its methods return the
// order as it is afterwards, or an error that says why not; they change
// nothing.
//
//	queued -Send-> sent -Report-> running -Report-> done | failed
//	sent, running -Restarted-> queued (the next attempt), or failed after MaxRestarts
//	running -Abandoned-> the same
//	queued, sent, running -Cancel-> cancelled
//	failed, cancelled -Retry-> queued
type Order struct {
	Kind     string
	State    string
	Attempt  int    // from 1 when first sent
	Restarts int    // since queued by a person
	Boot     string // attempt id of the boot it was last sent to
	Phase    string // newest step heard of
	DryRun   bool
}

// Open says whether the order is still to be carried out.
func (o Order) Open() bool { return Open(o.State) }

// Open says whether a state is not final.
func Open(state string) bool {
	return state == api.StateQueued || state == api.StateSent || state == api.StateRunning
}

// Changing says whether orders of the kind change a machine, so that it must
// be approved first.
func Changing(kind string) bool { return kind != api.KindDiscover }

// Kinds lists what may be ordered.
func Kinds() []string {
	return []string{api.KindDiscover, api.KindDeploy, api.KindRoot, api.KindReboot, api.KindPowerOff}
}

// Known says whether the kind may be ordered.
func Known(kind string) bool { return slices.Contains(Kinds(), kind) }

// Send hands the order to a boot, as its next attempt.
func (o Order) Send(boot string) (Order, error) {
	if o.State != api.StateQueued {
		return o, fmt.Errorf("order is %s, only a queued one can be sent", o.State)
	}
	o.State, o.Boot, o.Phase = api.StateSent, boot, ""
	o.Attempt++
	return o, nil
}

// Report takes in a state that the machine tells of one of the order's
// attempts. ok is false if that changes nothing: an old attempt, a step
// back, or an order that has ended.
func (o Order) Report(attempt int, state string) (_ Order, ok bool) {
	if attempt != o.Attempt || o.State != api.StateSent && o.State != api.StateRunning {
		return o, false
	}
	switch state {
	case api.StateRunning:
		if o.State == api.StateRunning {
			return o, false
		}
	case api.StateDone, api.StateFailed:
	default:
		return o, false
	}
	o.State = state
	return o, true
}

// Restarted says what becomes of the order when its machine comes up in
// another boot than the one it was sent to. story is for its history; ok is
// false if nothing changes.
func (o Order) Restarted(boot string) (_ Order, story string, ok bool) {
	if o.State != api.StateSent && o.State != api.StateRunning || o.Boot == boot {
		return o, "", false
	}
	if o.Kind == api.KindReboot || o.Kind == api.KindPowerOff {
		o.State = api.StateDone
		return o, "machine restarted, as ordered", true
	}
	o, story = o.again("machine")
	return o, story, true
}

// Quiet is how long a running order may be silent while its own boot asks for
// another one, before it counts as abandoned. It is longer than the agent's
// pause between tries to report an end.
const Quiet = 30 * time.Second

// Abandoned says what becomes of a running order whose own boot asks for
// orders and has told nothing of this one for quiet: the agent did not live
// to see its end.
func (o Order) Abandoned(boot string, quiet time.Duration) (_ Order, story string, ok bool) {
	if o.State != api.StateRunning || o.Boot != boot || quiet < Quiet {
		return o, "", false
	}
	o, story = o.again("agent")
	return o, story, true
}

func (o Order) again(who string) (_ Order, story string) {
	during := o.Kind
	if o.Phase != "" {
		during += ", step " + o.Phase
	}
	o.Restarts++
	if o.Restarts >= MaxRestarts {
		o.State = api.StateFailed
		return o, fmt.Sprintf("%s restarted %d times during %s", who, o.Restarts, during)
	}
	story = fmt.Sprintf("%s restarted during %s (attempt %d); queued again as attempt %d", who, during, o.Attempt, o.Attempt+1)
	o.State, o.Boot = api.StateQueued, ""
	return o, story
}

// Cancel ends an open order.
func (o Order) Cancel() (Order, error) {
	if !o.Open() {
		return o, fmt.Errorf("order is %s already", o.State)
	}
	o.State = api.StateCancelled
	return o, nil
}

// Retry queues an order that did not come to its goal.
func (o Order) Retry() (Order, error) {
	if o.State != api.StateFailed && o.State != api.StateCancelled {
		return o, fmt.Errorf("order is %s, only a failed or cancelled one can be retried", o.State)
	}
	o.State, o.Restarts, o.Boot, o.Phase = api.StateQueued, 0, "", ""
	return o, nil
}

// BootAfter is the machine's desired boot after the order reached its state;
// ok is false if the order says nothing about it.
func (o Order) BootAfter() (boot string, ok bool) {
	switch {
	case o.State != api.StateDone:
		return "", false
	case o.Kind == api.KindDeploy && !o.DryRun:
		return api.BootDisk, true
	case o.Kind == api.KindRoot:
		return api.BootRoot, true
	}
	return "", false
}

// Writes says whether the order, once its plan is known, may change the disk
// that the machine boots from, so that it must not be sent there before the
// order is done.
func (o Order) Writes() bool { return o.Kind == api.KindDeploy && !o.DryRun }

package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"bareroot/api"
	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"bareroot/internal/sys"
)

// restarts bounds how often an agent that crashed is started again.
type restarts struct {
	max    int
	within time.Duration
	times  []time.Time
}

// allow notes a crash at now and says whether another start is reasonable.
func (r *restarts) allow(now time.Time) bool {
	keep := r.times[:0]
	for _, t := range r.times {
		if now.Sub(t) < r.within {
			keep = append(keep, t)
		}
	}
	r.times = append(keep, now)
	return len(r.times) < r.max
}

// settleLimit bounds the wait for drivers before the agent starts.
const settleLimit = 30 * time.Second

// runAgent starts bareroot-agent and does what it leaves behind. It returns
// without an error when the boot goes on to a root.
func (b *Boot) runAgent(ctx context.Context) error {
	if err := b.readyAgent(ctx); err != nil {
		return fmt.Errorf("role %s: %w", b.role(), err)
	}
	// An inventory taken before the disks' drivers are loaded would lack disks.
	if !b.devices.Settle(ctx, settleLimit) {
		b.log.Warnf("drivers are still being loaded after %s; the agent starts now", settleLimit)
	}
	crash := restarts{max: 3, within: time.Minute}
	for {
		b.report.Event("agent", "role "+b.role(), false)
		out, err := b.agentOnce(ctx)
		if err == nil {
			return b.outcome(ctx, out)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !crash.allow(time.Now()) {
			return fmt.Errorf("role %s: the agent failed %d times within %s: %w", b.role(), crash.max, crash.within, err)
		}
		b.log.Warnf("%v; starting it again", err)
		b.report.Event("agent", err.Error(), true)
	}
}

func (b *Boot) agentOnce(context.Context) (rdconf.Outcome, error) {
	var out rdconf.Outcome
	_ = os.Remove(rdconf.OutcomePath)
	tty, err := b.terms.OpenLast()
	if err != nil {
		// A machine without a console still has a job.
		if tty, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
			return out, fmt.Errorf("start the agent: %w", err)
		}
	}
	defer tty.Close()
	b.did("agent: role %s", b.role())
	env := append(console.Environment(), "BAREROOT_ROLE="+b.role())
	_, done, err := b.reaper.Start([]string{rdconf.AgentPath}, env, tty)
	if err != nil {
		return out, err
	}
	ws := <-done
	err = rdconf.ReadFile(rdconf.OutcomePath, &out)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, fs.ErrNotExist):
		return out, fmt.Errorf("the agent ended (%s) and left no outcome", console.ExitText(ws))
	}
	return out, fmt.Errorf("the agent ended (%s): %w", console.ExitText(ws), err)
}

// outcome does what the agent left to do.
func (b *Boot) outcome(ctx context.Context, out rdconf.Outcome) error {
	b.did("agent: %s: %s", out.Action, out.Reason)
	switch out.Action {
	case rdconf.ActionReboot:
		b.report.Event("reboot", out.Reason, false)
		b.down(sys.ActReboot, out.Reason)
	case rdconf.ActionPowerOff:
		b.report.Event("poweroff", out.Reason, false)
		b.down(sys.ActPowerOff, out.Reason)
	case rdconf.ActionRoot:
		b.order = out.Order
		// The order comes from the server that also locks words, so it may change
		// what no command line may.
		line := append(append(cmdline.Line(nil), b.line...), cmdline.FromWords(out.Words, "order")...)
		return b.setLine(line)
	case rdconf.ActionShell:
		return errors.New("the agent asks for the operator: " + out.Reason)
	default:
		return fmt.Errorf("the agent left the action %q, which is not known here", out.Action)
	}
	<-ctx.Done()
	return ctx.Err()
}

// orderFailed reports a root order that this boot could not carry out.
func (b *Boot) orderFailed(reason string) {
	if b.order == nil {
		return
	}
	b.report.Order(b.order, api.Event{Kind: api.EventState, State: api.StateFailed, Phase: "root", Message: reason, Failed: true})
	b.order = nil
}

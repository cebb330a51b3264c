package boot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/run/hook"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
)

// Verdict is what a failed boot does.
type Verdict struct {
	Shell  bool          // open a shell at once
	Delay  time.Duration // before Action; a key opens the shell if Key
	Key    bool
	Action string // sys.Act...; "" with Shell: try again when the shell ends
}

// Judge applies rd.shell, rd.emergency and bareroot.emergency.delay.
//
//	rd.shell=0          the action after the delay, no shell
//	rd.shell=1 given    a shell at once
//	a machine's server  the action after the delay, a key opens a shell
//	else                a shell at once
//
// The action is rd.emergency, by default reboot.
func Judge(l cmdline.Line, server, haveConsole bool) Verdict {
	action, _ := l.Get("rd.emergency")
	known := action == sys.ActReboot || action == sys.ActPowerOff || action == sys.ActHalt
	v := Verdict{Delay: time.Duration(l.Int(60, 0, 86400, "bareroot.emergency.delay")) * time.Second, Action: sys.ActReboot}
	if known {
		v.Action = action
	}
	shell := l.Bool(true, "rd.shell", "rdshell") && haveConsole
	switch {
	case !shell:
	case l.Has("rd.shell") || l.Has("rdshell") || l.Breaks() || !server:
		v.Shell = true
		if !known {
			v.Action = ""
		}
	default:
		v.Key = true
	}
	return v
}

// failed reports a failure everywhere and does what Judge says. It says
// whether the stage shall be tried again; otherwise the machine goes down.
func (b *Boot) failed(ctx context.Context, e *StageError) bool {
	b.log.Errorf("%v", e)
	b.orderFailed(e.Error())
	adv := advise(e, b.situation())
	if err := b.writeSOS(e, adv); err != nil {
		b.log.Warnf("%v", err)
	}
	b.report.Event(e.Stage, e.Error(), true)
	b.report.Flush(5 * time.Second)
	ttys, err := b.terms.Open()
	for _, t := range ttys {
		t.Close()
	}
	v := Judge(b.line, b.conf.Server != nil, err == nil)
	for _, err := range b.hooks.Each(ctx, hook.Call{Stage: "emergency", Vars: b.hookVars(), Args: []string{e.Stage}}) {
		b.log.Warnf("%v", err)
	}
	waited := false
	if v.Key {
		v.Shell = b.terms.WaitKey(ctx, v.Delay, func(left time.Duration) string {
			return fmt.Sprintf("bareroot: %s in %d s; press a key for a shell\n", v.Action, int(left.Seconds()+0.5))
		})
		if v.Shell {
			v.Action, _ = b.line.Get("rd.emergency")
		}
		waited = true
	}
	if v.Shell {
		err := b.openShells(ctx, screen(e, b.tried, adv, v.Action))
		if err == nil && v.Action == "" {
			b.log.Infof("the shell has ended; stage %s is tried again", e.Stage)
			b.again(e.Stage)
			return true
		}
		waited = err == nil
		if err != nil {
			b.log.Errorf("%v", err)
			if v.Action == "" {
				v.Action = sys.ActReboot
			}
		}
	}
	if !waited {
		b.log.Infof("%s in %s", v.Action, v.Delay) // nobody can do anything here, but somebody may read
		t := time.NewTimer(v.Delay)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	for _, err := range b.hooks.Each(ctx, hook.Call{Stage: "shutdown-emergency", Vars: b.hookVars(), Args: []string{v.Action}}) {
		b.log.Warnf("%v", err)
	}
	b.down(v.Action, "after the failure in stage "+e.Stage)
	return false
}

// again takes over words that the operator changed. Those of an order came
// later than the files and stay.
func (b *Boot) again(stage string) {
	old, oldNet, oldConf := b.line, b.net, b.conf
	var order cmdline.Line
	for _, w := range old {
		if w.Source == "order" || strings.HasPrefix(w.Source, "a hook of stage ") {
			order = append(order, w)
		}
	}
	if err := b.joinLine(); err != nil {
		b.log.Warnf("the command line is kept as it was: %v", err)
		b.line, b.net, b.conf = old, oldNet, oldConf
		return
	}
	if len(order) > 0 {
		if err := b.setLine(append(b.line[:len(b.line):len(b.line)], order...)); err != nil {
			b.log.Warnf("%v", err)
		}
	}
	if now := b.line.Masked(); now != old.Masked() {
		b.stack = nil // what assembles reads its words when it is made
		if stage == "mount" && b.root != nil {
			b.root.Stop() // perhaps another one is meant
			b.root = nil
		}
		b.log.Infof("the command line is now: %s", now)
	}
}

func (b *Boot) situation() situation {
	s := situation{line: b.line, needNet: b.needNetwork(), online: b.up != nil, session: b.session != nil}
	if root, err := rootfs.Parse(b.line); err == nil {
		s.netRoot = root.Network()
	}
	if b.conf.Server != nil {
		s.server = b.conf.Server.URL
	}
	return s
}

// rule is the width of the first screen.
const rule = "------------------------------------------------------------------------"

// screen is the first thing that the emergency shell shows.
func screen(e *StageError, tried []string, a advice, action string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s\nThis boot stopped in stage %s. What failed:\n", rule, e.Stage)
	for _, l := range strings.Split(e.Err.Error(), "\n") {
		fmt.Fprintf(&s, "  %s\n", console.Clean(l))
	}
	if len(tried) > 0 {
		s.WriteString("What was done before:\n")
		for _, t := range tried {
			fmt.Fprintf(&s, "  %s\n", console.Clean(t))
		}
	}
	if a.missing != "" {
		fmt.Fprintf(&s, "What is missing:\n  %s\n", console.Clean(a.missing))
	}
	s.WriteString("Try:\n")
	for _, c := range a.try {
		fmt.Fprintf(&s, "  %s\n", console.Clean(c))
	}
	after := "tries the stage again"
	if action != "" {
		after = "means " + action
	}
	fmt.Fprintf(&s, "The whole story is in %s. Leaving this shell (exit) %s.\n%s", SOSPath, after, rule)
	return s.String()
}

// shellBefore is rd.break and its like.
func (b *Boot) shellBefore(ctx context.Context, stage string) {
	b.log.Debugf("stage %s begins", stage)
	b.memdebug(stage)
	word, asked := b.line.Break(stage)
	if !asked {
		return
	}
	text := fmt.Sprintf("%s\n%s: a shell before stage %s; exit goes on with the boot\n%s", rule, word, stage, rule)
	if err := b.openShells(ctx, text); err != nil {
		b.log.Errorf("%s: %v", word, err)
	}
}

func (b *Boot) tty() string {
	t, _ := b.line.Get("rd.ctty")
	return t
}

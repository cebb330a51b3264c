package boot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
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
	shell := l.Bool(true, "rd.shell") && haveConsole
	switch {
	case !shell:
	case l.Has("rd.shell") || l.Has("rd.break") || !server:
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
	b.report.Event(e.Stage, e.Error(), true)
	b.report.Flush(5 * time.Second)
	tty, err := console.OpenTTY(b.tty())
	have := err == nil
	v := Judge(b.line, b.conf.Server != nil, have)
	if have {
		defer tty.Close()
	}
	if !v.Shell && v.Key {
		last := -1
		v.Shell = console.WaitKey(tty, v.Delay, func(left time.Duration) {
			if s := int(left.Seconds()+0.5) / 10 * 10; s != last {
				last = s
				fmt.Fprintf(tty, "bareroot: %s in %d s; press a key for a shell\n", v.Action, int(left.Seconds()+0.5))
			}
		})
		if v.Shell {
			v.Action, _ = b.line.Get("rd.emergency")
		}
	} else if !v.Shell {
		b.log.Infof("%s in %s", v.Action, v.Delay)
		t := time.NewTimer(v.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if v.Shell {
		if err := console.Shell(b.reaper, b.tty(), screen(e, b.tried, v.Action)); err != nil {
			b.log.Errorf("%v", err)
			if v.Action == "" {
				v.Action = sys.ActReboot
			}
		}
		if v.Action == "" {
			b.log.Infof("the shell has ended; stage %s is tried again", e.Stage)
			return true
		}
	}
	b.down(v.Action, "after the failure in stage "+e.Stage)
	return false
}

// screen is the first thing that the emergency shell shows.
func screen(e *StageError, tried []string, action string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "--------------------------------------------------------------------\n")
	fmt.Fprintf(&s, "bareroot: this boot failed in stage %s:\n  %v\n", e.Stage, e.Err)
	if len(tried) > 0 {
		fmt.Fprintf(&s, "what was done before:\n")
		for _, t := range tried {
			fmt.Fprintf(&s, "  %s\n", t)
		}
	}
	s.WriteString("try:\n  cat /run/bareroot/boot.log      the whole story\n  ls -l /dev/disk/by-label; dmesg | tail\n  ip addr; cat /proc/cmdline\n")
	after := "try the stage again"
	if action != "" {
		after = action
	}
	fmt.Fprintf(&s, "exit: %s\n--------------------------------------------------------------------", after)
	return s.String()
}

// shellBefore is rd.break.
func (b *Boot) shellBefore(_ context.Context, stage string) {
	b.log.Debugf("stage %s", stage)
	if !b.line.Break(stage) {
		return
	}
	text := fmt.Sprintf("bareroot: rd.break: a shell before stage %s; exit goes on with the boot", stage)
	if err := console.Shell(b.reaper, b.tty(), text); err != nil {
		b.log.Errorf("rd.break=%s: %v", stage, err)
	}
}

func (b *Boot) tty() string {
	t, _ := b.line.Get("rd.ctty")
	return t
}

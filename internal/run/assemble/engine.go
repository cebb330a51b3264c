package assemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/run/device"
	"bareroot/internal/sys"
)

// Devices is what package device knows.
type Devices interface {
	Blocks() []*device.Block
	Arrays() []device.Array
	MappedDevices() []device.Mapped
	Find(form string) (string, device.Block, bool)
	Changed() <-chan struct{}
	Settled() bool
	Refresh() error
	Seen() string
	HandOver(dir string, boot time.Duration) error
}

// Runner starts programs.
type Runner interface {
	Run(context.Context, console.Command) (syscall.WaitStatus, error)
}

// Asker asks for passphrases.
type Asker interface {
	Ask(ctx context.Context, prompt string) (string, error)
	Tell(text string)
}

// Options are what an engine works with.
type Options struct {
	Log     *console.Log
	Devices Devices
	Runner  Runner
	Asker   Asker
	Module  func(name string)
	Line    cmdline.Line
}

// Engine runs what the assemblers plan while somebody waits for a device.
type Engine struct {
	Options

	list   []Assembler
	done   map[string]bool // keys of steps
	seen   map[string]bool // devices
	last   string          // what went wrong last
	unlock chan unlocked
	busy   int // unlocks that run
	pause  pause

	one    sync.Mutex // held while passphrases are tried
	opened []string   // those that opened something, for the next device
}

type unlocked struct {
	step Step
	err  error
}

// New makes the engine of a boot.
func New(o Options) *Engine {
	e := &Engine{Options: o, done: map[string]bool{}, seen: map[string]bool{}, unlock: make(chan unlocked)}
	e.list = list(Config{Line: o.Line, Has: Has, Read: read, Warn: func(text string) { o.Log.Warnf("%s", text) }})
	return e
}

// read is a file's text, "" if it is not there.
func read(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// Named says whether the line names devices to be assembled, which a boot then
// waits for whatever its root is.
func (e *Engine) Named() bool { return namesAnything(e.Line) }

// late is when what can be had in part is taken: dracut's two thirds of rd.retry.
func (e *Engine) late(limit time.Duration) time.Duration {
	if _, ok := e.Line.Get("bareroot.degraded"); ok {
		return time.Duration(e.Line.Int(int(limit.Seconds()*2/3), 0, 86400, "bareroot.degraded")) * time.Second
	}
	return limit * 2 / 3
}

// Wait waits for the device that form names and for all that the command line
// names, at most limit, and assembles what is missing. With form "" it waits
// for the named only. Time in which a passphrase is asked for does not count.
func (e *Engine) Wait(ctx context.Context, form string, limit time.Duration) (string, device.Block, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		for e.busy > 0 {
			e.unlocked(<-e.unlock)
		}
	}()
	start := time.Now().Add(-e.pause.total())
	remind := time.NewTicker(10 * time.Second)
	defer remind.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return "", device.Block{}, err
		}
		changed := e.Devices.Changed()
		spent := time.Since(start) - e.pause.total()
		path, b, v := e.view(form, spent >= e.late(limit))
		missing := e.missing(v)
		v.Lacking = len(missing) > 0
		// What nobody names is not touched while what is named is being opened.
		v.Settled = v.Settled && e.busy == 0
		// Also when nothing is missing: the devices of a btrfs must be known.
		if ran, err := e.run(ctx, v); err != nil {
			return "", device.Block{}, err
		} else if ran {
			continue
		}
		// A program that opens a device is let end; a question is not waited for.
		if !v.Lacking && (e.busy == 0 || e.pause.on()) {
			if len(v.Mapped) > 0 {
				if err := e.Devices.Refresh(); err != nil {
					e.Log.Warnf("%v", err)
				}
			}
			return path, b, nil
		}
		if spent >= limit && e.busy == 0 {
			clear(e.done) // for another try
			return "", device.Block{}, e.failure(v, missing, limit)
		}
		next := limit - spent
		if l := e.late(limit); l > spent {
			next = l - spent
		}
		t := time.NewTimer(max(next, time.Second))
		select {
		case <-changed:
		case u := <-e.unlock:
			if err := e.unlocked(u); err != nil {
				t.Stop()
				return "", device.Block{}, err
			}
		case <-t.C:
		case <-remind.C:
			if e.busy == 0 {
				e.Log.Infof("waiting for %s; devices seen so far: %s", strings.Join(missing, "; "), e.Devices.Seen())
			}
		case <-ctx.Done():
			t.Stop()
			return "", device.Block{}, ctx.Err()
		}
		t.Stop()
	}
}

func (e *Engine) view(form string, late bool) (string, device.Block, View) {
	// Found first: what is judged below must hold the device that was found.
	var path string
	var b device.Block
	found := ""
	if form != "" && form != cmdline.GPTAuto {
		var ok bool
		path, b, ok = e.Devices.Find(form)
		if ok && (!b.On.RAID() || strings.HasPrefix(form, "/dev/")) {
			found = filepath.Base(path)
		}
	}
	v := View{Blocks: e.Devices.Blocks(), Arrays: e.Devices.Arrays(), Mapped: e.Devices.MappedDevices(),
		Want: form, Found: found, Settled: e.Devices.Settled(), Late: late, Resolve: func(path string) string {
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				return ""
			}
			return filepath.Base(real)
		}}
	if form == cmdline.GPTAuto {
		path, b = v.findAuto(efiText(read(loaderVariable)))
	}
	return path, b, v
}

func (e *Engine) missing(v View) []string {
	var out []string
	if v.Want != "" && v.Found == "" {
		out = append(out, strings.TrimSuffix(v.Want+": "+v.Why, ": "))
	}
	for _, a := range e.list {
		out = append(out, a.Missing(v)...)
	}
	return out
}

func (e *Engine) failure(v View, missing []string, limit time.Duration) error {
	s := fmt.Sprintf("not there within %s: %s; devices seen: %s", limit, strings.Join(missing, "; "), e.Devices.Seen())
	for _, a := range e.list {
		for _, l := range a.Left(v) {
			s += "; " + l
		}
	}
	if e.last != "" {
		s += "; the last program that failed: " + e.last
	}
	return errors.New(s)
}

// run does what is planned and was not done yet. It says whether it did
// anything.
func (e *Engine) run(ctx context.Context, v View) (ran bool, err error) {
	e.forget(v)
	for _, a := range e.list {
		for _, s := range a.Plan(v) {
			if e.done[s.Key] {
				continue
			}
			e.done[s.Key] = true
			ran = true
			e.Log.Infof("%s", s.Why)
			if err := e.step(ctx, s); err != nil {
				if ctx.Err() != nil {
					return ran, ctx.Err()
				}
				e.fail("%v", err)
			}
		}
		if ran {
			// What was made may be what the next one needs.
			if err := e.Devices.Refresh(); err != nil {
				e.Log.Warnf("%v", err)
			}
			return ran, nil
		}
	}
	return false, nil
}

// step does one thing. An unlock goes on by itself.
func (e *Engine) step(ctx context.Context, s Step) error {
	switch {
	case s.Unlock != nil:
		e.busy++
		go func() { // Wait receives it
			e.unlock <- unlocked{s, e.open(ctx, s.Unlock)}
		}()
		return nil
	case s.Sets != nil:
		return e.sets(ctx, s.Sets)
	case s.Btrfs != "":
		e.Module("btrfs")
		_, err := sys.BtrfsScan(s.Btrfs)
		return err
	case s.Argv[0] == "lvm":
		e.Module("dm_mod")
	case s.Argv[0] == "multipath":
		// It knows of disks only what udev's records say.
		e.Module("dm_multipath")
		if err := e.Devices.HandOver("/run/udev", console.Uptime()); err != nil {
			e.Log.Warnf("%v", err)
		}
	}
	_, err := e.program(ctx, s.Argv, "")
	return err
}

// forget makes what was done with a device that went away a thing to do again.
func (e *Engine) forget(v View) {
	now := map[string]bool{}
	for _, b := range v.Blocks {
		now[b.Name] = true
	}
	for name := range e.seen {
		if now[name] {
			continue
		}
		for key := range e.done {
			if slices.Contains(strings.Fields(key), name) {
				delete(e.done, key)
			}
		}
	}
	e.seen = now
}

func (e *Engine) fail(format string, args ...any) {
	e.last = fmt.Sprintf(format, args...)
	e.Log.Warnf("%s", e.last)
}

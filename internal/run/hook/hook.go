// Package hook runs the programs that the user put into a ramdisk for points
// of the boot: those in STAGE.d below its folders, by name, one at a time.
// Stage names are dracut's; docs/hooks.md says what a hook gets and what its
// exit code means.
//
// It is not dracut's shell library: a hook is a program of its own here, and a
// *.sh is read by a shell of its own, so that its "exit" ends nothing but
// itself. Only what it exports goes on to later hooks.
package hook

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bareroot/internal/run/console"
)

// Runner starts programs.
type Runner interface {
	Run(context.Context, console.Command) (syscall.WaitStatus, error)
}

// Hooks are the hooks of one boot.
type Hooks struct {
	Dirs  []string
	State string // a file that holds what hooks exported, for the operator; "" none
	Limit func() time.Duration
	Trace func() bool // shells say each command
	Log   *console.Log
	Run   Runner

	mu    sync.Mutex // one hook at a time
	carry map[string]string
	done  map[string]bool
}

// Call is one run of the hooks of a stage.
type Call struct {
	Stage string
	Vars  map[string]string
	Args  []string
	// Once leaves out hooks that succeeded before with the same arguments, for
	// stages that are tried again.
	Once bool
	// Silent is for conditions: what they write is not news.
	Silent bool
}

// Do runs the hooks of a stage until one fails.
func (h *Hooks) Do(ctx context.Context, c Call) error {
	for _, p := range h.List(c.Stage) {
		if err := h.unless(ctx, p, c); err != nil {
			return err
		}
	}
	return nil
}

// Each runs all hooks of a stage, also after a failure, and gives the failures.
func (h *Hooks) Each(ctx context.Context, c Call) []error {
	var out []error
	for _, p := range h.List(c.Stage) {
		if err := h.unless(ctx, p, c); err != nil {
			out = append(out, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return out
}

// unless runs one hook, except if it was done.
func (h *Hooks) unless(ctx context.Context, path string, c Call) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := path + "\x00" + strings.Join(c.Args, "\x00")
	if c.Once && h.done[key] {
		return nil
	}
	if err := h.one(ctx, path, c); err != nil {
		return err
	}
	if h.done == nil {
		h.done = map[string]bool{}
	}
	h.done[key] = true
	return nil
}

// one runs one hook. h.mu is held.
func (h *Hooks) one(ctx context.Context, path string, c Call) error {
	fail := &Error{Hook: path, Stage: c.Stage}
	argv, err := h.argv(path)
	if err != nil {
		fail.How = err.Error()
		return fail
	}
	vars := map[string]string{"hookdir": Dirs[0]}
	maps.Copy(vars, c.Vars)
	maps.Copy(vars, h.carry)
	vars["BAREROOT_STAGE"] = c.Stage
	state := ""
	if len(argv) > 1 {
		f, err := os.CreateTemp("", "hook-state-")
		if err != nil {
			fail.How = fmt.Sprintf("no room for its variables: %v", err)
			return fail
		}
		f.Close()
		state = f.Name()
		defer os.Remove(state)
		vars["BAREROOT_STATE"] = state
	}
	env := console.Environment()
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, k+"="+vars[k])
	}
	limit := h.Limit()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not end within %s (rd.retry)", limit))
	defer cancel()
	slow := time.AfterFunc(30*time.Second, func() {
		h.Log.Infof("hook %s of stage %s still runs; it may take %s (rd.retry)", filepath.Base(path), c.Stage, limit)
	})
	defer slow.Stop()
	h.Log.Debugf("hook %s: start, arguments %q", path, c.Args)
	start := time.Now()
	last := console.Lines{Max: said}
	ws, err := h.Run.Run(ctx, console.Command{Argv: append(argv, c.Args...), Env: env, Line: func(s string) {
		last.Add(s)
		if c.Silent {
			h.Log.Debugf("%s: %s", filepath.Base(path), s)
		} else {
			h.Log.Infof("%s: %s", filepath.Base(path), s)
		}
	}})
	h.Log.Debugf("hook %s: %s after %s", path, console.ExitText(ws), time.Since(start).Round(time.Millisecond))
	if state != "" {
		h.keep(state, vars)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		fail.How = context.Cause(ctx).Error()
	case err != nil:
		fail.How = err.Error()
	case ws != 0:
		fail.How = console.ExitText(ws)
	default:
		return nil
	}
	fail.Said = last.All()
	return fail
}

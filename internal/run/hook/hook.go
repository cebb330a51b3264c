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

// Dirs are the folders of hooks, the weaker first: the builder's, and what the
// machine's own segment adds. Of two hooks of a stage with one name the
// stronger folder's is run.
var Dirs = [...]string{"/usr/lib/bareroot/hooks", "/etc/bareroot/hooks"}

// said is how many last lines of a hook that failed are shown with the
// failure.
const said = 5

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

// Error is a hook that failed.
type Error struct {
	Hook  string   // its path
	Stage string   //
	How   string   // how it ended
	Said  []string // its last words
}

func (e *Error) Error() string {
	s := fmt.Sprintf("hook %s of stage %s: %s", filepath.Base(e.Hook), e.Stage, e.How)
	if len(e.Said) > 0 {
		s += "; it said: " + strings.Join(e.Said, " / ")
	}
	return s
}

// Missing says what the boot lacks.
func (e *Error) Missing() string {
	return "the success of " + e.Hook + ", which was put into this ramdisk for stage " + e.Stage
}

// Try names commands for the operator.
func (e *Error) Try() []string {
	run := e.Hook
	if strings.HasSuffix(run, ".sh") {
		run = "sh -x " + run
	}
	return []string{
		". /run/bareroot/hooks.env; " + run + "   # run it by hand, with what earlier hooks exported",
		"cat " + e.Hook,
		"rm " + e.Hook + "; exit   # go on without it",
	}
}

// List is the paths of a stage's hooks in their order.
func (h *Hooks) List(stage string) []string {
	byName := map[string]string{}
	for _, d := range h.Dirs {
		dir := filepath.Join(d, stage+".d")
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			n := e.Name()
			if strings.HasPrefix(n, ".") || strings.HasSuffix(n, "~") {
				continue
			}
			p := filepath.Join(dir, n)
			if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
				byName[n] = p
			}
		}
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[n])
	}
	return out
}

// Any says whether one of the stages has hooks.
func (h *Hooks) Any(stages ...string) bool {
	return slices.ContainsFunc(stages, func(s string) bool { return len(h.List(s)) > 0 })
}

// Get is a variable that a hook exported.
func (h *Hooks) Get(name string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.carry[name]
	return v, ok
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
	var last lines
	ws, err := h.Run.Run(ctx, console.Command{Argv: append(argv, c.Args...), Env: env, Line: func(s string) {
		last.add(s)
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
	fail.Said = last.get()
	return fail
}

// wrapper makes a shell read the hook, $0, and leave what is exported at its
// end, however that comes.
const wrapper = `trap 'r=$?; set +x; export -p >"$BAREROOT_STATE"; exit $r' 0; . "$0"`

// argv is how a hook is started: more than one word for a script.
func (h *Hooks) argv(path string) ([]string, error) {
	if strings.HasSuffix(path, ".sh") {
		sh := "/bin/sh"
		// A script for bash says so; what it says matters to nobody else when a
		// shell reads it.
		if b, err := os.ReadFile(path); err == nil {
			first, _, _ := strings.Cut(string(b), "\n")
			if _, err := os.Stat("/bin/bash"); err == nil && strings.HasPrefix(first, "#!") && strings.Contains(first, "bash") {
				sh = "/bin/bash"
			}
		}
		if _, err := os.Stat(sh); err != nil {
			return nil, fmt.Errorf("there is no shell in this ramdisk to read it (%w); build with the feature shell", err)
		}
		w := wrapper
		if h.Trace != nil && h.Trace() {
			w = strings.Replace(w, `. "$0"`, `set -x; . "$0"`, 1)
		}
		return []string{sh, "-c", w, path}, nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("it is neither executable nor named *.sh")
	}
	return []string{path}, nil
}

// own are variables that belong to one hook and are not carried to the next.
var own = [...]string{"IFACE", "PWD", "OLDPWD", "SHLVL", "_", "PPID", "BAREROOT_STATE", "BAREROOT_STAGE", "hookdir"}

// keep takes over what a hook exported and had not got.
func (h *Hooks) keep(file string, had map[string]string) {
	b, err := os.ReadFile(file)
	if err != nil || len(b) == 0 {
		return // it was killed
	}
	got, err := ParseExports(string(b))
	if err != nil {
		h.Log.Warnf("variables of a hook: %v", err)
	}
	for _, kv := range console.Environment() {
		k, v, _ := strings.Cut(kv, "=")
		if got[k] == v {
			delete(got, k)
		}
	}
	for k, v := range got {
		if old, ok := had[k]; slices.Contains(own[:], k) || ok && old == v {
			continue
		}
		if h.carry == nil {
			h.carry = map[string]string{}
		}
		h.carry[k] = v
		h.Log.Debugf("a hook exports %s=%q", k, v)
	}
	if h.State == "" || len(h.carry) == 0 {
		return
	}
	var s strings.Builder
	for _, k := range slices.Sorted(maps.Keys(h.carry)) {
		s.WriteString("export " + k + "=" + Quote(h.carry[k]) + "\n")
	}
	if err := os.WriteFile(h.State, []byte(s.String()), 0o600); err != nil {
		h.Log.Warnf("keep the variables of hooks: %v", err)
	}
}

// lines keeps the last few.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text = append(l.text, s); len(l.text) > said {
		l.text = l.text[1:]
	}
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
}

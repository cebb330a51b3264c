package boot

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/run/hook"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/version"
)

// hookState is what the emergency shell reads to stand where a hook stood.
const hookState = "/run/bareroot/hooks.env"

// newHooks are the hooks of this ramdisk.
func (b *Boot) newHooks() *hook.Hooks {
	return &hook.Hooks{Dirs: hook.Dirs[:], State: hookState, Limit: b.limit, Trace: b.log.Debug, Log: b.log, Run: programs{b}}
}

// programs runs programs under the reaper of the moment.
type programs struct{ b *Boot }

func (p programs) Run(ctx context.Context, c console.Command) (syscall.WaitStatus, error) {
	return p.b.reaper.Run(ctx, c)
}

// hookVars is what init tells every hook, by dracut's names where it has one.
func (b *Boot) hookVars() map[string]string {
	line := b.words()
	v := map[string]string{"NEWROOT": rootfs.Target, "RD_DEBUG": "no", "BAREROOT_VERSION": version.String(), "BAREROOT_ROLE": b.role(), "CMDLINE": line.String()}
	if b.log.Debug() {
		v["RD_DEBUG"] = "yes"
	}
	for name, key := range lineVars {
		v[name], _ = line.Get(key)
	}
	if w, ok := line.Last("ro", "rw"); ok {
		if v["rflags"] != "" {
			v["rflags"] += ","
		}
		v["rflags"] += w.Key
	}
	if v["fstype"] == "" {
		v["fstype"] = "auto"
	}
	if r, err := rootfs.Parse(line); err == nil && r.Network() && v["netroot"] == "" {
		v["netroot"] = v["root"]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.up != nil {
		v["IFACE"] = b.up.Device
	}
	return v
}

// lineVars are the variables of hooks that stand for words of the command line.
var lineVars = map[string]string{"root": "root", "netroot": "netroot", "rflags": "rootflags", "fstype": "rootfstype"}

// runHooks runs the hooks of a stage and takes over what they changed of the
// root.
func (b *Boot) runHooks(ctx context.Context, stage string, args ...string) error {
	if !b.hooks.Any(stage) {
		return nil
	}
	b.log.Debugf("hooks of stage %s", stage)
	err := b.hooks.Do(ctx, hook.Call{Stage: stage, Vars: b.hookVars(), Args: args, Once: true})
	return errors.Join(err, b.adopt(stage))
}

// adopt makes words of the variables that hooks exported: the root that a
// hook found is the boot's root.
func (b *Boot) adopt(stage string) error {
	if b.root != nil {
		return nil // too late
	}
	line := b.line
	for _, name := range []string{"root", "netroot", "rflags", "fstype"} {
		v, ok := b.hooks.Get(name)
		if !ok || b.adopted[name] == v {
			continue
		}
		if b.adopted == nil {
			b.adopted = map[string]string{}
		}
		b.adopted[name] = v
		b.log.Infof("a hook of stage %s sets %s=%s", stage, lineVars[name], v)
		line = append(line[:len(line):len(line)], cmdline.FromWords([]string{lineVars[name] + "=" + v}, "a hook of stage "+stage)...)
	}
	if len(line) == len(b.line) {
		return nil
	}
	return b.setLine(line)
}

// handMade is a root that hooks of stage mount mount themselves.
type handMade struct{}

func (handMade) Describe() string                           { return "the root of the mount hooks" }
func (handMade) Network() bool                              { return false }
func (handMade) Prepare(context.Context, *rootfs.Env) error { return nil }
func (handMade) Mount(context.Context, *rootfs.Env) error {
	return fmt.Errorf("a hook says that it mounts the root (rootok), but nothing is mounted at %s", rootfs.Target)
}
func (handMade) HandOver(context.Context, *rootfs.Env) error { return nil }
func (handMade) Stop()                                       {}

// hookRoot says whether a hook took the root upon itself: it exported rootok,
// and there are hooks to mount one.
func (b *Boot) hookRoot() bool {
	v, ok := b.hooks.Get("rootok")
	return ok && v != "" && v != "0" && b.hooks.Any("mount")
}

// mounted says whether something is mounted at dir.
func mounted(dir string) bool {
	var d, up unix.Stat_t
	return unix.Stat(dir, &d) == nil && unix.Stat(dir+"/..", &up) == nil && d.Dev != up.Dev
}

// stageMountHooks lets hooks mount the root, mounts it if none did, and puts
// over it what the line asks for.
func (b *Boot) stageMountHooks(ctx context.Context) error {
	if err := b.mountRoot(ctx); err != nil {
		return err
	}
	if err := rootfs.Volatile(b.line, b.log, b.module); err != nil {
		b.root.Stop() // for another try
		return err
	}
	if err := rootfs.ExportModules(b.line, b.log, b.kver); err != nil {
		b.log.Warnf("%v", err) // the root says itself what it lacks
	}
	return nil
}

func (b *Boot) mountRoot(ctx context.Context) error {
	if err := b.runHooks(ctx, "mount"); err != nil {
		return err
	}
	if mounted(rootfs.Target) {
		b.did("%s was mounted by a hook", rootfs.Target)
		b.root = handMade{}
		return nil
	}
	if b.root == nil {
		if err := b.findRoot(ctx); err != nil {
			return err
		}
	}
	return b.stageMount(ctx)
}

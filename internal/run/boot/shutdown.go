package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/assemble"
	"bareroot/internal/run/console"
	"bareroot/internal/run/hook"
	"bareroot/internal/sys"
)

// oldRoot is where the root's init leaves the root behind.
const oldRoot = "/oldroot"

// tries is how often the devices of the root are tried to be released; the
// last time hooks get "final".
const tries = 40

// releaser gives back what a root stood on, after it was unmounted. It is
// called until it succeeds.
type releaser struct {
	name    string
	release func(context.Context, *Boot) error
}

// releasers is what a shutdown stops, in this order.
func releasers() []releaser {
	return []releaser{
		{"mapped devices, arrays and loop devices", func(ctx context.Context, b *Boot) error { return assemble.Stop(ctx, programs{b}, b.log) }},
	}
}

// Shutdown is PID 1 once more: the root's init gave the machine back to the
// ramdisk that was kept, with the root at /oldroot. args[0] is reboot,
// poweroff, halt or kexec, as systemd-shutdown says it. It does not return.
func Shutdown(args []string) {
	b := &Boot{start: time.Now(), log: console.NewLog(os.Stderr), bootID: "unknown"}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b.life = ctx
	b.reaper = console.NewReaper()
	b.terms = console.NewTerminals()
	b.asker = console.NewAsker(b.terms, b.log)
	b.report = NewReporter(b.log, b.bootID)
	b.hooks = b.newHooks()
	b.signals(ctx)
	action := shutdownAction(args)
	func() {
		defer func() {
			if p := recover(); p != nil {
				b.log.Errorf("internal error: %v", p)
			}
		}()
		b.shutdown(ctx, action)
	}()
	for {
		if err := sys.Reboot(action); err != nil {
			b.log.Errorf("%v", err)
		}
		time.Sleep(5 * time.Second) // PID 1 must not end
		// No kernel is loaded for kexec, or the machine cannot be switched off.
		action = map[string]string{sys.ActKexec: sys.ActReboot, sys.ActReboot: sys.ActPowerOff, sys.ActPowerOff: sys.ActHalt}[action]
	}
}

// shutdownAction reads what is asked for; a machine that goes down for an
// unknown reason comes up again.
func shutdownAction(args []string) string {
	for _, a := range args {
		switch a {
		case sys.ActReboot, sys.ActPowerOff, sys.ActHalt, sys.ActKexec:
			return a
		}
	}
	return sys.ActReboot
}

func (b *Boot) shutdown(ctx context.Context, action string) {
	for _, d := range []string{"/proc", "/sys", "/dev", "/run"} {
		if mounted(d) {
			continue
		}
		_ = os.MkdirAll(d, 0o755)
		if err := unix.Mount(oldRoot+d, d, "", unix.MS_MOVE, ""); err != nil {
			b.log.Warnf("move %s out of the old root: %v", d, err)
		}
	}
	_ = os.MkdirAll("/tmp", 0o1777)
	openConsole()
	b.log.SetConsole(console.NewEverywhere(os.Stderr))
	if err := b.log.Attach("/run/bareroot/shutdown.log"); err != nil {
		b.log.Warnf("%v", err)
	}
	if text, err := os.ReadFile(linePath); err == nil {
		b.line = cmdline.Parse(string(text), "boot")
	}
	b.verbosity()
	b.startWatchdog()
	b.log.Infof("%s: the ramdisk takes the root apart", action)
	b.shellBefore(ctx, "pre-shutdown")
	for _, err := range b.hooks.Each(ctx, hook.Call{Stage: "pre-shutdown", Vars: b.shutdownVars(action), Args: []string{action}}) {
		b.log.Warnf("%v", err)
	}
	killOthers(ctx, b.log)
	if err := b.unmountOld(ctx); err != nil {
		b.log.Errorf("%v", err)
	}
	b.shellBefore(ctx, "shutdown")
	b.release(ctx, action)
	b.log.Infof("%s", action)
}

func (b *Boot) shutdownVars(action string) map[string]string {
	v := b.hookVars()
	v["ACTION"] = action
	v["OLDROOT"] = oldRoot
	return v
}

// umountLimit is how long the unmounting may take: rd.shutdown.timeout.umount.
func (b *Boot) umountLimit() time.Duration {
	return time.Duration(b.line.Int(90, 1, 86400, "rd.shutdown.timeout.umount")) * time.Second
}

// unmountOld unmounts the old root and what is mounted in it.
func (b *Boot) unmountOld(ctx context.Context) error {
	if b2, err := os.ReadFile("/proc/swaps"); err == nil {
		for _, l := range strings.Split(string(b2), "\n")[1:] {
			if f := strings.Fields(l); len(f) > 0 {
				if err := sys.SwapOff(sys.Unescape(f[0])); err != nil {
					b.log.Warnf("%v", err)
				}
			}
		}
	}
	unix.Sync()
	end := time.Now().Add(b.umountLimit())
	var failed []error
	for round := 0; ; round++ {
		info, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return fmt.Errorf("unmount the old root: %w", err)
		}
		mounts := mountsBelow(string(info), oldRoot)
		if len(mounts) == 0 {
			b.log.Infof("the old root is unmounted")
			return nil
		}
		progress := false
		failed = nil
		for _, m := range mounts {
			if err := unix.Unmount(m, 0); err != nil {
				failed = append(failed, fmt.Errorf("unmount %s: %w", m, err))
				continue
			}
			b.log.Debugf("unmounted %s", m)
			progress = true
		}
		if progress {
			continue
		}
		if time.Now().After(end) || ctx.Err() != nil {
			break
		}
		if round%20 == 0 {
			killOthers(ctx, b.log)
		}
		t := time.NewTimer(250 * time.Millisecond) // a mount that becomes free announces nothing
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	// What cannot be unmounted is at least written.
	info, _ := os.ReadFile("/proc/self/mountinfo")
	for _, m := range mountsBelow(string(info), oldRoot) {
		_ = unix.Mount("", m, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	return fmt.Errorf("the old root is still in use after %s: %w", b.umountLimit(), errors.Join(failed...))
}

// release stops the devices of the root and runs the shutdown hooks, until all
// succeed.
func (b *Boot) release(ctx context.Context, action string) {
	open := releasers()
	for try := 1; try <= tries; try++ {
		var errs []error
		open = slices.DeleteFunc(open, func(r releaser) bool {
			err := r.release(ctx, b)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
			}
			return err == nil
		})
		args := []string{action}
		if try == tries {
			args = append(args, "final")
		}
		failed := b.hooks.Each(ctx, hook.Call{Stage: "shutdown", Vars: b.shutdownVars(action), Args: args, Once: true})
		if errs = append(errs, failed...); len(errs) == 0 {
			b.log.Infof("all that the root stood on is released")
			return
		}
		if try == tries {
			b.log.Errorf("not everything was released: %v", errors.Join(errs...))
			return
		}
		b.log.Debugf("release, try %d: %v", try, errors.Join(errs...))
		t := time.NewTimer(100 * time.Millisecond) // a device that becomes free announces nothing
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

package boot

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
)

// debugTTY is the terminal of the shell beside the boot that
// rd.systemd.debug_shell asks for, or "".
func debugTTY(l cmdline.Line) string {
	w, ok := l.Last("rd.systemd.debug_shell")
	switch {
	case !ok:
		return ""
	case w.Bare:
		return "tty9"
	}
	switch v := strings.TrimPrefix(w.Value, "/dev/"); v {
	case "0", "no", "off", "false", "n":
		return ""
	case "", "1", "yes", "on", "true", "y":
		return "tty9"
	default:
		return v
	}
}

// startDebugShell keeps a shell running on that terminal until the root
// starts.
func (b *Boot) startDebugShell() {
	name := debugTTY(b.line)
	if name == "" || b.aside != nil {
		return
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		b.log.Warnf("rd.systemd.debug_shell: %v", console.ErrNoShell)
		return
	}
	ctx, cancel := context.WithCancel(b.life)
	done := make(chan struct{})
	b.aside = func() { cancel(); <-done }
	b.log.Infof("a shell beside the boot runs on %s", name)
	go func() {
		defer close(done)
		crash := restarts{max: 5, within: time.Minute}
		for ctx.Err() == nil && crash.allow(time.Now()) {
			if err := b.debugShell(ctx, name); err != nil {
				b.log.Warnf("rd.systemd.debug_shell: %v", err)
				return
			}
		}
	}()
}

// debugShell runs one shell until it is left.
func (b *Boot) debugShell(ctx context.Context, name string) error {
	tty, err := console.OpenTTY(name)
	if err != nil {
		return err
	}
	defer tty.Close()
	fmt.Fprintf(tty, "\nbareroot: a shell beside the boot, which goes on; it ends when the root starts\n")
	pid, done, err := b.reaper.Start([]string{"/bin/sh", "-i"}, console.Environment(), tty)
	if err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
		_ = syscall.Kill(pid, syscall.SIGHUP)
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		<-done
	}
	return nil
}

// stopDebugShell ends it.
func (b *Boot) stopDebugShell() {
	if b.aside != nil {
		b.aside()
		b.aside = nil
	}
}

package boot

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"bareroot/internal/sys"
)

// signals takes what would end another process. Busybox's reboot, poweroff and
// halt, typed into a shell of ours, are signals to PID 1; while no shell is
// open SIGTERM comes from nobody who may reboot the machine. The signals are
// asked for and not ignored, because an ignored one would stay ignored in the
// root's init.
func (b *Boot) signals(ctx context.Context) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for {
			select {
			case s := <-c:
				if action := b.asks(s); action != "" {
					b.log.Infof("%s: asked for in the shell", action)
					b.down(action, "as the operator says")
				} else if s != syscall.SIGPIPE {
					b.log.Debugf("signal %s is ignored", s)
				}
			case <-ctx.Done():
				signal.Stop(c)
				return
			}
		}
	}()
}

// asks is the action that a signal asks for.
func (b *Boot) asks(s os.Signal) string {
	if !b.shell.Load() {
		return ""
	}
	switch s {
	case syscall.SIGTERM, syscall.SIGINT:
		return sys.ActReboot
	case syscall.SIGUSR1:
		return sys.ActHalt
	case syscall.SIGUSR2:
		return sys.ActPowerOff
	}
	return ""
}

// openShells opens shells on the consoles and waits for the operator.
func (b *Boot) openShells(ctx context.Context, screen string) error {
	if b.devices != nil {
		b.devices.More() // a keyboard, for one
	}
	b.shell.Store(true)
	defer b.shell.Store(false)
	return b.terms.Shells(ctx, b.reaper, screen)
}

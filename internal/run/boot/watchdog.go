package boot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/sys"
)

// watchdogPath is the machine's first watchdog; see the kernel's
// Documentation/watchdog/watchdog-api.rst.
const watchdogPath = "/dev/watchdog0"

// startWatchdog feeds the hardware watchdog from its appearance on, if
// bareroot.watchdog says so. It is never disarmed: the root takes it over
// running, and a root that does not come up is reset, too.
func (b *Boot) startWatchdog() {
	limit := b.line.Int(0, 0, 86400, "bareroot.watchdog")
	if limit == 0 || b.feeding != nil {
		return
	}
	ctx, cancel := context.WithCancel(b.life)
	done := make(chan struct{})
	armed := make(chan struct{})
	b.feeding, b.armed = func() { cancel(); <-done }, armed
	go func() {
		defer close(done)
		f := b.awaitWatchdog(ctx)
		if f == nil {
			close(armed)
			return
		}
		// Without the letter V before the close it stays armed.
		defer f.Close()
		fd := int(f.Fd())
		if err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, limit); err != nil {
			b.log.Warnf("watchdog: it does not take %d s: %v", limit, err)
		}
		if n, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT); err == nil && n > 0 {
			limit = n
		}
		name := sys.Line("/sys/class/watchdog/" + filepath.Base(watchdogPath) + "/identity")
		b.log.Infof("watchdog: %s resets the machine when it was not fed for %d s; the root must feed it, too", name, limit)
		close(armed)
		t := time.NewTicker(max(time.Duration(limit)*time.Second/4, 250*time.Millisecond))
		defer t.Stop()
		for {
			// Also the last thing that is done, so that the root has all the time.
			if err := unix.IoctlSetInt(fd, unix.WDIOC_KEEPALIVE, 0); err != nil {
				b.log.Warnf("feed the watchdog: %v", err)
			}
			if ctx.Err() != nil {
				return
			}
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		}
	}()
}

// awaitWatchdog opens the watchdog when its driver is there.
func (b *Boot) awaitWatchdog(ctx context.Context) *os.File {
	limit := b.limit()
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := os.OpenFile(watchdogPath, os.O_WRONLY, 0)
		if err == nil {
			return f
		}
		if !os.IsNotExist(err) {
			b.log.Warnf("%v", fmt.Errorf("watchdog: %w", err))
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			b.log.Warnf("no watchdog within %s: this machine has none, or its driver is not in this ramdisk (feature watchdog)", limit)
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// armWatchdog waits for the watchdog to be fed, as long as its driver may
// still come: a root must not start without what was asked for.
func (b *Boot) armWatchdog(ctx context.Context) {
	if b.feeding == nil {
		return
	}
	if b.devices != nil {
		b.devices.Settle(ctx, settleLimit)
	}
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-b.armed:
	case <-ctx.Done():
	case <-t.C:
		b.log.Warnf("the drivers of all devices are loaded, and there is no watchdog: this machine has none, or its driver is not in this ramdisk (feature watchdog)")
	}
}

// leaveWatchdog feeds the watchdog for the last time.
func (b *Boot) leaveWatchdog() {
	if b.feeding != nil {
		b.feeding()
		b.feeding = nil
	}
}

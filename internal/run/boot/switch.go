package boot

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
)

func (b *Boot) stagePrePivot(ctx context.Context) error {
	// A kernel that takes no modules has none to miss.
	if _, err := os.Stat("/proc/modules"); err == nil {
		notice, err := rootfs.CheckModules(rootfs.Target, b.kver, b.line)
		if err != nil {
			return fmt.Errorf("%s: %w", b.root.Describe(), err)
		}
		if notice != "" {
			b.log.Warnf("%s: %s", b.root.Describe(), notice)
		}
	}
	if err := b.root.HandOver(ctx, b.env()); err != nil {
		return err
	}
	outside, err := rootfs.MountFstabs(ctx, b.env())
	b.outside = append(b.outside, outside...)
	if err != nil {
		return err
	}
	if err := b.runHooks(ctx, "pre-pivot"); err != nil {
		return err
	}
	_, err = rootfs.FindInit(rootfs.Target, b.line)
	return err
}

func (b *Boot) stageCleanup(ctx context.Context) error {
	if err := b.runHooks(ctx, "cleanup"); err != nil {
		return err
	}
	init, err := rootfs.FindInit(rootfs.Target, b.line)
	if err != nil {
		return err
	}
	if _, err := dropped(b.line); err != nil {
		return err
	}
	b.armWatchdog(ctx)
	b.stopReadying()
	// Without it the root runs well and only goes down less tidily.
	if err := b.keepForShutdown(); err != nil {
		b.log.Warnf("%v", err)
	}
	b.log.Infof("switching to %s: %s %.2f s after start", b.root.Describe(), init, time.Since(b.start).Seconds())
	if b.order != nil {
		b.report.Order(b.order, api.Event{Kind: api.EventState, State: api.StateDone, Phase: "root", Message: "runs " + b.root.Describe()})
	}
	b.report.Event("switch-root", "starts "+init+" of "+b.root.Describe(), false)
	b.report.Flush(5 * time.Second)
	return nil
}

// switchRoot gives the machine to its root. It returns only when that failed
// for good.
func (b *Boot) switchRoot(ctx context.Context) {
	b.shellBefore(ctx, "switch-root")
	for {
		err, final := b.handOver()
		if final {
			b.log.Errorf("%v", err)
			return
		}
		if b.session != nil {
			b.report.Connect(b.life, b.courier, b.session) // again: there is news
		}
		if !b.failed(ctx, &StageError{"switch-root", err}) {
			return
		}
	}
}

func (b *Boot) handOver() (err error, final bool) {
	init, err := rootfs.FindInit(rootfs.Target, b.line)
	if err != nil {
		return err, false
	}
	b.report.Close()
	if b.courier != nil {
		b.courier.Close()
	}
	if b.devices != nil {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail
		if err := b.devices.HandOver("/run/udev", time.Duration(now.Nano())); err != nil {
			b.log.Warnf("%v", err) // the root's own udev finds them, later
		}
		b.devices.Close()
		b.devices = nil
	}
	if b.network != nil {
		b.handOverNetwork()
		b.network.Close()
		b.network = nil
	}
	b.stopSSH()
	b.stopDebugShell()
	killOthers(b.life, b.log)
	if err := b.lockDown(); err != nil {
		return err, false
	}
	b.asker.Close()
	for _, m := range slices.Backward(b.outside) {
		if err := unix.Unmount(m, 0); err != nil {
			b.log.Warnf("unmount %s, which the root will not see: %v", m, err)
		}
	}
	b.outside = nil
	// The secret of this boot is not the root's.
	_ = os.Remove(rdconf.SessionPath)
	b.leaveWatchdog()
	b.reaper.Stop()
	env := append(console.Environment()[:2:2], "TERM=linux")
	err, final = rootfs.Switch(init, b.line.InitArgs(), env)
	b.reaper = console.NewReaper()
	// It failed: the ramdisk goes on.
	b.startWatchdog()
	if lerr := b.asker.Listen(console.AskPath); lerr != nil && !final {
		b.log.Warnf("%v", lerr)
	}
	return err, final
}

// down ends the boot.
func (b *Boot) down(action, why string) {
	b.log.Infof("%s %s", action, why)
	b.report.Flush(5 * time.Second)
	if err := sys.Reboot(action); err != nil {
		b.log.Errorf("%v", err)
	}
}

package boot

import (
	"context"

	"bareroot/internal/run/device"
)

func (b *Boot) stagePreUdev(ctx context.Context) error {
	b.startDebugShell()
	dir := "/usr/lib/modules/" + b.kver
	mods, err := device.NewModules(dir, b.line)
	if err != nil {
		// A kernel with everything built in needs none.
		b.log.Warnf("no kernel modules: %v", err)
		return b.runHooks(ctx, "pre-udev")
	}
	b.mods = mods
	for _, n := range append(append([]string(nil), b.conf.Modules...), b.line.List("rd.driver.pre", "modules_load")...) {
		if err := mods.Load(n); err != nil {
			b.log.Warnf("%v", err)
		}
	}
	return b.runHooks(ctx, "pre-udev")
}

func (b *Boot) stagePreTrigger(ctx context.Context) error {
	err := b.runHooks(ctx, "pre-trigger")
	if err != nil {
		return err
	}
	if b.needNetwork() && b.network == nil {
		if err := b.startNetwork(); err != nil {
			return err
		}
	}
	b.startSSH()
	b.startWatchdog()
	if b.devices == nil {
		// What a server or a hook will ask for may need all disks; a watchdog is not
		// among what a root waits for.
		all := b.conf.Server != nil || b.role() != "root" || b.hooks.Any("initqueue/settled") || b.feeding != nil
		needs := device.Needs{Network: b.needNetwork() || b.ssh != nil, All: all, Nodes: b.nodes}
		if b.devices, err = device.Start(b.life, b.log, b.mods, needs); err != nil {
			return err
		}
	}
	b.setVconsole(ctx) // while devices are looked for, and before a passphrase is asked for
	return nil
}

func (b *Boot) stagePreMount(ctx context.Context) error {
	for _, n := range b.line.List("rd.driver.post") {
		if b.mods == nil {
			break
		}
		if err := b.mods.Load(n); err != nil {
			b.log.Warnf("%v", err)
		}
	}
	return b.runHooks(ctx, "pre-mount")
}

package boot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bareroot/api"
	"bareroot/internal/run/rootfs"
)

func (b *Boot) prepareRoot(ctx context.Context) error {
	root, err := rootfs.Parse(b.line)
	if err != nil {
		return err
	}
	if root.Network() {
		if err := b.online(ctx); err != nil {
			return err
		}
		if err := b.runHooks(ctx, "netroot"); err != nil {
			return err
		}
	}
	b.did("root: %s", root.Describe())
	b.report.Event("root", root.Describe(), false)
	if err := root.Prepare(ctx, b.env()); err != nil {
		root.Stop()
		return err
	}
	b.root = root
	return nil
}

func (b *Boot) env() *rootfs.Env {
	e := &rootfs.Env{Log: b.log, Line: b.line, Devices: b.devices, HTTP: b.http, Limit: b.deviceLimit(), Module: func(name string) {
		if b.mods == nil || name == "" {
			return
		}
		if err := b.mods.Load(name); err != nil {
			b.log.Debugf("%v", err)
		}
	}}
	if b.session != nil {
		e.Token, e.Origin = b.session.Token, b.session.Server.URL
	}
	var told time.Time
	e.Progress = func(done, total, rate int64) {
		if now := time.Now(); now.Sub(told) >= 2*time.Second {
			told = now
			b.report.Event("root", fmt.Sprintf("downloaded %d of %d MiB, %.1f MB/s", done>>20, total>>20, float64(rate)/1e6), false)
		}
	}
	if b.order != nil {
		e.Progress = func(done, total, rate int64) {
			b.report.Order(b.order, api.Event{Kind: api.EventProgress, Phase: "download", Done: done, Total: total, Rate: rate})
		}
	}
	return e
}

func (b *Boot) stageMount(ctx context.Context) error {
	if err := b.root.Mount(ctx, b.env()); err != nil {
		b.root.Stop()
		// The next try prepares again: a device may have been replaced meanwhile.
		if perr := b.root.Prepare(ctx, b.env()); perr != nil {
			return errors.Join(err, perr)
		}
		return err
	}
	b.did("mounted %s at %s", b.root.Describe(), rootfs.Target)
	return nil
}

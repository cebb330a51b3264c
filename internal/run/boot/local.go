package boot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bareroot/api"
	"bareroot/internal/run/assemble"
	"bareroot/internal/run/errand"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
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
	e := b.env()
	// What the command line names is made, whatever the root is on.
	if b.stack.Named() {
		if _, _, err := b.stack.Wait(ctx, "", e.Limit); err != nil {
			return fmt.Errorf("devices that the command line names: %w", err)
		}
	}
	if err := root.Prepare(ctx, e); err != nil {
		root.Stop()
		return err
	}
	rootfs.Resume(ctx, e)
	if err := b.stack.WaitClean(ctx); err != nil {
		return err
	}
	b.root = root
	return nil
}

// module loads a file system or the like if it can be had.
func (b *Boot) module(name string) {
	if b.mods == nil || name == "" {
		return
	}
	if err := b.mods.LoadBackground(name); err != nil {
		b.log.Debugf("%v", err)
	}
}

func (b *Boot) env() *rootfs.Env {
	if b.stack == nil {
		b.stack = assemble.New(assemble.Options{Log: b.log, Devices: b.devices, Runner: b.reaper, Asker: b.asker, Module: b.module, Line: b.line})
	}
	e := &rootfs.Env{Log: b.log, Line: b.line, Devices: b.stack, Limit: b.deviceLimit(), Module: b.module, Has: assemble.Has, Run: b.stack.Run}
	e.Download = b.download
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

// download asks for the size of an image, or fetches it.
func (b *Boot) download(ctx context.Context, e errand.Errand, hear func(errand.Answer)) (errand.Answer, error) {
	for _, d := range []*errand.Download{e.Size, e.Fetch} {
		if d != nil && b.session != nil {
			d.Server, d.Token = &b.session.Server, b.session.Token
		}
	}
	return b.runErrand(ctx, e, hear)
}

func (b *Boot) stageMount(ctx context.Context) error {
	if b.devices != nil {
		b.devices.Enough()
	}
	if err := b.root.Mount(ctx, b.env()); err != nil {
		b.root.Stop()
		if errors.Is(err, rootfs.ErrReboot) {
			b.down(sys.ActReboot, "because "+err.Error())
		}
		// The next try prepares again: a device may have been replaced meanwhile.
		if perr := b.root.Prepare(ctx, b.env()); perr != nil {
			return errors.Join(err, perr)
		}
		return err
	}
	b.did("mounted %s at %s", b.root.Describe(), rootfs.Target)
	return nil
}

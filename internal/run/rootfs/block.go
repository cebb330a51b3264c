package rootfs

import (
	"context"
	"fmt"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/sys"
)

// block is a root on a local block device.
type block struct {
	spec    cmdline.Root
	fstype  string
	opts    string
	dev     string
	mounted bool
}

func newBlock(spec cmdline.Root, l cmdline.Line) (Root, error) {
	b := &block{spec: spec}
	b.fstype, _ = l.Get("rootfstype")
	if b.fstype == "auto" {
		b.fstype = ""
	}
	flags, _ := l.Get("rootflags")
	mode := "ro"
	if w, ok := l.Last("ro", "rw"); ok {
		mode = w.Key
	}
	b.opts = strings.TrimSuffix(mode+","+flags, ",")
	return b, nil
}

func (b *block) Describe() string { return b.spec.String() }
func (b *block) Network() bool    { return false }

func (b *block) Prepare(ctx context.Context, e *Env) error {
	dev, found, err := e.Devices.Wait(ctx, b.spec.Device, e.Limit)
	if err != nil {
		return fmt.Errorf("find root %s: %w", b.spec, err)
	}
	b.dev = dev
	if b.fstype == "" {
		b.fstype = found.FS
	}
	if b.fstype == "" {
		return fmt.Errorf("root %s is %s, but no known filesystem is on it; give rootfstype=", b.spec, dev)
	}
	e.Log.Infof("root %s is %s (%s)", b.spec, dev, b.fstype)
	return nil
}

func (b *block) Mount(_ context.Context, e *Env) error {
	// rootfstype= may be a list, as for the kernel.
	var err error
	for _, t := range strings.Split(b.fstype, ",") {
		e.Module(t)
		if err = sys.Mount(b.dev, Target, t, b.opts); err == nil {
			b.mounted = true
			return nil
		}
	}
	return fmt.Errorf("mount root: %w", err)
}

func (b *block) HandOver(context.Context, *Env) error { return nil }

func (b *block) Stop() {
	if b.mounted {
		_ = sys.Unmount(Target)
		b.mounted = false
	}
}

package rootfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/assemble"
	"bareroot/internal/run/device"
	"bareroot/internal/sys"
)

// Paths of a live root; tools and hooks of others read them after the boot.
const (
	liveMedium = "/run/initramfs/live"
	liveImage  = "/run/initramfs/squashfs"
	liveBase   = "/run/rootfsbase"
	liveUpper  = "/run/overlayfs"
	liveWork   = "/run/ovlwork"
)

// image mounts a squashfs (or erofs) image: its tree, or the filesystem image
// LiveOS/rootfs.img in it, read-only below an overlay in memory.
type image struct {
	mounts []string // made so far
}

func (i *image) mount(source, target, fstype, opts string) error {
	if err := sys.Mount(source, target, fstype, opts); err != nil {
		return err
	}
	i.mounts = append(i.mounts, target)
	return nil
}

func (i *image) stop() {
	for n := len(i.mounts) - 1; n >= 0; n-- {
		_ = sys.Unmount(i.mounts[n])
	}
	i.mounts = nil
}

// file mounts an image file at target by a loop device.
func (i *image) file(ctx context.Context, e *Env, path, target string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("mount live image: %w", err)
	}
	fs, _, _ := device.Signature(f)
	f.Close()
	if fs == "" {
		return fmt.Errorf("mount live image: %s holds no known filesystem", path)
	}
	e.Module("loop")
	e.Module(fs)
	d, err := assemble.Loop(path, true)
	if err != nil {
		return err
	}
	defer d.Release()
	return i.mount(d.Path, target, fs, "ro")
}

// overlay makes the root at Target of what is mounted at liveImage.
func (i *image) overlay(ctx context.Context, e *Env) error {
	inner := filepath.Join(liveImage, "LiveOS/rootfs.img")
	switch {
	case exists(inner):
		if err := i.file(ctx, e, inner, liveBase); err != nil {
			return err
		}
	case exists(liveImage+"/usr") || exists(liveImage+"/ostree") || exists(liveImage+"/proc") || exists(liveImage+"/sbin"):
		if err := i.mount(liveImage, liveBase, "", "bind"); err != nil {
			return err
		}
	default:
		return fmt.Errorf("the live image holds neither LiveOS/rootfs.img nor a root tree (usr, ostree, proc)")
	}
	for _, d := range []string{liveUpper, liveWork} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make overlay: %w", err)
		}
	}
	e.Module("overlay")
	return i.mount("LiveOS_rootfs", Target, "overlay", "lowerdir="+liveBase+",upperdir="+liveUpper+",workdir="+liveWork)
}

func exists(p string) bool {
	_, err := os.Lstat(p)
	return err == nil
}

// handOver takes the "/" line out of the image's own fstab: systemd would
// wait for the device that it names.
func handOver(e *Env) error {
	p := resolveIn(Target, "/etc/fstab")
	b, err := os.ReadFile(p)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hand over to the live root: %w", err)
	}
	out, cut := CommentRoot(string(b))
	if len(cut) == 0 {
		return nil
	}
	for _, l := range cut {
		e.Log.Infof("live root: fstab line %q does not apply and is commented out in the overlay", l)
	}
	if err := os.WriteFile(p, []byte(out), 0o644); err != nil {
		return fmt.Errorf("hand over to the live root: %w", err)
	}
	return nil
}

// CommentRoot comments the lines for "/" out of an fstab and returns them.
func CommentRoot(fstab string) (out string, cut []string) {
	lines := strings.SplitAfter(fstab, "\n")
	for i, l := range lines {
		f := strings.Fields(l)
		if len(f) >= 2 && !strings.HasPrefix(f[0], "#") && f[1] == "/" {
			cut = append(cut, strings.TrimSpace(l))
			lines[i] = "# live root: " + l
		}
	}
	return strings.Join(lines, ""), cut
}

// liveBlock is a live image on a local medium.
type liveBlock struct {
	spec     cmdline.Root
	dir, img string
	dev      string
	fs       string
	image    image
}

func newLiveBlock(spec cmdline.Root, l cmdline.Line) (Root, error) {
	b := &liveBlock{spec: spec, dir: "LiveOS", img: "squashfs.img"}
	if w, ok := l.Last("rd.live.dir", "live_dir"); ok && w.Value != "" {
		b.dir = w.Value
	}
	if v, ok := l.Get("rd.live.squashimg"); ok && v != "" {
		b.img = v
	}
	return b, nil
}

func (b *liveBlock) Describe() string { return b.spec.String() }
func (b *liveBlock) Network() bool    { return false }

func (b *liveBlock) Prepare(ctx context.Context, e *Env) error {
	dev, found, err := e.Devices.Wait(ctx, b.spec.Device, e.Limit)
	if err != nil {
		return fmt.Errorf("find live medium %s: %w", b.spec, err)
	}
	b.dev, b.fs = dev, found.FS
	return nil
}

func (b *liveBlock) Mount(ctx context.Context, e *Env) error {
	e.Module(b.fs)
	if b.fs == "squashfs" || b.fs == "erofs" {
		if err := b.image.mount(b.dev, liveImage, b.fs, "ro"); err != nil {
			return err
		}
		return b.image.overlay(ctx, e)
	}
	if err := b.image.mount(b.dev, liveMedium, b.fs, "ro"); err != nil {
		return err
	}
	if err := b.image.file(ctx, e, filepath.Join(liveMedium, b.dir, b.img), liveImage); err != nil {
		return err
	}
	return b.image.overlay(ctx, e)
}

func (b *liveBlock) HandOver(_ context.Context, e *Env) error { return handOver(e) }
func (b *liveBlock) Stop()                                    { b.image.stop() }

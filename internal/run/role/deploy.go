package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/human"
	"bareroot/internal/plan"
	"bareroot/internal/stream"
)

// Deploy writes a system image to a disk: download, decompress, hash and
// write in one pass. Everything that can fail is tried before the first
// write; the partition table is written last, when the hash was right.
type Deploy struct {
	Fetch   *stream.Fetcher
	Disks   func(ctx context.Context) ([]disk.Info, error)
	Console io.Writer
}

// Run carries out one deploy order.
func (d *Deploy) Run(ctx context.Context, o api.Order, rep Reporter) error {
	if err := known(o.Deploy); err != nil {
		return err
	}
	r := &run{Deploy: d, order: o, spec: *o.Deploy, rep: rep, seconds: map[string]float64{}}
	if strings.HasPrefix(r.spec.Image.URL, "/") {
		r.spec.Image.URL = strings.TrimSuffix(d.Fetch.Origin, "/") + r.spec.Image.URL
	}
	err := r.all(ctx)
	res := api.Result{BytesRead: r.read.Load(), ImageBytes: r.imageBytes, Disk: r.diskID, Seconds: r.seconds}
	if r.writer != nil {
		res.BytesWritten = r.writer.Written()
	}
	rep.Result(res)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // how a read that was cut describes itself helps nobody
	}
	if err != nil && r.writing {
		err = fmt.Errorf("%w (disk %s is marked as unfinished and does not boot)", err, r.diskID)
	}
	return err
}

// known refuses what this program would have to guess about.
func known(s *api.DeploySpec) error {
	switch {
	case s == nil:
		return errors.New("the order says deploy, but not what")
	case s.Image.Format != "" && s.Image.Format != "raw":
		return fmt.Errorf("not supported: deploying an image of format %q; raw is", s.Image.Format)
	case s.After != "" && s.After != "reboot" && s.After != "poweroff" && s.After != "wait":
		return fmt.Errorf("not supported: %q after the deployment; reboot, poweroff and wait are", s.After)
	case s.Image.Size <= 0:
		return errors.New("the order does not say how many bytes the image has")
	}
	return nil
}

// all is the order of things. It owns the goroutines of the download.
func (r *run) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	src := &source{}
	defer src.close()
	defer cancel() // before close: a blocked read must return first

	defer r.watch()()
	r.phase(plan.PhaseCheck)
	if err := r.open(ctx, src); err != nil {
		return err
	}
	dev, err := r.check(ctx, src)
	if err != nil || dev == nil {
		return err
	}
	defer dev.Close()
	return r.write(ctx, src, dev)
}

// check reads the image's head, plans, and opens the disk. A nil device
// without an error is a dry run.
func (r *run) check(ctx context.Context, src *source) (*disk.Device, error) {
	image, err := disk.ReadImage(src.raw, r.spec.Image.RawSize)
	if err != nil {
		return nil, src.explain(ctx, err)
	}
	disks, err := r.Disks(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the disks: %w", err)
	}
	p, target, err := plan.Deploy(plan.Input{Order: &r.order, Disks: disks, Image: image})
	plan.Print(r.Console, p)
	r.rep.Plan(p)
	if err != nil {
		return nil, err
	}
	r.diskID, r.image = target.ID, image
	if r.spec.DryRun {
		r.endPhase()
		r.rep.Note("dry run: nothing was written")
		return nil, nil
	}
	dev, err := disk.Open(target.Path)
	if err != nil {
		return nil, err
	}
	if dev.Size != target.Size || dev.Sector != target.SectorSize {
		dev.Close()
		return nil, fmt.Errorf("disk %s has %d bytes in sectors of %d now, the plan says %d in %d", target.Path, dev.Size, dev.Sector, target.Size, target.SectorSize)
	}
	return dev, nil
}

// write is everything from the first write on.
func (r *run) write(ctx context.Context, src *source, dev *disk.Device) error {
	im := r.spec.Image
	w := &disk.Writer{Dev: dev, Image: r.image, Mark: disk.Mark{Order: r.order.ID, Attempt: r.order.Attempt, Image: im.SHA256}}
	r.writer, r.writing = w, true
	r.phase(plan.PhaseWrite)
	if err := w.Begin(); err != nil {
		return err
	}
	err := w.Copy(ctx, src.raw)
	r.imageBytes = w.Done()
	if err == nil {
		r.written()
	}
	var fromSource *disk.SourceError
	if errors.As(err, &fromSource) {
		return src.explain(ctx, err)
	}
	if err != nil {
		return err
	}
	r.phase(plan.PhaseVerify)
	// The decoder may stop before the download's end is seen and judged.
	if n, err := io.Copy(io.Discard, src.ahead); err != nil {
		return err
	} else if n > 0 && im.Compression == "" {
		return fmt.Errorf("the download goes on for %d bytes after the image", n)
	}
	if err := dev.Sync(); err != nil {
		return err
	}
	r.phase(plan.PhaseFinish)
	reread, err := w.Finish()
	if err != nil {
		return err
	}
	r.writing = false
	r.endPhase()
	if !reread {
		r.rep.Note("the kernel has no partitions on this device: the new table was not re-read")
	}
	r.rep.Note(fmt.Sprintf("wrote %s of a %s image to %s in %s", human.Bytes(w.Written()), human.Bytes(r.imageBytes), dev.Path, human.Duration(time.Duration(r.seconds[plan.PhaseWrite]*float64(time.Second)))))
	return nil
}

package build

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
)

// target is where an output wants a part's bytes; the closer ends the part.
type target interface {
	create(part int, name string) (io.WriteCloser, error)
	links() bool                                     // its parts can be the cache's, by hard links
	kept(part int, name string, f *cache.File) error // the part is f, which the target closes
	skip(part int)                                   // it does not come
}

// The parts of a ramdisk in their order.
const (
	partMicrocode = iota
	partInit
	partUserland
	partTools
	partModules
	partFirmware
	partAgent
	partConfig
	parts
)

// assembler writes the parts side by side.
type assembler struct {
	o  *Options
	r  *recipe
	to target

	known  *knownFiles
	made   [parts]*part
	kernel *keeping
	sized  func() // the size of the modules' part is known
}

// part is one finished segment.
type part struct {
	seg   bootset.Segment
	line  SegmentResult
	files []bootset.File
	keep  *keeping // nil if it is not
}

// assemble writes all segments (and the kernel) and describes them. The small
// segments are one worker, the modules have the rest.
func assemble(ctx context.Context, o *Options, r *recipe, to target) (*Result, []bootset.File, []keeping, error) {
	m := &bootset.Manifest{
		Version: bootset.Version, Arch: r.arch, Kver: r.kver, Cmdline: o.Cmdline, Roles: o.Roles, BuildID: o.BuildID,
	}
	res := &Result{Manifest: m, Modules: len(r.modules), Notices: append([]string{}, r.notices...), MissingFirmware: []string{}, LeftOut: r.leftOut}
	for _, w := range r.features {
		res.Features = append(res.Features, w.Name)
	}
	a := &assembler{o: o, r: r, to: to, known: r.known}
	none := codec{name: "none"}
	first := "userland"
	if o.TwoParts {
		first = kindMain
	}
	if len(r.microcode) == 0 && !(o.TwoParts && !o.NoKernel) {
		to.skip(partMicrocode)
	}
	if len(r.pid1) == 0 {
		to.skip(partInit)
	}
	if len(r.tools) == 0 {
		to.skip(partTools)
	}
	if o.NoKernel || o.TwoParts {
		to.skip(partModules)
		to.skip(partFirmware)
	}
	g, ctx := errgroup.WithContext(ctx)
	begin := make(chan struct{})
	a.sized = sync.OnceFunc(func() { close(begin) })
	if !o.TwoParts || o.NoKernel {
		a.sized()
	}
	g.Go(func() error {
		// What comes behind the modules in one file has no place before, and would
		// be written twice.
		select {
		case <-begin:
		case <-ctx.Done():
			return ctx.Err()
		}
		// Tools are often what is new in a build, and large; they need not wait.
		small, sub := errgroup.WithContext(ctx)
		small.Go(func() error {
			return a.items(sub, partTools, "tools", "15-tools.cpio", r.segments, r.tools)
		})
		small.Go(func() error {
			for _, p := range []struct {
				i          int
				kind, name string
				codec      codec
				items      []item
			}{
				{partMicrocode, "microcode", "00-microcode.cpio", none, r.microcode},
				{partInit, "init", "10-init.cpio", r.everyBoot, r.pid1},
				{partUserland, first, "10-" + first + ".cpio", r.everyBoot, r.userland},
				{partAgent, "agent", "40-agent.cpio", none, r.agent},
				{partConfig, "config", "50-config.cpio", none, r.config},
			} {
				if err := a.items(sub, p.i, p.kind, p.name, p.codec, p.items); err != nil {
					return err
				}
			}
			return nil
		})
		if err := small.Wait(); err != nil {
			return err
		}
		if r.kernel == "" {
			return nil
		}
		blob, err := a.kernelFile(ctx)
		m.Kernel = blob
		return err
	})
	if !o.NoKernel {
		g.Go(func() error {
			missing, err := a.kernelParts(ctx)
			res.MissingFirmware = append(res.MissingFirmware, missing...)
			return err
		})
	}
	if err := errors.Join(g.Wait(), a.known.save()); err != nil {
		return nil, nil, nil, err
	}
	var files []bootset.File
	var keep []keeping
	for _, p := range a.made {
		if p == nil {
			continue
		}
		if k := p.keep; k != nil {
			k.blob = p.seg.Blob
			keep = append(keep, *k)
		}
		m.Segments = append(m.Segments, p.seg)
		res.Segments = append(res.Segments, p.line)
		res.Size += p.seg.Size
		files = append(files, p.files...)
	}
	if a.kernel != nil {
		keep = append(keep, *a.kernel)
	}
	m.ID = m.Sum()
	return res, files, keep, nil
}

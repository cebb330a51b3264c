package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/bootset"
	"bareroot/internal/kmod"
)

// target is where an output wants a part's bytes; the closer ends the part.
type target interface {
	create(part int, name string) (io.WriteCloser, error)
	skip(part int) // it does not come
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
	o    *Options
	r    *recipe
	to   target
	made [parts]*part
}

// part is one finished segment.
type part struct {
	seg   bootset.Segment
	line  SegmentResult
	files []bootset.File
}

// assemble writes all segments (and the kernel) and describes them. The small
// segments are one worker, the modules have the rest.
func assemble(ctx context.Context, o *Options, r *recipe, to target) (*Result, []bootset.File, error) {
	m := &bootset.Manifest{
		Version: bootset.Version, Arch: r.arch, Kver: r.kver, Cmdline: o.Cmdline, Roles: o.Roles, BuildID: o.BuildID,
	}
	res := &Result{Manifest: m, Modules: len(r.modules), Notices: append([]string{}, r.notices...), MissingFirmware: []string{}, LeftOut: r.leftOut}
	for _, w := range r.features {
		res.Features = append(res.Features, w.Name)
	}
	a := &assembler{o: o, r: r, to: to}
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
	g.Go(func() error {
		for _, p := range []struct {
			i          int
			kind, name string
			codec      codec
			items      []item
		}{
			{partMicrocode, "microcode", "00-microcode.cpio", none, r.microcode},
			{partInit, "init", "10-init.cpio", r.segments, r.pid1},
			{partUserland, first, "10-" + first + ".cpio", r.segments, r.userland},
			{partTools, "tools", "15-tools.cpio", r.segments, r.tools},
			{partAgent, "agent", "40-agent.cpio", r.segments, r.agent},
			{partConfig, "config", "50-config.cpio", none, r.config},
		} {
			if len(p.items) == 0 {
				continue
			}
			if err := a.items(ctx, p.i, p.kind, p.name+p.codec.suffix(), p.codec, p.items); err != nil {
				return err
			}
		}
		if r.kernel == "" {
			return nil
		}
		blob, err := copyKernel(r.kernel, to)
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
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	var files []bootset.File
	for _, p := range a.made {
		if p == nil {
			continue
		}
		m.Segments = append(m.Segments, p.seg)
		res.Segments = append(res.Segments, p.line)
		res.Size += p.seg.Size
		files = append(files, p.files...)
	}
	if n := o.Cache.Notice(); n != "" {
		res.Notices = append(res.Notices, n)
	}
	m.ID = m.Sum()
	return res, files, nil
}

// items writes a segment of items, or takes it from the cache if it was made
// before from the same contents. Plain ones are not worth keeping, and of gzip's
// the pieces are kept.
func (a *assembler) items(ctx context.Context, i int, kind, name string, c codec, items []item) error {
	start := time.Now()
	w, err := a.to.create(i, name)
	if err != nil {
		return err
	}
	defer w.Close()
	if a.o.Cache == nil || c.name == "none" || c.name == "gzip" {
		s, err := a.written(ctx, w, kind, name, c, items, nil)
		if err != nil {
			return err
		}
		return a.finish(i, s, w)
	}
	content, err := sums(ctx, items)
	if err != nil {
		return err
	}
	key := contentKey(kind, c, a.o.ModTime, items, content)
	if b, ok := a.o.Cache.Get(key); ok {
		p := &part{line: SegmentResult{Kind: kind, File: name, Cached: true}}
		for j, it := range items {
			f := describe(kind, it, content[j])
			if it.regular() {
				p.line.Files++
				p.line.Raw += f.Size
			}
			p.files = append(p.files, f)
		}
		h := newHashing(w)
		if _, err := h.Write(b); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		p.seg = bootset.Segment{Kind: kind, Compression: c.word(), Blob: h.blob(name)}
		p.line.Size, p.line.Seconds = h.n, time.Since(start).Seconds()
		a.made[i] = p
		return w.Close()
	}
	var kept bytes.Buffer
	s, err := a.written(ctx, io.MultiWriter(w, &kept), kind, name, c, items, content)
	if err != nil {
		return err
	}
	if err := a.finish(i, s, w); err != nil {
		return err
	}
	a.o.Cache.Put(key, kept.Bytes())
	return nil
}

// written writes items as a segment. Their contents must be those of sums, if
// sums are given.
func (a *assembler) written(ctx context.Context, w io.Writer, kind, name string, c codec, items []item, sums [][]byte) (*segmentWriter, error) {
	s, err := newSegment(ctx, w, kind, name, c, a.o.ModTime, making{a.o.Cache, a.o.Jobs, a.o.TwoParts && sums == nil})
	if err != nil {
		return nil, err
	}
	for i, it := range items {
		if err := ctx.Err(); err != nil {
			s.pack.Close()
			return nil, err
		}
		sum, err := s.put(it)
		if err == nil && sums != nil && !bytes.Equal(sum, sums[i]) {
			err = fmt.Errorf("%s changed while it was read; build again", it.From)
		}
		if err != nil {
			s.pack.Close()
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return s, nil
}

func (a *assembler) finish(i int, s *segmentWriter, w io.Closer) error {
	seg, line, err := s.close()
	if err == nil {
		err = w.Close()
	}
	a.made[i] = &part{seg, line, s.files}
	return err
}

func copyKernel(from string, to target) (bootset.Blob, error) {
	f, err := os.Open(from)
	if err != nil {
		return bootset.Blob{}, fmt.Errorf("read kernel: %w", err)
	}
	defer f.Close()
	w, err := to.create(parts, "vmlinuz")
	if err != nil {
		return bootset.Blob{}, err
	}
	defer w.Close()
	h := newHashing(w)
	if _, err := io.Copy(h, f); err != nil {
		return bootset.Blob{}, fmt.Errorf("copy kernel %s: %w", from, err)
	}
	return h.blob("vmlinuz"), w.Close()
}

// moduleName is a module's path in the ramdisk's tree.
func (r *recipe) moduleName(p string) string {
	if r.inside.name == "none" {
		return plainName(p)
	}
	return plainName(p) + ".zst"
}

// moduleTree are the folders and indexes of the modules' segment; the modules
// themselves have no reason there.
func (r *recipe) moduleTree() ([]item, error) {
	root := r.modulesRoot()
	paths := make([]string, len(r.modules))
	var tree []item
	for i, c := range r.modules {
		paths[i] = c.Module.Path
		tree = append(tree, item{Path: root + "/" + c.Module.Path})
	}
	indexes, err := r.index.Subset(paths, r.moduleName)
	if err != nil {
		return nil, err
	}
	// Init reads the text; kmod's programs and library read nothing else.
	if slices.ContainsFunc(r.tools, func(it item) bool {
		return path.Base(it.Path) == "kmod" || strings.HasPrefix(path.Base(it.Path), "libkmod.so")
	}) {
		maps.Copy(indexes, kmod.Binary(indexes))
	}
	tree = withParents(append(tree, indexItems(root, indexes)...))
	return slices.DeleteFunc(tree, func(it item) bool { return it.Why == "" }), nil
}

// kernelParts writes the modules and the firmware that they name, a segment
// each; with TwoParts one, after what is there for the boot loader's early part.
// It returns the firmware that is not there.
func (a *assembler) kernelParts(ctx context.Context) (missing []string, err error) {
	i, kind, file := partModules, "modules", "20-modules.cpio"
	if a.o.TwoParts {
		i, kind, file = partMicrocode, "early", "00-early.cpio"
	}
	w, err := a.to.create(i, file)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	s, err := newSegment(ctx, w, kind, file, codec{name: "none"}, a.o.ModTime, making{unhashed: a.o.TwoParts})
	if err != nil {
		return nil, err
	}
	if err := s.more(a.r.early); err != nil {
		return nil, err
	}
	firmware, err := a.modules(ctx, s)
	if err != nil {
		return nil, err
	}
	items, missing, err := a.r.firmware.items(firmware)
	if err != nil {
		return nil, err
	}
	items = a.o.remaining(items)
	if a.o.TwoParts {
		if err := s.more(items); err != nil {
			return nil, err
		}
		items = nil
	}
	if err := a.finish(i, s, w); err != nil || len(items) == 0 {
		a.to.skip(partFirmware)
		return missing, err
	}
	return missing, a.items(ctx, partFirmware, "firmware", "30-firmware.cpio", codec{name: "none"}, items)
}

// modules packs the modules side by side and writes them in order. At most two
// modules a worker are in memory. It returns the firmware that they name, with
// the modules that do.
func (a *assembler) modules(ctx context.Context, s *segmentWriter) (map[string][]string, error) {
	source := newModuleSource(a.o, a.r)
	source.open(a.o, a.r)
	firmware, err := a.packModules(ctx, source, s)
	source.close()
	if err != nil {
		return nil, err
	}
	return firmware, source.tree.save()
}

func (a *assembler) packModules(ctx context.Context, source *moduleSource, s *segmentWriter) (map[string][]string, error) {
	r, o := a.r, a.o
	g, ctx := errgroup.WithContext(ctx)
	type job struct {
		c   chosen
		out chan packed
	}
	jobs := make(chan job)
	queue := make(chan job, 2*o.Jobs) // in order of writing; its length bounds memory
	g.Go(func() error {
		defer close(jobs)
		defer close(queue)
		for _, c := range r.modules {
			j := job{c, make(chan packed, 1)}
			for _, to := range []chan job{queue, jobs} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range o.Jobs {
		g.Go(func() error {
			m, err := newModuleCompressor(r.inside)
			if err != nil {
				return err
			}
			defer m.close()
			for j := range jobs {
				p, err := source.module(ctx, m, filepath.Join(r.index.Dir(), j.c.Module.Path), j.c)
				if err != nil {
					return err
				}
				j.out <- p
			}
			return nil
		})
	}
	firmware := firmwareNames{}
	g.Go(func() error {
		tree, err := r.moduleTree()
		if err == nil {
			err = s.more(tree)
		}
		if err != nil {
			return err
		}
		done := 0
		for j := range queue {
			select {
			case p := <-j.out:
				if err := s.module(r.modulesRoot()+"/"+r.moduleName(j.c.Module.Path), p); err != nil {
					return fmt.Errorf("write %s: %w", s.name, err)
				}
				firmware.add(p.Firmware, j.c.Module.Name)
				source.keep(p)
			case <-ctx.Done():
				return ctx.Err()
			}
			done++
			o.Progress(Progress{s.kind, done, len(r.modules)})
		}
		return nil
	})
	return firmware, g.Wait()
}

// firmwareNames maps firmware to the modules that name it.
type firmwareNames map[string][]string

func (n firmwareNames) add(firmware []string, module string) {
	for _, f := range firmware {
		if !slices.Contains(n[f], module) {
			n[f] = append(n[f], module)
		}
	}
}

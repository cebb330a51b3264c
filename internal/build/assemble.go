package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/bootset"
)

// target is where an output wants a part's bytes; the closer ends the part.
type target interface {
	create(name string) (io.WriteCloser, error)
}

// assemble writes all segments (and the kernel) and describes them. Userland
// and agent are one worker each, the modules have the rest.
func assemble(ctx context.Context, o *Options, r *recipe, to target) (*Result, []bootset.File, error) {
	m := &bootset.Manifest{
		Version: bootset.Version, Arch: r.arch, Kver: r.kver, Cmdline: o.Cmdline, Roles: o.Roles, BuildID: o.BuildID,
	}
	res := &Result{Manifest: m, Modules: len(r.modules), Notices: append([]string{}, r.notices...), MissingFirmware: []string{}}
	type made struct {
		seg   bootset.Segment
		line  SegmentResult
		files []bootset.File
	}
	parts := make([]*made, 5)
	g, ctx := errgroup.WithContext(ctx)
	finish := func(i int, s *segmentWriter, w io.Closer) error {
		seg, line, err := s.close()
		if err == nil {
			err = w.Close()
		}
		parts[i] = &made{seg, line, s.files}
		return err
	}
	part := func(i int, kind, name string, compressed bool, items []item) error {
		w, err := to.create(name)
		if err != nil {
			return err
		}
		defer w.Close()
		s, err := whole(ctx, w, kind, name, compressed, o, items)
		if err != nil {
			return err
		}
		return finish(i, s, w)
	}
	g.Go(func() error {
		if err := part(0, "userland", "10-userland.cpio.zst", true, r.userland); err != nil {
			return err
		}
		if len(r.agent) > 0 {
			if err := part(3, "agent", "40-agent.cpio.zst", true, r.agent); err != nil {
				return err
			}
		}
		if r.kernel != "" {
			blob, err := copyKernel(r.kernel, to)
			if err != nil {
				return err
			}
			m.Kernel = blob
		}
		return part(4, "config", "50-config.cpio", false, r.config)
	})
	g.Go(func() error {
		w, err := to.create("20-modules.cpio")
		if err != nil {
			return err
		}
		defer w.Close()
		s, err := newSegment(w, "modules", "20-modules.cpio", false, o.ModTime)
		if err != nil {
			return err
		}
		firmware, err := r.writeModules(ctx, o, s)
		if err != nil {
			return err
		}
		if err := finish(1, s, w); err != nil {
			return err
		}
		items, missing, err := r.firmware.items(firmware)
		if err != nil {
			return err
		}
		res.MissingFirmware = append(res.MissingFirmware, missing...)
		if len(items) == 0 {
			return nil
		}
		return part(2, "firmware", "30-firmware.cpio", false, items)
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	var files []bootset.File
	for _, p := range parts {
		if p == nil {
			continue
		}
		m.Segments = append(m.Segments, p.seg)
		res.Segments = append(res.Segments, p.line)
		res.Size += p.seg.Size
		files = append(files, p.files...)
	}
	m.ID = m.Sum()
	return res, files, nil
}

func copyKernel(from string, to target) (bootset.Blob, error) {
	f, err := os.Open(from)
	if err != nil {
		return bootset.Blob{}, fmt.Errorf("read kernel: %w", err)
	}
	defer f.Close()
	w, err := to.create("vmlinuz")
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

// writeModules packs the modules side by side and writes them in order. At most
// two modules a worker are in memory. It returns the firmware that they name,
// with the modules that do.
func (r *recipe) writeModules(ctx context.Context, o *Options, s *segmentWriter) (map[string][]string, error) {
	root := r.modulesRoot()
	name := func(p string) string { return plainName(p) + ".zst" }
	paths := make([]string, len(r.modules))
	var tree []item
	for i, c := range r.modules {
		paths[i] = c.Module.Path
		tree = append(tree, item{Path: root + "/" + c.Module.Path})
	}
	indexes, err := r.index.Subset(paths, name)
	if err != nil {
		return nil, err
	}
	tree = append(tree, indexItems(root, indexes)...)
	for _, it := range withParents(tree) {
		if it.Why == "" { // a module: below
			continue
		}
		if err := s.put(it); err != nil {
			return nil, fmt.Errorf("write %s: %w", s.name, err)
		}
	}

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
			enc, err := newEncoder(nil)
			if err != nil {
				return err
			}
			defer enc.Close()
			for j := range jobs {
				p, err := packModule(enc, filepath.Join(r.index.Dir(), j.c.Module.Path), j.c, r.arch)
				if err != nil {
					return err
				}
				j.out <- p
			}
			return nil
		})
	}
	firmware := map[string][]string{}
	g.Go(func() error {
		done := 0
		for j := range queue {
			select {
			case p := <-j.out:
				if err := s.module(root+"/"+name(j.c.Module.Path), p); err != nil {
					return fmt.Errorf("write %s: %w", s.name, err)
				}
				for _, f := range p.Firmware {
					if !slices.Contains(firmware[f], j.c.Module.Name) {
						firmware[f] = append(firmware[f], j.c.Module.Name)
					}
				}
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

package build

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
	"bareroot/internal/kmod"
)

// moduleName is a module's path in the ramdisk's tree.
func (r *recipe) moduleName(p string) string {
	if r.inside.name == "none" {
		return plainName(p)
	}
	return plainName(p) + ".zst"
}

// moduleIndexes are those of the modules that were chosen.
func (r *recipe) moduleIndexes() (map[string][]byte, error) {
	paths := make([]string, len(r.modules))
	for i, c := range r.modules {
		paths[i] = c.Module.Path
	}
	return r.index.Subset(paths, r.moduleName)
}

// moduleTree are the folders and indexes of the modules' segment; the modules
// themselves have no reason there.
func (r *recipe) moduleTree() []item {
	root := r.modulesRoot()
	var tree []item
	for _, c := range r.modules {
		tree = append(tree, item{Path: root + "/" + c.Module.Path})
	}
	tree = append(tree, indexItems(root, r.indexes)...)
	// Init reads the text; kmod's programs and library read nothing else.
	if slices.ContainsFunc(r.tools, func(it item) bool {
		return path.Base(it.Path) == "kmod" || strings.HasPrefix(path.Base(it.Path), "libkmod.so")
	}) {
		tree = append(tree, indexItems(root, kmod.Binary(r.indexes))...)
	}
	return slices.DeleteFunc(withParents(tree), func(it item) bool { return it.Why == "" })
}

// kernelParts writes the modules and the firmware that they name, a segment
// each; with TwoParts one, after what is there for the boot loader's early part.
// It returns the firmware that is not there.
func (a *assembler) kernelParts(ctx context.Context) (missing []string, err error) {
	defer a.sized()
	k := kernelPart{assembler: a, i: partModules, kind: "modules", name: "20-modules.cpio", start: time.Now()}
	if a.o.TwoParts {
		k.i, k.kind, k.name = partMicrocode, "early", "00-early.cpio"
	}
	k.items = distinct(a.r.early, a.r.moduleTree())
	done := false
	if a.r.facts != nil && a.o.Cache != nil {
		if missing, err = k.addFirmware(a.r.named); err == nil {
			done, err = k.taken(ctx, a.r.facts)
		}
	}
	if !done && err == nil {
		missing, err = k.made(ctx)
	}
	if err != nil || len(k.firmware) == 0 || a.o.TwoParts {
		a.to.skip(partFirmware)
		return missing, err
	}
	return missing, a.items(ctx, partFirmware, "firmware", "30-firmware.cpio", codec{name: "none"}, k.firmware)
}

// kernelPart is the segment of the modules.
type kernelPart struct {
	*assembler
	i          int
	kind, name string
	start      time.Time

	items    []item   // before the modules
	firmware []item   // with TwoParts behind them, otherwise in a segment of its own
	keep     *keeping // nil while its key is not known, unless it is dear
}

func (k *kernelPart) addFirmware(names firmwareNames) (missing []string, err error) {
	items, missing, err := k.r.firmware.items(names)
	if err != nil {
		return nil, err
	}
	k.firmware = k.o.remaining(items)
	if k.o.TwoParts {
		k.firmware = distinct(k.items, k.firmware)[len(k.items):]
	}
	return missing, nil
}

// key names the segment, and sums are the hashes of the contents of what is in
// it besides modules.
func (k *kernelPart) key(ctx context.Context, facts []moduleFacts) (key cache.Key, sums [][]byte, err error) {
	items := k.items
	if k.o.TwoParts {
		items = slices.Concat(k.items, k.firmware)
	}
	if sums, err = k.known.sums(ctx, items); err != nil {
		return key, nil, err
	}
	var modules strings.Builder
	for i, c := range k.r.modules {
		fmt.Fprintf(&modules, "%q %s\n", k.r.moduleName(c.Module.Path), facts[i].SHA256)
	}
	return contentKey(k.kind, k.r.source.params, k.o.ModTime, items, sums, []byte(modules.String())), sums, nil
}

// taken takes the segment from the cache, if it is there, whose modules have
// these facts.
func (k *kernelPart) taken(ctx context.Context, facts []moduleFacts) (bool, error) {
	key, sums, err := k.key(ctx, facts)
	if err != nil {
		return false, err
	}
	k.keep = &keeping{key: key}
	f := k.o.Cache.OpenFile(key)
	if f == nil {
		return false, nil
	}
	k.sized()
	p := &part{}
	p.describe(k.kind, k.items, sums)
	for i, c := range k.r.modules {
		p.line.Raw += facts[i].Size
		p.line.Files++
		p.files = append(p.files, bootset.File{
			Path: k.r.modulesRoot() + "/" + k.r.moduleName(c.Module.Path), Segment: k.kind, Size: facts[i].Size, Mode: "0644",
			SHA256: facts[i].SHA256, Source: filepath.Join(k.r.index.Dir(), c.Module.Path), Why: c.Why,
		})
	}
	if k.o.TwoParts {
		p.describe(k.kind, k.firmware, sums[len(k.items):])
	}
	return true, k.take(k.i, k.kind, k.name, codec{name: "none"}, p, f, k.start)
}

// made writes the segment, packing the modules side by side. At most two of them a
// worker are in memory.
func (k *kernelPart) made(ctx context.Context) (missing []string, err error) {
	source := k.r.source
	source.open(k.o, k.r)
	if source.packed != nil { // much of it is new
		k.keep = &keeping{dear: true}
	}
	w, err := k.create(k.i, k.name, k.keep)
	if err != nil {
		source.close()
		return nil, err
	}
	defer w.Close()
	source.packed.Of(w.also)
	defer source.close()
	s, err := newSegment(ctx, w, k.kind, k.name, codec{name: "none"}, k.o.ModTime, making{unhashed: k.o.TwoParts})
	if err != nil {
		return nil, err
	}
	if err := s.all(k.items); err != nil {
		return nil, err
	}
	facts, err := k.packModules(ctx, source, s)
	if err != nil {
		return nil, err
	}
	names := firmwareNames{}
	for i, c := range k.r.modules {
		names.add(facts[i].Firmware, c.Module.Name)
	}
	if missing, err = k.addFirmware(names); err == nil && k.o.TwoParts {
		err = s.all(k.firmware)
	}
	if err != nil {
		return nil, err
	}
	if k.o.Cache != nil {
		key, _, err := k.key(ctx, facts)
		if err != nil {
			return nil, err
		}
		if k.keep == nil {
			k.keep = new(keeping)
			if !k.to.links() {
				k.o.Cache.Seen(key)
			}
		}
		k.keep.key = key // what was written, should a module have changed meanwhile
	}
	return missing, errors.Join(k.finish(k.i, s, w, k.keep), source.tree.save())
}

func (a *assembler) packModules(ctx context.Context, source *moduleSource, s *segmentWriter) ([]moduleFacts, error) {
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
	facts := make([]moduleFacts, len(r.modules))
	g.Go(func() error {
		done := 0
		for j := range queue {
			select {
			case p := <-j.out:
				at, err := s.module(r.modulesRoot()+"/"+r.moduleName(j.c.Module.Path), p)
				if err != nil {
					return fmt.Errorf("write %s: %w", s.name, err)
				}
				facts[done] = p.moduleFacts
				source.keep(p, at)
			case <-ctx.Done():
				return ctx.Err()
			}
			done++
			o.Progress(Progress{s.kind, done, len(r.modules)})
		}
		return nil
	})
	return facts, g.Wait()
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

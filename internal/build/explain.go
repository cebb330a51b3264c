package build

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/bootset"
	"bareroot/internal/build/owner"
)

// Explain returns what a build would put into the ramdisk and why, and what is
// to be said of it, without building. Contents are not hashed; modules are only
// read if their facts are not known yet.
func Explain(ctx context.Context, o Options) (files []bootset.File, notices []string, err error) {
	if err := o.complete(); err != nil {
		return nil, nil, err
	}
	r, err := newRecipe(ctx, &o, false)
	if err != nil {
		return nil, nil, err
	}
	add := func(kind string, items []item) {
		for _, it := range items {
			files = append(files, describe(kind, it, nil))
		}
	}
	add("microcode", r.microcode)
	add("init", r.pid1)
	add("userland", r.userland)
	add("tools", r.tools)
	if !o.NoKernel {
		add("modules", r.moduleTree())
		modules, firmware, err := r.explainModules(ctx, &o)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, modules...)
		items, missing, err := r.firmware.items(firmware)
		if err != nil {
			return nil, nil, err
		}
		add("firmware", o.remaining(items))
		if len(missing) > 0 {
			r.notices = append(r.notices, fmt.Sprintf("%d firmware files that these modules name are not installed", len(missing)))
		}
	}
	add("agent", r.agent)
	add("config", r.config)
	notice, err := o.addOwners(files)
	if notice != "" {
		r.notices = append(r.notices, notice)
	}
	return files, r.notices, err
}

func (r *recipe) explainModules(ctx context.Context, o *Options) (files []bootset.File, firmware firmwareNames, err error) {
	facts := make([]moduleFacts, len(r.modules))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Jobs)
	for i, c := range r.modules {
		g.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				facts[i], _, err = r.source.facts(filepath.Join(r.index.Dir(), c.Module.Path), c.Module.Path, new([]byte))
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	firmware = firmwareNames{}
	for i, c := range r.modules {
		files = append(files, bootset.File{
			Path: r.modulesRoot() + "/" + r.moduleName(c.Module.Path), Segment: "modules", Size: facts[i].Size, Mode: "0644",
			SHA256: facts[i].SHA256, Source: filepath.Join(r.index.Dir(), c.Module.Path), Why: c.Why,
		})
		firmware.add(facts[i].Firmware, c.Module.Name)
	}
	return files, firmware, r.source.tree.save()
}

// addOwners names the package of each file that comes from the sysroot, or says
// why it cannot.
func (o *Options) addOwners(files []bootset.File) (notice string, err error) {
	db, err := owner.Open(o.Sysroot)
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs(o.Sysroot)
	if err != nil {
		return "", err
	}
	for i := range files {
		f := &files[i]
		if f.Source == "" || f.Mode == "symlink" {
			continue
		}
		abs, err := filepath.Abs(f.Source)
		if err != nil {
			return "", err
		}
		if rel, err := filepath.Rel(root, abs); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			f.Package = db.Owner(rel)
		}
	}
	return db.Notice(), nil
}

package build

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// ahead begins with what takes long and asks for little, while the kernel's modules
// are looked at: bareroot-init is read, what the cache knows of files, and what
// programs need, which the resolver remembers. What is wrong with a program is said
// by who adds it.
func (r *recipe) ahead(ctx context.Context, o *Options, modules string) *errgroup.Group {
	var words []string
	if !o.KernelOnly {
		words = slices.Concat(o.Install, o.InstallOptional)
		for _, w := range r.features {
			for _, b := range w.Binaries {
				words = append(words, b.Name)
			}
		}
	}
	g := new(errgroup.Group)
	g.Go(func() (err error) {
		r.init, err = o.ownProgram("init", o.Init, "--init")
		r.tree, r.known = openTree(o.Cache, modules, "modules"), openKnown(o.Cache, o.Sysroot)
		return err
	})
	g.Go(func() error {
		for _, w := range words {
			paths, _ := r.find(w)
			for _, p := range paths {
				if ctx.Err() == nil {
					_, _ = r.resolver.Closure(p)
				}
			}
		}
		return nil
	})
	return g
}

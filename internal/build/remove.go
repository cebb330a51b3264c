package build

import (
	"fmt"
	"path"
	"slices"
)

// remove takes out again what Remove names, folders with all that is in them.
func (r *recipe) remove(o *Options) error {
	for _, p := range o.Remove {
		if _, err := path.Match(p, ""); err != nil {
			return inputError{fmt.Errorf("remove %s: %w", p, err)}
		}
	}
	for _, items := range []*[]item{&r.microcode, &r.pid1, &r.userland, &r.tools, &r.agent, &r.config} {
		*items = o.remaining(*items)
	}
	return nil
}

// removeModules does so with modules, before their indexes are made.
func (r *recipe) removeModules(o *Options) {
	r.modules = slices.DeleteFunc(r.modules, func(c chosen) bool {
		return o.removed(r.modulesRoot() + "/" + r.moduleName(c.Module.Path))
	})
}

func (o *Options) remaining(items []item) []item {
	return slices.DeleteFunc(items, func(it item) bool { return o.removed(it.Path) })
}

// removed tells whether a path or a folder above it is to be taken out.
func (o *Options) removed(p string) bool {
	for _, pattern := range o.Remove {
		pattern = ramdiskPath(pattern)
		for d := p; d != "." && d != "/"; d = path.Dir(d) {
			if ok, _ := path.Match(pattern, d); ok {
				return true
			}
		}
	}
	return false
}

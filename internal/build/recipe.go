package build

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"bareroot/internal/cpio"
	"bareroot/internal/kmod"
	"bareroot/internal/rdconf"
)

// item is one file of the ramdisk.
type item struct {
	Path  string
	Mode  uint32 // type and permission bits, as in cpio
	Link  string // symlink's target
	Data  []byte // content, if it is known already
	From  string // host file it comes from
	Why   string
	Major uint32
	Minor uint32
	Size  int64 // of the content; with From, when planned
}

// recipe is what the ramdisk will hold and why. Modules and firmware are not
// read yet.
type recipe struct {
	arch     string
	kver     string
	kernel   string // "" if it is not wanted
	userland []item
	agent    []item
	config   []item
	index    *kmod.Index
	modules  []chosen
	firmware firmwareDir
	notices  []string
}

func newRecipe(o *Options, wantKernel bool) (*recipe, error) {
	r := &recipe{}
	var err error
	if r.firmware, err = o.findFirmware(); err != nil {
		return nil, err
	}
	dir, kver, err := o.findModules()
	if err != nil {
		return nil, err
	}
	r.kver = kver
	if wantKernel {
		if r.kernel, err = o.findKernel(dir, kver); err != nil {
			return nil, err
		}
	}
	if r.index, err = kmod.Load(dir); err != nil {
		return nil, inputError{err}
	}
	if r.modules, err = selectModules(r.index, genericPicks()); err != nil {
		return nil, inputError{err}
	}
	if len(r.modules) == 0 {
		r.notices = append(r.notices, fmt.Sprintf("no module of the generic set is below %s: either all drivers are built into this kernel, or its modules package is missing", dir))
	}
	if err := r.addUserland(o); err != nil {
		return nil, err
	}
	if o.needsAgent() {
		if err := r.addAgent(o); err != nil {
			return nil, err
		}
	}
	return r, r.addConfig(o, wantKernel)
}

// addConfig writes the vendor configuration. The command line goes there only
// if no manifest carries it, or words that add up would count twice.
func (r *recipe) addConfig(o *Options, manifest bool) error {
	c := rdconf.Config{Version: rdconf.Version, Role: o.mainRole()}
	if !manifest {
		c.Cmdline = o.Cmdline
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write ramdisk configuration: %w", err)
	}
	r.config = withParents([]item{{
		Path: strings.TrimPrefix(rdconf.Vendor, "/"), Mode: cpio.TypeRegular | 0o644, Data: append(b, '\n'),
		Why: "ramdisk configuration: role and command line",
	}})
	return nil
}

// modulesRoot is where the kernel looks for modules, below the ramdisk's root.
func (r *recipe) modulesRoot() string { return "usr/lib/modules/" + r.kver }

// withParents adds the folders that are missing, and sorts by path, so that
// parents come first.
func withParents(items []item) []item {
	have := map[string]bool{}
	for _, it := range items {
		have[it.Path] = true
	}
	for _, it := range slices.Clone(items) {
		for d := path.Dir(it.Path); d != "."; d = path.Dir(d) {
			if !have[d] {
				have[d] = true
				items = append(items, dir(d, 0o755, "folder"))
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.Path, b.Path) })
	return items
}

func dir(p string, mode uint32, why string) item {
	return item{Path: p, Mode: cpio.TypeDir | mode, Why: why}
}

func link(p, target, why string) item {
	return item{Path: p, Mode: cpio.TypeSymlink | 0o777, Link: target, Why: why}
}

func file(p string, mode uint32, text, why string) item {
	return item{Path: p, Mode: cpio.TypeRegular | mode, Data: []byte(text), Why: why}
}

func char(p string, mode, major, minor uint32, why string) item {
	return item{Path: p, Mode: cpio.TypeChar | mode, Major: major, Minor: minor, Why: why}
}

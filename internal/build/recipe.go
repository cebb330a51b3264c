package build

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/build/elfdep"
	"bareroot/internal/build/feature"
	"bareroot/internal/build/host"
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
	arch      string
	kver      string
	kernel    string // "" if it is not wanted
	kconf     *kconfig
	features  []wanted
	crypttab  []host.Crypt
	secrets   []secret
	skeleton  []item // standing files, part of userland
	microcode []item
	early     []item // with TwoParts, what the plain archive begins with
	pid1      []item // init, in a segment of its own: it is the same for all
	userland  []item
	tools     []item // what features and the options add
	agent     []item
	config    []item
	index     *kmod.Index
	modules   []chosen
	indexes   map[string][]byte // of the modules' tree
	tree      *tree             // what is known of the kernel's modules
	known     *knownFiles       // and of the sysroot's files
	source    *moduleSource
	facts     []moduleFacts // of the modules, nil if some must be read for them
	named     firmwareNames // by the modules, with facts
	firmware  firmwareDir
	resolver  *elfdep.Resolver
	init      *program
	segments  codec // compression of segments
	everyBoot codec // of init's and the userland's
	inside    codec // compression of each module
	notices   []string
	leftOut   []string
}

func newRecipe(ctx context.Context, o *Options, wantKernel bool) (*recipe, error) {
	r := &recipe{skeleton: skeleton(), resolver: elfdep.New(o.Sysroot)}
	var err error
	if r.firmware, err = o.findFirmware(); err != nil {
		return nil, err
	}
	dir, kver, err := o.findModules()
	if err != nil {
		return nil, err
	}
	r.kver = kver
	// dracut does not look at the kernel it is told of.
	if wantKernel || o.Kernel != "" && !o.GoOn {
		kernel, err := o.findKernel(dir, kver)
		if err != nil {
			return nil, err
		}
		if wantKernel {
			r.kernel = kernel
		}
	}
	var h *host.Host
	var hostFeatures, notices []string
	if o.Hostonly {
		if h, err = r.readHost(o); err != nil {
			return nil, err
		}
		hostFeatures = h.Features()
	}
	if r.features, notices, err = wantedFeatures(o, hostFeatures); err != nil {
		return nil, err
	}
	r.notices = append(r.notices, notices...)
	ahead := r.ahead(ctx, o, dir)
	defer ahead.Wait() // also after an error: nobody is left behind
	if o.NoKernel {
		r.index = &kmod.Index{}
	} else if r.index, err = kmod.Load(dir); err != nil {
		return nil, inputError{err}
	}
	if r.kconf, err = o.findConfig(dir, kver); err != nil {
		return nil, err
	}
	r.firmware.kconf = r.kconf
	r.firmware.below(kver)
	if r.segments, r.inside, notices, err = chooseCodecs(ctx, o, r.kconf); err != nil {
		return nil, err
	}
	r.notices = append(r.notices, notices...)
	r.everyBoot = everyBoot(o, r.kconf, r.segments)
	if err := r.available(o); err != nil {
		return nil, err
	}
	if err := r.pickModules(o, h); err != nil {
		return nil, err
	}
	if err := r.dropCardless(o); err != nil {
		return nil, err
	}
	if o.Microcode || r.has(func(f feature.Info) bool { return f.Microcode }) {
		if err := r.addMicrocode(o, h); err != nil {
			return nil, err
		}
	}
	if err := ahead.Wait(); err != nil {
		return nil, err
	}
	if err := r.suits(o); err != nil {
		return nil, err
	}
	var beside errgroup.Group
	defer beside.Wait()
	if !o.NoKernel {
		beside.Go(func() (err error) { r.indexes, err = r.moduleIndexes(); return err })
		beside.Go(func() error {
			r.source = r.newModuleSource()
			r.facts, r.named = r.source.all(r)
			return nil
		})
	}
	if !o.KernelOnly {
		if h != nil && slices.Contains(r.featureNames(), "crypt") {
			r.crypttab = h.Crypttab()
		}
		beside.Go(func() error { return r.addAgent(ctx, o) })
		if err := r.addAllFiles(o); err != nil {
			return nil, err
		}
	}
	if err := beside.Wait(); err != nil {
		return nil, err
	}
	if !o.KernelOnly {
		if err := r.addConfig(o, h, wantKernel); err != nil {
			return nil, err
		}
	}
	return r, errors.Join(r.addExtra(o), r.remove(o))
}

func (r *recipe) addAllFiles(o *Options) error {
	if err := r.addFiles(o); err != nil {
		return err
	}
	if err := r.accounts(o); err != nil {
		return err
	}
	return r.addUserland(o)
}

func (r *recipe) readHost(o *Options) (*host.Host, error) {
	h, err := host.Read(o.HostRoot)
	if err != nil {
		return nil, fmt.Errorf("look at this machine: %w", err)
	}
	r.notices = append(r.notices, h.Notices...)
	return h, nil
}

// suits makes the ramdisk one for bareroot-init's architecture.
func (r *recipe) suits(o *Options) error {
	r.arch = r.init.Arch
	if o.kernelArch != "" && o.kernelArch != r.arch {
		return inputError{fmt.Errorf("kernel %s is for %s, bareroot-init %s for %s; give an init for %s with --init", cmp.Or(r.kernel, o.Kernel), o.kernelArch, o.Init, r.arch, o.kernelArch)}
	}
	return nil
}

// addConfig writes the vendor configuration. The command line goes there only
// if no manifest carries it, or words that add up would count twice.
func (r *recipe) addConfig(o *Options, h *host.Host, manifest bool) error {
	c := rdconf.Config{Version: rdconf.Version, Role: o.mainRole()}
	for _, n := range o.ForceDrivers {
		if !strings.HasPrefix(n, "=") {
			c.Modules = append(c.Modules, n)
		}
	}
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
	var words []string
	if h != nil && !o.NoHostCmdline {
		words = h.Cmdline()
	}
	for _, w := range r.features {
		words = append(words, w.Cmdline...)
	}
	if len(words) > 0 {
		r.config = withParents(append(r.config, file("etc/cmdline.d/20-build.conf", 0o644, strings.Join(words, " ")+"\n", "command line of this machine's root and of features")))
	}
	crypttab, err := r.crypttabItems(o)
	if len(crypttab) > 0 {
		r.config = withParents(append(r.config, crypttab...))
	}
	return err
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
				items = append(items, dir(d, folderMode(d), "folder"))
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.Path, b.Path) })
	return items
}

// folderMode is the mode of a folder that other segments may name again: the
// kernel sets the mode of the last one.
func folderMode(p string) uint32 {
	switch p {
	case "tmp", "var/tmp":
		return 0o1777
	case "root":
		return 0o700
	}
	return 0o755
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

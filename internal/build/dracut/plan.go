package dracut

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"bareroot/internal/build"
	"bareroot/internal/build/host"
)

// Machine is what a plan asks of the machine it runs on.
type Machine struct {
	Release    string                            // of the running kernel
	Getenv     func(string) string               // the environment
	Mountpoint func(dir string) bool             // whether something is mounted there
	Mount      func(dir string) ([]string, bool) // its device, dir, type and options
}

// Plan is what a command line and a configuration mean together.
type Plan struct {
	Build   build.Options
	Output  string
	Force   bool
	Level   int // of what is said: 0 nothing ... 6
	Logfile string
	Notices []string

	ShowModules bool
	PrintSize   bool
	Policy      string // how the root's device is named with hostonly
	Loginstall  string // folder for the list of what was taken from the host

	Vars Vars // all variables, joined
}

// NewPlan joins the command line with the configuration and says what is to be
// built.
func NewPlan(a *Args, c *Conf, m Machine) (*Plan, error) {
	p := &Plan{Notices: append(slices.Clone(a.Notices), c.Notices...)}
	if err := p.merge(a, c, m); err != nil {
		return nil, err
	}
	v := p.Vars
	p.Level = a.level(v)
	p.Force = v.yes("force")
	p.Logfile = v.text("logfile")
	p.Loginstall = v.text("loginstall")
	p.ShowModules, p.PrintSize = v.yes("show_modules"), v.yes("printsize")
	o := &p.Build
	o.TwoParts, o.GoOn = true, true
	o.Sysroot = orElse(v.text("sysroot"), "/")
	o.Kernel = v.text("kernel_image")
	o.NoKernel, o.KernelOnly = v.yes("no_kernel"), v.yes("kernel_only")
	o.Microcode = !o.NoKernel && (v.yes("early_microcode") || v.text("early_microcode") == "" && p.hasMicrocode())
	if tmp := v.text("tmpdir"); tmp != "" && !isDir(tmp) {
		return nil, fmt.Errorf("--tmpdir %s is no folder", tmp)
	}
	if a.Rebuild() != "" && p.samefile(a.Rebuild(), a.Output) {
		p.Force = true
	}
	for _, name := range overrides {
		if m.Getenv(name) != "" {
			p.notice("%s in the environment has no effect: no such program is run", name)
		}
	}
	for _, step := range []func(*Args, Machine) error{
		p.hostonly, p.kernel, p.modules, p.drivers, p.compress, p.files, p.etc, p.metadata, p.output,
	} {
		if err := step(a, m); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// overrides are the variables of the environment that name programs for dracut
// to run in place of others.
var overrides = [...]string{"DRACUT_INSTALL", "DRACUT_LDCONFIG", "DRACUT_LDD", "DRACUT_TESTBIN", "DRACUT_CP", "DRACUT_COMPRESS_BZIP2", "DRACUT_COMPRESS_CAT",
	"DRACUT_COMPRESS_GZIP", "DRACUT_COMPRESS_LBZIP2", "DRACUT_COMPRESS_LZ4", "DRACUT_COMPRESS_LZMA", "DRACUT_COMPRESS_LZOP", "DRACUT_COMPRESS_PIGZ", "DRACUT_COMPRESS_XZ",
	"DRACUT_COMPRESS_ZSTD"}

// notice adds a line for the user, once.
func (p *Plan) notice(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(p.Notices, s) {
		p.Notices = append(p.Notices, s)
	}
}

// merge lets the command line add to the configuration or replace it, option by
// option.
func (p *Plan) merge(a *Args, c *Conf, m Machine) error {
	v := Vars{}
	for _, known := range variables() {
		val, ok := c.Vars[known.Name]
		if !ok || strings.TrimSpace(strings.Join(val.Items, "")) == "" {
			continue
		}
		v[known.Name] = val
		switch {
		case known.Note == "" || v.text(known.Name) == known.Quiet:
		case known.Refuse:
			return fmt.Errorf("%s=%s in the configuration: %s", known.Name, v.text(known.Name), known.Note)
		default:
			p.notice("%s in the configuration: %s", known.Name, known.Note)
		}
	}
	if s := m.Getenv("INITRD_COMPRESS"); s != "" {
		v["compress"] = Value{Items: []string{s}}
	}
	replaced := map[string]bool{}
	for _, g := range a.given {
		o, arg := g.Opt, g.Arg
		if o.Arg == "" {
			arg = o.Value
		}
		switch o.How {
		case set:
			v[o.Var] = Value{Items: []string{arg}}
		case add:
			v.set(o.Var, " "+arg+" ", true)
		case replace:
			if !replaced[o.Var] {
				v[o.Var] = Value{}
			}
			replaced[o.Var] = true
			v.set(o.Var, " "+arg+" ", true)
		case line:
			v.setArray(o.Var, []string{arg}, true)
		}
		// Of these two the later one counts.
		switch o.Var {
		case "kernel_only":
			delete(v, "no_kernel")
		case "no_kernel":
			delete(v, "kernel_only")
		}
	}
	p.Vars = v
	return nil
}

// level is how much is to be said.
func (a *Args) level(v Vars) int {
	level := 4
	if a.Compat == "ng" {
		level = 3
	}
	if n, err := strconv.Atoi(v.text("stdloglvl")); err == nil {
		level = n
	}
	for _, g := range a.given {
		switch {
		case g.Opt.Var == "verbosity" && g.Opt.Value == "+":
			level++
		case g.Opt.Var == "verbosity":
			level--
		}
	}
	return min(max(level, 0), 6)
}

// hostonly is on or off by the two programs' defaults.
func (p *Plan) hostonly(a *Args, _ Machine) error {
	v := p.Vars
	if s := v.text("stdloglvl"); s != "" {
		if n, err := strconv.Atoi(s); err != nil || n < 0 {
			return fmt.Errorf("log level %q is no number from 0 to 6", s)
		}
	}
	o := &p.Build
	on := orElse(v.text("hostonly"), map[bool]string{true: "yes"}[a.Compat == "ng"])
	o.Hostonly = on == "yes" || on == "-h"
	switch mode := v.text("hostonly_mode"); mode {
	case "", "sloppy", "strict":
		if o.Hostonly {
			o.HostonlyMode, o.HostRoot = orElse(mode, "sloppy"), "/"
		}
	default:
		return fmt.Errorf("hostonly mode %q: there are sloppy and strict", mode)
	}
	o.NoHostCmdline = o.Hostonly && v.text("hostonly_cmdline") == "no"
	p.Policy = v.text("persistent_policy")
	if folder := "/dev/disk/" + p.Policy; p.Policy != "" && p.Policy != "mapper" && !isDir(folder) {
		p.notice("--persistent-policy %s: there is no folder %s", p.Policy, folder)
	}
	if o.Hostonly && p.Policy != "" && !o.NoHostCmdline {
		words, err := p.HostWords()
		if err != nil {
			return err
		}
		o.NoHostCmdline = true
		p.extra("etc/cmdline.d/20-host.conf", "command line of this machine's root", strings.Join(words, " ")+"\n")
	}
	return nil
}

// HostWords are the words by which this machine's root is found.
func (p *Plan) HostWords() ([]string, error) {
	h, err := host.Read("/")
	if err != nil {
		return nil, err
	}
	if p.Policy == "" {
		return h.Cmdline(), nil
	}
	return byPolicy(h.Cmdline(), p.Policy, "/dev"), nil
}

// modules are the features, by dracut's names.
func (p *Plan) modules(*Args, Machine) error {
	v, o := p.Vars, &p.Build
	var err error
	translate := func(name string) []string {
		names := v.list(name)
		if name == "dracutmodules" && (slices.Equal(names, []string{"all"}) || slices.Equal(names, []string{"auto"})) {
			return nil
		}
		w := &wanted{Root: o.Sysroot, Hostonly: o.Hostonly}
		if e := w.wants(names); e != nil && err == nil {
			err = e
		}
		for _, n := range w.Notices {
			p.notice("%s", n)
		}
		o.AddDrivers = append(o.AddDrivers, w.Drivers...)
		o.Install = append(o.Install, w.Programs...)
		return w.Features
	}
	o.Features = translate("dracutmodules")
	o.AddFeatures = translate("add_dracutmodules")
	o.ForceFeatures = translate("force_add_dracutmodules")
	if err != nil {
		return err
	}
	if o.Features == nil && len(v.list("dracutmodules")) > 0 && !slices.Contains([]string{"all", "auto"}, v.list("dracutmodules")[0]) {
		o.Features = []string{"base"} // an exclusive set all of whose members need nothing
	}
	omit := v.list("omit_dracutmodules")
	// dracut's default set has the checks of filesystems (fs-lib), all or those
	// that fscks names.
	switch {
	case v.yes("nofscks"), len(v.list("fscks")) > 0:
		omit = append(omit, "fs-lib")
	case o.Features == nil && !slices.Contains(omit, "fs-lib"):
		o.AddFeatures = compact(append(o.AddFeatures, "fsck"))
	}
	o.OmitFeatures, o.OmitDrivers = unwanted(omit)
	o.OmitFeatures = slices.DeleteFunc(o.OmitFeatures, func(n string) bool { return slices.Contains(o.ForceFeatures, n) })
	return nil
}

// drivers are kernel modules; dracut takes - and _ for the same.
func (p *Plan) drivers(*Args, Machine) error {
	v, o := p.Vars, &p.Build
	names := func(name string) []string {
		var out []string
		for _, w := range v.list(name) {
			if !strings.HasPrefix(w, "=") {
				w = strings.ReplaceAll(w, "-", "_")
			}
			out = append(out, w)
		}
		return out
	}
	o.Remove = append(o.Remove, v.list("remove_items")...)
	o.Drivers = names("drivers")
	o.AddDrivers = append(o.AddDrivers, names("add_drivers")...)
	o.ForceDrivers = names("force_drivers")
	o.Filesystems = names("filesystems")
	for _, w := range append(o.OmitDrivers, names("omit_drivers")...) {
		if !slices.Contains(slices.Concat(o.Drivers, o.AddDrivers, o.ForceDrivers), w) {
			p.Build.OmitDrivers = append(p.Build.OmitDrivers, w)
		}
	}
	o.OmitDrivers = compact(o.OmitDrivers)
	return nil
}

// samefile says whether a rebuilt image goes back to where it came from.
func (p *Plan) samefile(a, b string) bool {
	if b == "" || a == b {
		return true
	}
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

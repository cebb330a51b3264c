package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"bareroot/internal/build"
	"bareroot/internal/human"
)

// wordsFlag is a list of words: blanks and commas part them, and the flag may
// be repeated.
type wordsFlag struct{ to *[]string }

func (w wordsFlag) Set(s string) error {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
	if len(words) == 0 {
		return fmt.Errorf("no word in %q", s)
	}
	*w.to = append(*w.to, words...)
	return nil
}

func (w wordsFlag) Type() string { return "WORDS" }

func (w wordsFlag) String() string {
	if w.to == nil {
		return ""
	}
	return strings.Join(*w.to, " ")
}

// sizeFlag is a number of bytes as people write it.
type sizeFlag struct{ to *int64 }

func (s sizeFlag) Set(text string) (err error) {
	*s.to, err = human.ParseBytes(text)
	return err
}

func (s sizeFlag) Type() string { return "SIZE" }

func (s sizeFlag) String() string {
	if s.to == nil || *s.to == 0 {
		return ""
	}
	return human.Bytes(*s.to)
}

// pairs collects the flags that take two words. The flag holds the first, the
// second arrives among the arguments; both are in order.
type pairs struct{ open []pair }

type pair struct{ flag, first string }

type pairFlag struct {
	to   *pairs
	name string
}

func (p pairFlag) Set(s string) error {
	p.to.open = append(p.to.open, pair{p.name, s})
	return nil
}

func (p pairFlag) Type() string   { return "" }
func (p pairFlag) String() string { return "" }

// close joins the pairs with their second words.
func (p *pairs) close(o *build.Options, args []string) error {
	if len(args) > len(p.open) {
		return fmt.Errorf("build takes no argument, %q is one; the output is named with -o", args[len(p.open)])
	}
	for i, x := range p.open {
		if i >= len(args) {
			second := map[string]string{"include": "DST", "hook": "FILE"}[x.flag]
			return fmt.Errorf("--%s %s: it takes two words, and %s is missing", x.flag, x.first, second)
		}
		switch x.flag {
		case "include":
			o.Include = append(o.Include, build.Include{Src: x.first, Dst: args[i]})
		case "hook":
			o.Hooks = append(o.Hooks, build.Hook{Stage: x.first, File: args[i]})
		}
	}
	return nil
}

// buildFlags declares what a ramdisk can be made of.
func buildFlags(f *pflag.FlagSet, o *build.Options, two *pairs) {
	words := func(to *[]string, name, usage string) { f.Var(wordsFlag{to}, name, usage) }
	f.StringVar(&o.Sysroot, "sysroot", "/", "take kernel, modules, firmware, programs and certificates from below `DIR`")
	f.StringVar(&o.Kver, "kver", "", "kernel `VERSION` (default: the only or the newest one)")
	f.StringVar(&o.Kernel, "kernel", "", "kernel `FILE` (default: SYSROOT/boot/vmlinuz-VERSION)")
	f.StringVar(&o.ModulesDir, "modules-dir", "", "`DIR` with a folder of modules for each kernel (default: SYSROOT/lib/modules)")
	f.StringVar(&o.FirmwareDir, "firmware-dir", "", "`DIR` with firmware (default: SYSROOT/lib/firmware)")
	f.StringArrayVar(&o.Roles, "role", nil, "`ROLE` the ramdisk is for: root, discover, deploy, rescue; may be repeated (default: root)")
	f.StringVar(&o.Cmdline, "cmdline", "", "kernel command line")
	f.StringVar(&o.Init, "init", "", "bareroot-init `FILE`")
	f.StringVar(&o.Agent, "agent", "", "bareroot-agent `FILE`")
	f.StringVar(&o.Busybox, "busybox", "", "static busybox `FILE` (default: the one in SYSROOT)")

	f.BoolVarP(&o.Hostonly, "hostonly", "H", false, "only the drivers and features that this machine needs to reach its root")
	f.StringVar(&o.HostonlyMode, "hostonly-mode", "", "sloppy: also what another keyboard or disk may need (default); strict: only what is there")
	f.StringVar(&o.HostRoot, "host-root", "", "take sys, proc and etc of the machine from below `DIR` (default: /)")
	words(&o.Features, "feature", "exactly these features and what they need; `NAMES` may be dracut's")
	words(&o.AddFeatures, "add-feature", "the default features and these `NAMES`")
	words(&o.ForceFeatures, "force-feature", "as --add-feature, and these `NAMES` win over --omit-feature")
	words(&o.OmitFeatures, "omit-feature", "without these `NAMES`")
	words(&o.Drivers, "drivers", "only these kernel modules and what they need; `NAMES`, or =FOLDER as in =drivers/net/ethernet")
	words(&o.AddDrivers, "add-drivers", "these kernel modules, too (`NAMES` or =FOLDER)")
	words(&o.ForceDrivers, "force-drivers", "as --add-drivers, and load these `NAMES` before devices are probed")
	words(&o.OmitDrivers, "omit-drivers", "without these kernel modules (`NAMES`) and those that need them")
	words(&o.Filesystems, "filesystems", "of the filesystems' kernel modules only these `NAMES`")
	words(&o.Install, "install", "programs of the sysroot with all they need: `NAMES` or paths")
	words(&o.InstallOptional, "install-optional", "as --install; `NAMES` that are not there are left out")
	f.Var(pairFlag{two, "include"}, "include", "copy the file `SRC DST`, or what the folder SRC holds into DST")
	f.Var(pairFlag{two, "hook"}, "hook", "`STAGE FILE`: put a program where init looks for those of a stage")
	f.StringVar(&o.Tools, "tools", "", "shell and tools: busybox (default) or distro, those of SYSROOT")
	words(&o.Firmware, "firmware", "needed (default: what the modules name), all, none, or `PATTERNS` below the firmware folder")
	words(&o.OmitFirmware, "omit-firmware", "without the files that fit these `PATTERNS`")
	f.BoolVar(&o.Microcode, "microcode", false, "processor microcode in a segment before all others")
	f.StringVar(&o.Compress, "compress", "", "`HOW`: zstd (default), xz, gzip, lz4, none, best")
	f.IntVar(&o.CompressLevel, "compress-level", 0, "`LEVEL` of the compression (default: its own)")
	f.BoolVar(&o.NoKernel, "no-kernel", false, "no kernel modules and no firmware")
	f.BoolVar(&o.KernelOnly, "kernel-only", false, "kernel modules and firmware only")
	f.Var(sizeFlag{&o.SizeBudget}, "size-budget", "fail if the ramdisk is larger than `SIZE` (40MiB), and say what is big")
}

// checkBuild finds what contradicts itself.
func checkBuild(o *build.Options) error {
	oneOf := func(flag, value string, words ...string) error {
		if value != "" && !slices.Contains(words, value) {
			return fmt.Errorf("--%s %q: it is one of %s", flag, value, strings.Join(words, ", "))
		}
		return nil
	}
	if err := oneOf("hostonly-mode", o.HostonlyMode, "sloppy", "strict"); err != nil {
		return err
	}
	if err := oneOf("tools", o.Tools, "busybox", "distro"); err != nil {
		return err
	}
	if o.NoKernel && o.KernelOnly {
		return fmt.Errorf("--no-kernel and --kernel-only leave nothing")
	}
	if n := len(o.Drivers) + len(o.AddDrivers) + len(o.ForceDrivers) + len(o.Filesystems); o.NoKernel && n > 0 {
		return fmt.Errorf("--no-kernel leaves out the modules that --drivers, --add-drivers, --force-drivers or --filesystems name")
	}
	if n := len(o.Install) + len(o.InstallOptional) + len(o.Include) + len(o.Hooks); o.KernelOnly && n > 0 {
		return fmt.Errorf("--kernel-only leaves out what --install, --install-optional, --include or --hook name")
	}
	return nil
}

package dracut

import (
	"maps"
	"slices"
	"strings"
)

// Value is a variable of bash: one text, or an array of them.
type Value struct {
	Array bool
	Items []string // a text is one item
}

// Vars are the variables of the configuration.
type Vars map[string]Value

// variable is one that dracut.conf may set and that we know.
type variable struct {
	Name string
	// Note is why a value makes no difference here; "" if it does.
	Note string
	// Quiet is the value that needs no notice: what is done anyway.
	Quiet string
	// Refuse says that a value other than Quiet is an error, with Note.
	Refuse bool
}

// variables are all that we know, sorted by name.
func variables() []variable {
	byName := map[string]variable{}
	for _, name := range strings.Fields(`acpi_override acpi_table_dir add_dlopen_features compress_level_bzip2
		compress_level_gzip compress_level_lz4 compress_level_lzma compress_level_lzop compress_level_xz compress_level_zstd
		early_microcode_image_dir early_microcode_image_name fileloglvl i18n_default_font i18n_vars initrdname kmsgloglvl
		omit_dlopen_features realinitpath dracut_rescue_image sysloglvl uefi_secureboot_cert uefi_secureboot_engine uefi_secureboot_key`) {
		byName[name] = variable{Name: name}
	}
	// What an option says holds for its variable, too. Our own variables, which
	// a configuration cannot set, are left out.
	own := map[string]bool{}
	for _, name := range strings.Fields(`add_confdir allowlocal compat conffile confdir debug force help include kernel keep list_modules
		no_compress print_cmdline printconfig printsize profile rebuild regenerate_all sysroot verbosity version`) {
		own[name] = true
	}
	for _, o := range options() {
		if own[o.Var] || byName[o.Var].Name != "" && byName[o.Var].Note != "" {
			continue
		}
		v := variable{Name: o.Var}
		if o.Standing != mapped {
			v.Note, v.Refuse = o.Here, o.Standing == refused
		}
		byName[o.Var] = v
	}
	for _, v := range []variable{
		{Name: "do_strip", Note: hereStrip, Quiet: "no"},
		{Name: "aggressive_strip", Note: hereStrip, Quiet: "no"},
		{Name: "reproducible", Note: hereRepro, Quiet: "yes"},
		{Name: "mdadmconf"}, {Name: "lvmconf"}, // yes is done, no is the default
		{Name: "uefi", Note: hereUKI, Quiet: "no", Refuse: true},
		{Name: "ukify", Note: "UEFI executables are not made anyway"},
		{Name: "tmpdir"}, {Name: "parallel"},
		{Name: "noimageifnotneeded", Note: "the ramdisk is always needed: its init finds and checks the root", Quiet: "no"},
		{Name: "enhanced_cpio", Note: "files are read once, straight into the archive", Quiet: "no"},
		{Name: "hostonly_default_device", Note: "with hostonly, what is under /, swap and the mounts of the boot is always in: the ramdisk can do more, not less", Quiet: "yes"},
		{Name: "use_fstab", Note: "with hostonly the mounted filesystems and fstab are both read", Quiet: "no"},
		{Name: "add_device", Note: "init brings up every device that it has a driver for; with hostonly, name the driver in add_drivers"},
		{Name: "acpi_override", Note: "ACPI tables are not replaced yet", Quiet: "no", Refuse: true},
		{Name: "acpi_table_dir", Note: "ACPI tables are not replaced yet"},
		{Name: "add_dlopen_features", Note: "libraries that a program loads when it has them are in if it calls them required or recommended"},
		{Name: "omit_dlopen_features", Note: "libraries that a program loads when it has them are in if it calls them required or recommended"},
		{Name: "early_microcode_image_dir", Note: "microcode is taken from the firmware's folder"},
		{Name: "early_microcode_image_name", Note: "microcode is taken from the firmware's folder"},
		{Name: "sysloglvl", Note: "nothing is sent to the system's log", Quiet: "0"},
		{Name: "kmsgloglvl", Note: "nothing is sent to the kernel's log", Quiet: "0"},
		{Name: "fileloglvl", Note: "the log file gets what standard error gets"},
		{Name: "i18n_vars", Note: hereI18n},
		{Name: "i18n_default_font", Note: hereI18n},
		{Name: "realinitpath", Note: "the root's init is /sbin/init, or what init= says on the kernel's command line"},
		{Name: "dracut_rescue_image", Note: "no second image for rescue is made; bareroot build --role rescue makes one", Quiet: "no"},
		{Name: "uefi_stub", Note: hereUKI}, {Name: "uefi_splash_image", Note: hereUKI}, {Name: "sbat", Note: hereUKI},
		{Name: "uefi_secureboot_cert", Note: hereUKI}, {Name: "uefi_secureboot_key", Note: hereUKI}, {Name: "uefi_secureboot_engine", Note: hereUKI},
	} {
		byName[v.Name] = v
	}
	out := slices.Collect(maps.Values(byName))
	slices.SortFunc(out, func(a, b variable) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// set does NAME=text or NAME+=text as bash does.
func (v Vars) set(name, text string, plus bool) {
	old := v[name]
	switch {
	case !plus && !old.Array, !plus && len(old.Items) == 0:
		v[name] = Value{Array: old.Array, Items: []string{text}}
	case !plus: // to an array: its first item
		v[name] = Value{Array: true, Items: append([]string{text}, old.Items[1:]...)}
	case len(old.Items) == 0:
		v[name] = Value{Array: old.Array, Items: []string{text}}
	default:
		items := slices.Clone(old.Items)
		items[0] += text
		v[name] = Value{Array: old.Array, Items: items}
	}
}

// setArray does NAME=(...) or NAME+=(...).
func (v Vars) setArray(name string, items []string, plus bool) {
	if plus {
		items = append(slices.Clone(v[name].Items), items...)
	}
	v[name] = Value{Array: true, Items: items}
}

// text is a variable as $NAME has it.
func (v Vars) text(name string) string {
	if items := v[name].Items; len(items) > 0 {
		return items[0]
	}
	return ""
}

// list is a variable as a list of words.
func (v Vars) list(name string) []string {
	return strings.Fields(strings.Join(v[name].Items, " "))
}

func (v Vars) yes(name string) bool { return v.text(name) == "yes" }

package dracut

// standing says what becomes of an option here.
type standing int

const (
	mapped  standing = iota // means here what it means in dracut
	noted                   // accepted; one line says why it makes no difference, or which
	refused                 // an error with a reason
)

// how says what an option does to its variable.
type how int

const (
	set     how = iota // the variable is the argument, or Value if there is none
	add                // appended to the list that the configuration has
	replace            // the list of all such arguments, instead of the configuration's
	line               // appended to an array
	louder             // the log level, by Value
)

// option is one row of dracut's table of options.
type option struct {
	Long  []string // the first is the canonical one
	Short byte
	Arg   string // what the argument is; "" if there is none
	Ng    bool   // dracut 059 does not have it
	Ours  bool   // dracut has it not at all
	Var   string // the variable of dracut.conf, or one of our own
	How   how
	Value string

	Standing standing
	Here     string // what it does here, or why it does nothing
}

func (o *option) name() string { return "--" + o.Long[0] }

// The sentences that several rows share.
const (
	hereUKI    = "UEFI executables are not made yet; build the ramdisk, and join it with ukify"
	hereStrip  = "files are taken as they are, so that their hashes and signatures hold"
	hereLink   = "a file that is there twice costs next to nothing when compressed"
	herePrefix = "the files are where bareroot-init looks for them"
	hereI18n   = "-a i18n takes the console's settings and all keymaps, no fonts but the cached ones"
	hereRepro  = "the same inputs always give the same bytes"
	hereRaid   = "copied only with --mdadmconf; arrays are found by what is on the disks"
	hereLVM    = "copied only with --lvmconf"
	hereTrace  = "no shell runs here that could be traced; see -v"
)

// Options are all of dracut's options, in the order of its manual.
func options() []option {
	return []option{
		{Long: []string{"kver"}, Arg: "V", Var: "kernel", Here: "kernel version; also the second operand. Default: the running one"},
		{Long: []string{"force"}, Short: 'f', Var: "force", Value: "yes", Here: "replaces an existing output, which is an error otherwise"},
		{Long: []string{"add"}, Short: 'a', Arg: "LIST", Var: "add_dracutmodules", How: add, Here: "features by dracut's names, besides the default ones"},
		{Long: []string{"force-add"}, Arg: "LIST", Var: "force_add_dracutmodules", How: add, Here: "the same, not judged by this machine, and not left out by -o"},
		{Long: []string{"omit"}, Short: 'o', Arg: "LIST", Var: "omit_dracutmodules", How: add, Here: "leaves features out; names that are not here are left out anyway"},
		{Long: []string{"modules"}, Short: 'm', Arg: "LIST", Var: "dracutmodules", How: replace, Here: "exactly these features and what they need"},
		{Long: []string{"add-drivers"}, Arg: "LIST", Var: "add_drivers", How: add, Here: "kernel modules by name, or =folder"},
		{Long: []string{"force-drivers"}, Arg: "LIST", Var: "force_drivers", How: add, Here: "the same, and rd.driver.pre=NAME in etc/cmdline.d/20-force_drivers.conf"},
		{Long: []string{"omit-drivers"}, Arg: "LIST", Var: "omit_drivers", How: add, Here: "kernel modules by exact name"},
		{Long: []string{"drivers"}, Short: 'd', Arg: "LIST", Var: "drivers", How: replace, Here: "only these kernel modules and what they need"},
		{Long: []string{"filesystems"}, Arg: "LIST", Var: "filesystems", How: replace, Here: "only these filesystems' modules"},
		{Long: []string{"kmoddir"}, Short: 'k', Arg: "DIR", Var: "drivers_dir", Here: "the folder of the kernel's modules, .../lib/modules/KVER"},
		{Long: []string{"fwdir"}, Arg: "DIRS", Var: "fw_dir", How: replace, Here: "folders of firmware, the first that has a file counts; below each updates/KVER, updates and KVER come first"},
		{Long: []string{"libdirs"}, Arg: "LIST", Var: "libdirs", How: replace, Standing: noted, Here: "libraries are found as the loader finds them: by the programs' own paths and ld.so.conf"},
		{Long: []string{"kernel-only"}, Var: "kernel_only", Value: "yes", Here: "kernel modules and firmware only"},
		{Long: []string{"no-kernel"}, Var: "no_kernel", Value: "yes", Here: "no kernel modules, no firmware"},
		{Long: []string{"kernel-cmdline"}, Arg: "STR", Var: "kernel_cmdline", How: add, Here: "one line in etc/cmdline.d/01-default.conf (ng: 10-default.conf)"},
		{Long: []string{"print-cmdline"}, Var: "print_cmdline", Value: "yes", Here: "prints the words by which this machine's root is found, and builds nothing"},
		{Long: []string{"strip"}, Var: "do_strip", Value: "yes", Standing: noted, Here: hereStrip},
		{Long: []string{"nostrip"}, Var: "do_strip", Value: "no", Standing: noted, Here: hereStrip},
		{Long: []string{"aggressive-strip"}, Var: "aggressive_strip", Value: "yes", Standing: noted, Here: hereStrip},
		{Long: []string{"hardlink"}, Var: "do_hardlink", Value: "yes", Standing: noted, Here: hereLink},
		{Long: []string{"nohardlink"}, Var: "do_hardlink", Value: "no", Standing: noted, Here: hereLink},
		{Long: []string{"prefix"}, Arg: "DIR", Var: "prefix", Standing: noted, Here: herePrefix},
		{Long: []string{"noprefix"}, Var: "prefix", Value: "/", Standing: noted, Here: herePrefix},
		{Long: []string{"mdadmconf"}, Var: "mdadmconf", Value: "yes", Here: "copies mdadm.conf"},
		{Long: []string{"nomdadmconf"}, Var: "mdadmconf", Value: "no", Standing: noted, Here: hereRaid},
		{Long: []string{"lvmconf"}, Var: "lvmconf", Value: "yes", Here: "copies etc/lvm/lvm.conf"},
		{Long: []string{"nolvmconf"}, Var: "lvmconf", Value: "no", Standing: noted, Here: hereLVM},
		{Long: []string{"fscks"}, Arg: "LIST", Var: "fscks", How: add, Here: "these checks of filesystems, where they are installed, instead of all that init knows (e2fsck, fsck.vfat, xfs_repair, fsck.f2fs)"},
		{Long: []string{"nofscks"}, Var: "nofscks", Value: "yes", Here: "no checks of filesystems"},
		{Long: []string{"ro-mnt"}, Var: "ro_mnt", Value: "yes", Here: "ro in etc/cmdline.d/base.conf"},
		{Long: []string{"help"}, Short: 'h', Var: "help", Value: "yes", Here: "this table, in short"},
		{Long: []string{"version"}, Var: "version", Value: "yes", Here: "dracut VERSION on one line, then what is behind it in parentheses"},
		{Long: []string{"debug"}, Var: "debug", Value: "yes", Standing: noted, Here: hereTrace},
		{Long: []string{"profile"}, Var: "profile", Value: "yes", Standing: noted, Here: hereTrace},
		{Long: []string{"stdlog"}, Short: 'L', Arg: "0-6", Var: "stdloglvl", Here: "0 none, 1 errors, 2 what is left out, 3 notices, 4 the result, 5 and 6 also its segments. Default 4 (ng: 3)"},
		{Long: []string{"verbose"}, Short: 'v', Var: "verbosity", How: louder, Value: "+", Here: "one level more, each time"},
		{Long: []string{"quiet"}, Short: 'q', Var: "verbosity", How: louder, Value: "-", Here: "one level less, each time"},
		{Long: []string{"logfile"}, Arg: "F", Var: "logfile", Here: "what is said is appended to F as well"},
		{Long: []string{"conf"}, Short: 'c', Arg: "F", Var: "conffile", Here: "instead of /etc/dracut.conf; must exist"},
		{Long: []string{"confdir"}, Arg: "D", Var: "confdir", Here: "instead of /etc/dracut.conf.d; must exist"},
		{Long: []string{"add-confdir"}, Arg: "D", Ng: true, Var: "add_confdir", Here: "one more folder of *.conf; also looked for in the folders of the configuration"},
		{Long: []string{"tmpdir"}, Arg: "D", Var: "tmpdir", Standing: noted, Here: "nothing is staged in a temporary folder; the output grows beside its final name"},
		{Long: []string{"sysroot"}, Short: 'r', Arg: "D", Var: "sysroot", Here: "takes files from below D, which may be of another architecture; nothing there is run"},
		{Long: []string{"local"}, Short: 'l', Var: "allowlocal", Value: "yes", Standing: noted, Here: "the features are in this program, not in files beside it"},
		{Long: []string{"hostonly", "host-only"}, Short: 'H', Var: "hostonly", Value: "yes", Here: "what this machine needs. Default off (ng: on)"},
		{Long: []string{"no-hostonly", "no-host-only"}, Short: 'N', Var: "hostonly", Value: "no", Here: "what any machine may need"},
		{Long: []string{"hostonly-mode"}, Arg: "MODE", Var: "hostonly_mode", Here: "sloppy (the default) or strict"},
		{Long: []string{"hostonly-cmdline"}, Var: "hostonly_cmdline", Value: "yes", Here: "with -H: what --print-cmdline prints, in etc/cmdline.d/20-build.conf. Default: on with -H"},
		{Long: []string{"no-hostonly-cmdline"}, Var: "hostonly_cmdline", Value: "no", Here: "not those words"},
		{Long: []string{"no-hostonly-default-device"}, Var: "hostonly_default_device", Value: "no", Standing: noted, Here: "with -H, what is under /, swap and the mounts of the boot is always in: the ramdisk can do more, not less"},
		{Long: []string{"hostonly-i18n"}, Var: "i18n_install_all", Value: "no", Standing: noted, Here: hereI18n},
		{Long: []string{"no-hostonly-i18n"}, Var: "i18n_install_all", Value: "yes", Standing: noted, Here: hereI18n},
		{Long: []string{"hostonly-nics"}, Arg: "LIST", Var: "hostonly_nics", How: add, Standing: noted, Here: "with -H the drivers of all network cards of this machine are in"},
		{Long: []string{"persistent-policy"}, Arg: "P", Var: "persistent_policy", Here: "with -H: the root is named by its link in /dev/disk/P, or in /dev/mapper with P mapper, if it has one; otherwise by UUID"},
		{Long: []string{"fstab"}, Var: "use_fstab", Value: "yes", Standing: noted, Here: "with -H the mounted filesystems and fstab are both read"},
		{Long: []string{"add-fstab"}, Arg: "F", Var: "add_fstab", How: add, Here: "F is appended to etc/fstab in the ramdisk, which init mounts"},
		{Long: []string{"mount"}, Arg: "LINE", Var: "fstab_lines", How: line, Here: "\"DEV MP FS OPTS [FREQ PASS]\" or \"MP\" in etc/fstab, which init mounts, and the filesystem's module"},
		{Long: []string{"add-device", "device"}, Arg: "DEV", Var: "add_device", How: add, Standing: noted, Here: "init brings up every device that it has a driver for; with -H, name the driver with --add-drivers"},
		{Long: []string{"include"}, Short: 'i', Arg: "SRC DST", Here: "a file, or the content of a folder, to DST; two words, no =", Var: "include", How: line},
		{Long: []string{"install"}, Short: 'I', Arg: "LIST", Var: "install_items", How: add, Here: "programs by name, or paths, with the libraries they need"},
		{Long: []string{"install-optional"}, Arg: "LIST", Var: "install_optional_items", How: add, Here: "the same, and one that is not there is left out"},
		{Long: []string{"remove"}, Arg: "LIST", Ng: true, Var: "remove_items", How: add, Here: "paths, or patterns of them, that are taken out again at the end; a folder goes with what is in it"},
		{Long: []string{"gzip"}, Var: "compress", Value: "gzip", Here: "the default (ng: zstd)"},
		{Long: []string{"bzip2"}, Var: "compress", Value: "bzip2", Here: "zstd instead, and a line says so"},
		{Long: []string{"lzma"}, Var: "compress", Value: "lzma", Here: "zstd instead, and a line says so"},
		{Long: []string{"xz"}, Var: "compress", Value: "xz", Here: "as said"},
		{Long: []string{"lzo"}, Var: "compress", Value: "lzop", Here: "zstd instead, and a line says so"},
		{Long: []string{"lz4"}, Var: "compress", Value: "lz4", Here: "as said"},
		{Long: []string{"zstd"}, Var: "compress", Value: "zstd", Here: "as said"},
		{Long: []string{"no-compress"}, Var: "no_compress", Value: "yes", Here: "overrides all others"},
		{Long: []string{"compress"}, Arg: "CMD", Var: "compress", Here: "a name as above or cat; of a command, the name and its level (xz -9)"},
		{Long: []string{"compress-level"}, Arg: "N", Ng: true, Var: "compress_level", Here: "the level"},
		{Long: []string{"squash-compressor"}, Arg: "S", Var: "squash_compress", Standing: noted, Here: "there is no squashfs in the ramdisk: kernel modules are compressed one by one"},
		{Long: []string{"enhanced-cpio"}, Var: "enhanced_cpio", Value: "yes", Standing: noted, Here: "files are read once, straight into the archive"},
		{Long: []string{"list-modules"}, Var: "list_modules", Value: "yes", Here: "prints the names that -a takes, and builds nothing"},
		{Long: []string{"show-modules"}, Short: 'M', Var: "show_modules", Value: "yes", Here: "prints the features that are in"},
		{Long: []string{"printsize"}, Var: "printsize", Value: "yes", Here: "prints each segment's size"},
		{Long: []string{"printconfig"}, Ng: true, Var: "printconfig", Value: "yes", Here: "prints the variables, each as dracutconfig: NAME=VALUE, and builds nothing"},
		{Long: []string{"keep"}, Var: "keep", Value: "yes", Standing: noted, Here: "there is no working folder that could be kept"},
		{Long: []string{"sshkey"}, Arg: "F", Var: "sshkey", Here: "F, and F.pub if it is there, at the same path"},
		{Long: []string{"reproducible"}, Var: "reproducible", Value: "yes", Standing: noted, Here: hereRepro},
		{Long: []string{"no-reproducible"}, Var: "reproducible", Value: "no", Standing: noted, Here: hereRepro},
		{Long: []string{"loginstall"}, Arg: "DIR", Var: "loginstall", Here: "the files taken from the host are listed in DIR, in a file named after the output"},
		{Long: []string{"early-microcode"}, Var: "early_microcode", Value: "yes", Here: "the default, where microcode is installed"},
		{Long: []string{"no-early-microcode"}, Var: "early_microcode", Value: "no", Here: "no microcode"},
		{Long: []string{"uefi"}, Var: "uefi", Value: "yes", Standing: refused, Here: hereUKI},
		{Long: []string{"no-uefi"}, Var: "uefi", Value: "no", Standing: noted, Here: "UEFI executables are not made anyway"},
		{Long: []string{"ukify"}, Ng: true, Var: "ukify", Value: "yes", Standing: refused, Here: hereUKI},
		{Long: []string{"no-ukify"}, Ng: true, Var: "ukify", Value: "no", Standing: noted, Here: "UEFI executables are not made anyway"},
		{Long: []string{"uefi-stub"}, Arg: "F", Var: "uefi_stub", Standing: refused, Here: hereUKI},
		{Long: []string{"uefi-splash-image"}, Arg: "F", Var: "uefi_splash_image", Standing: refused, Here: hereUKI},
		{Long: []string{"sbat"}, Arg: "S", Ng: true, Var: "sbat", Standing: refused, Here: hereUKI},
		{Long: []string{"kernel-image"}, Arg: "F", Var: "kernel_image", Here: "the kernel, where one is read"},
		{Long: []string{"no-machineid"}, Var: "machine_id", Value: "no", Here: "the machine's id plays no part in the output's name"},
		{Long: []string{"regenerate-all"}, Var: "regenerate_all", Value: "yes", Here: "one image for each kernel that has modules; the exit code is the sum"},
		{Long: []string{"parallel"}, Short: 'p', Var: "parallel", Value: "yes", Standing: noted, Here: "each build uses all processors already; one follows the other"},
		{Long: []string{"noimageifnotneeded"}, Var: "noimageifnotneeded", Value: "yes", Standing: noted, Here: "the ramdisk is always needed: its init finds and checks the root"},
		{Long: []string{"rebuild"}, Arg: "IMG", Var: "rebuild", Here: "the words kept in IMG, then these; the output is IMG if no other is named"},
		{Long: []string{"compat"}, Arg: "059|ng", Ours: true, Var: "compat", Here: "whose defaults: dracut 059's (the default) or dracut-ng's"},
	}
}

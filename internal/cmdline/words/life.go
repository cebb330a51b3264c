package words

import (
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// debianSteps are the values of break=.
func debianSteps() []string {
	var out []string
	for _, s := range cmdline.DebianSteps {
		out = append(out, s[0])
	}
	return out
}

// debianStages says what they are in dracut's words.
func debianStages() string {
	var out []string
	for _, s := range cmdline.DebianSteps {
		out = append(out, s[0]+" is "+s[1])
	}
	return strings.Join(out, ", ")
}

const noUdev = "there is no udev in the ramdisk"

var driverWords = []Def{
	{Name: "rd.driver.pre", Old: []string{"rdloaddriver"}, Type: List, Repeat: true, Stage: "pre-udev", From: "dracut", Meaning: "modules (comma list) loaded before devices are probed"},
	{Name: "modules_load", Aliases: []string{"rd.modules_load", "modules-load", "rd.modules-load"}, Type: List, Repeat: true, Stage: "pre-udev", From: "systemd", Meaning: "the same; with rd. only in the ramdisk, else the root's systemd loads them, too"},
	{Name: "rd.driver.blacklist", Aliases: []string{"modprobe.blacklist", "module_blacklist", "blacklist"}, Old: []string{"rdblacklist"}, Type: List, Repeat: true, Stage: "pre-udev", From: "dracut, kmod, kernel, initramfs-tools", Meaning: "modules (comma list) that devices do not load; who names a module gets it, except one of module_blacklist=, which the kernel itself refuses"},
	{Name: "rd.driver.post", Old: []string{"rdinsmodpost"}, Type: List, Repeat: true, Stage: "initqueue", From: "dracut", Meaning: "modules (comma list) loaded after all others"},
	{Name: "rd.driver.export", Old: []string{"copymods"}, Type: Choice, Choices: []string{"0", "1", "force"}, Default: "0", Stage: "pre-pivot", From: "dracut ng", Meaning: "1: a root without modules for the running kernel gets those of the ramdisk, in memory; force: also one that has them", Why: "copymods is Ubuntu's"},
}

var lifeWords = []Def{
	{Name: "break", Type: List, Choices: debianSteps(), Stage: "any", From: "initramfs-tools", Meaning: "a shell before these steps (comma list; bare: premount); as rd.break= " + debianStages()},
	{Name: "rd.rescue", Type: Flag, Stage: "initqueue", From: "systemd", Meaning: "a shell before stage initqueue"},
	{Name: "rd.systemd.unit", Type: Text, Stage: "any", From: "systemd", Meaning: "rescue.target: a shell before stage initqueue; emergency.target: before pre-udev; others mean nothing here"},
	{Name: "rd.systemd.debug_shell", Aliases: []string{"rd.systemd.debug-shell"}, Type: Text, Stage: "pre-udev", From: "systemd", Meaning: "a shell beside the boot, on tty9 or the terminal that is given; 0: none", Why: "it ends when the root starts"},
	{Name: "rd.break", Type: Choice, Choices: append(slices.Clone(cmdline.Stages[:]), "pre-shutdown", "shutdown"), Repeat: true, Stage: "any", From: "dracut", Meaning: "open a shell before that stage; bare: before the switch to the root", Why: "dracut 059 looks at the last one only; here, as in ng, each counts"},
	{Name: "rd.shell", Old: []string{"rdshell"}, Type: Bool, Default: "1", Stage: "any", From: "dracut", Meaning: "0: no shell on failure; given as 1: a shell at once, also on a machine with a server"},
	{Name: "rd.emergency", Type: Choice, Choices: []string{"reboot", "poweroff", "halt"}, Default: "reboot", Stage: "any", From: "dracut, systemd", Meaning: "what follows a failure when no shell is opened, or when it ends; bare, as in systemd: a shell before stage pre-udev"},
	{Name: "bareroot.emergency.delay", Type: Number, Default: "60", Stage: "any", From: "bareroot", Meaning: "seconds before that action; a key on the console opens a shell instead unless rd.shell=0"},
	{Name: "rd.ctty", Type: Text, Default: "every active console", Stage: "any", From: "dracut", Meaning: "the one terminal for shells and questions"},
	{Name: "rd.debug", Old: []string{"rdinitdebug", "rdnetdebug"}, Type: Bool, Default: "0", Stage: "any", From: "dracut", Meaning: "more lines on the console; they are always in the log", Why: "dracut-ng ignores the old names"},
	{Name: "quiet", Type: Flag, Stage: "any", From: "kernel, dracut", Meaning: "only warnings and failures on the console"},
	{Name: "rd.info", Old: []string{"rdinfo"}, Type: Bool, Default: "0", Stage: "any", From: "dracut", Meaning: "messages on the console although the line says quiet"},
	{Name: "rd.retry", Old: []string{"rd_retry"}, Type: Number, Default: "180", Stage: "initqueue", From: "dracut", Meaning: "seconds after which a wait for network, server or device has failed"},
	{Name: "rd.timeout", Type: Text, Default: "infinity", Stage: "initqueue", From: "dracut", Meaning: "seconds that one device is waited for; 0 or infinity: as long as rd.retry says"},
	{Name: "rd.hostonly", Type: Bool, Default: "1", Stage: "cmdline", From: "dracut", Meaning: "0: words that were built in for one machine, /etc/cmdline and /etc/cmdline.d, are ignored"},
	{Name: "fips", Type: Choice, Choices: []string{"0", "1"}, Default: "0", Stage: "pre-pivot", From: "kernel, dracut", Meaning: "1: test the ciphers and check the kernel's image, or refuse to boot"},
	{Name: "rd.fips.skipkernel", Type: Bool, Default: "0", Stage: "pre-pivot", From: "dracut", Meaning: "the kernel's image is not checked"},
	{Name: "rd.cmdline", Type: Choice, Choices: []string{"ask"}, Stage: "cmdline", From: "dracut", Meaning: "ask on the console for more words"},
	{Name: "rd.shutdown.timeout.umount", Type: Number, Default: "90", Stage: "shutdown", From: "dracut ng", Meaning: "seconds until processes that hold a mount at shutdown are killed"},
	{Name: "rd.memdebug", Type: Number, Max: 5, Default: "0", Stage: "any", From: "dracut", Meaning: "memory in use, logged before each stage: 1 some lines of /proc/meminfo, 2 all, 3 and above also the largest slabs", Why: "4 and 5 are the same as 3: there is no memstrack"},
	{Name: "rd.udev.log_level", Old: []string{"rd.udev.log_priority", "rd.udev.log-priority"}, Type: Text, Stage: "pre-udev", Status: NoUse, From: "dracut", Meaning: "udev's log level", Why: noUdev},
	{Name: "rd.udev.info", Old: []string{"rdudevinfo"}, Type: Bool, Stage: "pre-udev", Status: NoUse, From: "dracut 059", Meaning: "udev's log level", Why: noUdev},
	{Name: "rd.udev.debug", Old: []string{"rdudevdebug"}, Type: Bool, Stage: "pre-udev", Status: NoUse, From: "dracut 059", Meaning: "udev's log level", Why: noUdev},
	{Name: "rd.udev.*", Type: Text, Stage: "pre-udev", Status: NoUse, From: "udev", Meaning: "other settings of udev in a ramdisk", Why: noUdev},
	{Name: "rd.plymouth", Aliases: []string{"plymouth.enable"}, Type: Bool, Default: "1", Stage: "pre-trigger", Status: NoUse, From: "dracut", Meaning: "0: no splash screen", Why: "there is no splash screen"},
	{Name: "splash", Also: []string{"rhgb", "nosplash"}, Type: Text, Stage: "any", Status: NoUse, From: "plymouth", Meaning: "splash screen", Why: "there is no splash screen"},
	{Name: "rd.vconsole.keymap", Aliases: []string{"vconsole.keymap", "KEYMAP"}, Old: []string{"KEYTABLE"}, Type: Text, Default: "KEYMAP of /etc/vconsole.conf", Stage: "pre-trigger", From: "dracut, systemd", Meaning: "keymap of the screen's keyboard, loaded before anything is asked there; needs the feature keymap in the ramdisk"},
	{Name: "rd.vconsole.keymap.ext", Aliases: []string{"vconsole.keymap.ext", "vconsole.keymap_toggle", "EXT_KEYMAP"}, Type: Text, Default: "EXT_KEYMAP of /etc/vconsole.conf", Stage: "pre-trigger", From: "dracut, systemd", Meaning: "more keymaps (separated by blanks or commas), loaded after it"},
	{Name: "rd.vconsole.font", Aliases: []string{"vconsole.font", "FONT"}, Old: []string{"SYSFONT"}, Type: Text, Default: "FONT of /etc/vconsole.conf", Stage: "pre-trigger", From: "dracut, systemd", Meaning: "font of the screen; the ramdisk must hold it"},
	{Name: "rd.vconsole.font.map", Aliases: []string{"vconsole.font.map", "vconsole.font_map", "FONT_MAP"}, Old: []string{"CONTRANS"}, Type: Text, Stage: "pre-trigger", From: "dracut, systemd", Meaning: "its character map"},
	{Name: "rd.vconsole.font.unimap", Aliases: []string{"vconsole.font.unimap", "vconsole.font_unimap", "FONT_UNIMAP"}, Old: []string{"UNIMAP"}, Type: Text, Stage: "pre-trigger", From: "dracut, systemd", Meaning: "its Unicode table"},
	{Name: "rd.vconsole.unicode", Aliases: []string{"vconsole.unicode", "rd.vconsole.font.unicode", "UNICODE"}, Type: Text, Default: "1", Stage: "pre-trigger", Status: NoUse, From: "dracut", Meaning: "UTF-8 on the screen", Why: "it always is"},
	{Name: "rd.locale.LANG", Also: []string{"rd.locale.LC_ALL", "LANG", "LC_ALL"}, Type: Text, Stage: "cmdline", Status: NoUse, From: "dracut", Meaning: "language", Why: "messages of the ramdisk are English"},
	{Name: "locale.*", Type: Text, Stage: "root", Status: Elsewhere, From: "systemd", Meaning: "language of the root"},
	{Name: "boot", Type: Form, Stage: "initqueue", From: "dracut, initramfs-tools", Meaning: "nfs: as root=/dev/nfs; local: nothing; a block device form: where /boot is, for fips=1"},
	{Name: "initramfs.runsize", Type: Text, Default: "half of the memory", Stage: "cmdline", From: "initramfs-tools", Meaning: "size of /run, which the root takes over: `10%`, `64M`"},
	{Name: "drop_capabilities", Aliases: []string{"rd.caps.initdrop"}, Type: List, Stage: "cleanup", From: "initramfs-tools, dracut", Meaning: "capabilities (comma list, `CAP_SYS_MODULE`) that neither the root's init nor the programs the kernel starts can have"},
	{Name: "rd.caps", Type: Bool, Default: "0", Stage: "cleanup", Status: NoUse, From: "dracut", Meaning: "the words rd.caps.* count", Why: "they always do"},
	{Name: "rd.caps.disablemodules", Type: Bool, Default: "0", Stage: "cleanup", From: "dracut", Meaning: "1: no kernel module can be loaded once the root runs"},
	{Name: "rd.caps.disablekexec", Type: Bool, Default: "0", Stage: "cleanup", From: "dracut", Meaning: "1: no kernel can be loaded by kexec once the root runs"},
}

var ownWords = []Def{
	{Name: "bareroot.role", Type: Choice, Choices: []string{"root", "discover", "deploy", "rescue"}, Default: "the ramdisk's configuration, else root", Stage: "cmdline", From: "bareroot", Meaning: "what this boot is there to do"},
	{Name: "rd.ssh", Type: Bool, Default: "1 if the configuration has keys, else 0", Stage: "pre-trigger", From: "bareroot", Meaning: "run an ssh server while the ramdisk does, for the keys of /root/.ssh/authorized_keys in it and of the configuration"},
	{Name: "bareroot.watchdog", Type: Number, Default: "0", Stage: "pre-trigger", From: "bareroot", Meaning: "seconds after which the hardware watchdog resets a machine whose ramdisk hangs; it runs on for the root, which must feed it. 0: no watchdog is opened"},
	{Name: "bareroot.modules", Type: Choice, Choices: []string{"warn", "refuse", "ignore"}, Default: "warn", Stage: "pre-pivot", From: "bareroot", Meaning: "what a root without modules for the running kernel means; warn and refuse say which kernels the root has modules for"},
	{Name: "bareroot.degraded", Type: Number, Max: 86400, Default: "two thirds of rd.retry", Stage: "initqueue", From: "bareroot", Meaning: "seconds after which an array or volume group is started although a part of it is missing"},
}

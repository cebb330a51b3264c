package words

import (
	"slices"

	"bareroot/internal/cmdline"
)

const noUdev = "there is no udev in the ramdisk"

var driverWords = []Def{
	{Name: "rd.driver.pre", Old: []string{"rdloaddriver"}, Type: List, Repeat: true, Stage: "pre-udev", From: "dracut", Meaning: "modules (comma list) loaded before devices are probed"},
	{Name: "rd.driver.blacklist", Aliases: []string{"modprobe.blacklist"}, Old: []string{"rdblacklist"}, Type: List, Repeat: true, Stage: "pre-udev", From: "dracut", Meaning: "modules (comma list) that devices do not load"},
	{Name: "rd.driver.post", Old: []string{"rdinsmodpost"}, Type: List, Repeat: true, Stage: "initqueue", From: "dracut", Meaning: "modules (comma list) loaded after all others"},
	{Name: "rd.driver.export", Type: Bool, Default: "0", Stage: "cleanup", Status: NotYet, From: "dracut ng", Meaning: "hand the list of loaded modules to the root"},
	{Name: "modules_load", Aliases: []string{"rd.modules_load", "modules-load", "rd.modules-load"}, Type: List, Repeat: true, Stage: "pre-udev", Status: NotYet, From: "systemd", Meaning: "modules (comma list) to load, with rd. only in the ramdisk"},
	{Name: "blacklist", Type: List, Repeat: true, Stage: "pre-udev", Status: NotYet, From: "initramfs-tools", Meaning: "modules (comma list) that devices do not load"},
}

var lifeWords = []Def{
	{Name: "rd.break", Type: Choice, Choices: append(slices.Clone(cmdline.Stages[:]), "pre-shutdown", "shutdown"), Repeat: true, Stage: "any", From: "dracut", Meaning: "open a shell before that stage; bare: before the switch to the root", Why: "dracut 059 looks at the last one only; here, as in ng, each counts"},
	{Name: "rd.shell", Old: []string{"rdshell"}, Type: Bool, Default: "1", Stage: "any", From: "dracut", Meaning: "0: no shell on failure; given as 1: a shell at once, also on a machine with a server"},
	{Name: "rd.emergency", Type: Choice, Choices: []string{"reboot", "poweroff", "halt"}, Default: "reboot", Stage: "any", From: "dracut", Meaning: "what follows a failure when no shell is opened, or when it ends"},
	{Name: "bareroot.emergency.delay", Type: Number, Default: "60", Stage: "any", From: "bareroot", Meaning: "seconds before that action; a key on the console opens a shell instead unless rd.shell=0"},
	{Name: "rd.ctty", Type: Text, Default: "every active console", Stage: "any", From: "dracut", Meaning: "the one terminal for shells and questions"},
	{Name: "rd.debug", Old: []string{"rdinitdebug", "rdnetdebug"}, Type: Bool, Default: "0", Stage: "any", From: "dracut", Meaning: "more lines on the console; they are always in the log", Why: "dracut-ng ignores the old names"},
	{Name: "quiet", Type: Flag, Stage: "any", From: "kernel, dracut", Meaning: "only warnings and failures on the console"},
	{Name: "rd.info", Old: []string{"rdinfo"}, Type: Bool, Default: "0", Stage: "any", From: "dracut", Meaning: "messages on the console although the line says quiet"},
	{Name: "rd.retry", Type: Number, Default: "180", Stage: "initqueue", From: "dracut", Meaning: "seconds after which a wait for network, server or device has failed"},
	{Name: "rd.timeout", Type: Text, Default: "infinity", Stage: "initqueue", From: "dracut", Meaning: "seconds that one device is waited for; 0 or infinity: as long as rd.retry says"},
	{Name: "rd.hostonly", Type: Bool, Default: "1", Stage: "cmdline", From: "dracut", Meaning: "0: words that were built in for one machine, /etc/cmdline and /etc/cmdline.d, are ignored"},
	{Name: "fips", Type: Choice, Choices: []string{"0", "1"}, Default: "0", Stage: "pre-pivot", From: "kernel, dracut", Meaning: "1: test the ciphers and check the kernel's image, or refuse to boot"},
	{Name: "rd.fips.skipkernel", Type: Bool, Default: "0", Stage: "pre-pivot", From: "dracut", Meaning: "the kernel's image is not checked"},
	{Name: "rd.cmdline", Type: Choice, Choices: []string{"ask"}, Stage: "cmdline", From: "dracut", Meaning: "ask on the console for more words"},
	{Name: "rd.shutdown.timeout.umount", Type: Number, Default: "90", Stage: "shutdown", From: "dracut ng", Meaning: "seconds until processes that hold a mount at shutdown are killed"},
	{Name: "rd.memdebug", Type: Number, Max: 5, Default: "0", Stage: "any", Status: NoUse, From: "dracut", Meaning: "memory use at each stage", Why: "the log has the free memory at the end"},
	{Name: "rd.udev.log_level", Old: []string{"rd.udev.log_priority", "rd.udev.log-priority"}, Type: Text, Stage: "pre-udev", Status: NoUse, From: "dracut", Meaning: "udev's log level", Why: noUdev},
	{Name: "rd.udev.info", Old: []string{"rdudevinfo"}, Type: Bool, Stage: "pre-udev", Status: NoUse, From: "dracut 059", Meaning: "udev's log level", Why: noUdev},
	{Name: "rd.udev.debug", Old: []string{"rdudevdebug"}, Type: Bool, Stage: "pre-udev", Status: NoUse, From: "dracut 059", Meaning: "udev's log level", Why: noUdev},
	{Name: "rd.plymouth", Aliases: []string{"plymouth.enable"}, Type: Bool, Default: "1", Stage: "pre-trigger", Status: NoUse, From: "dracut", Meaning: "0: no splash screen", Why: "there is no splash screen"},
	{Name: "splash", Aliases: []string{"rhgb", "nosplash"}, Type: Text, Stage: "any", Status: NoUse, From: "plymouth", Meaning: "splash screen", Why: "there is no splash screen"},
	{Name: "vconsole.*", Type: Text, Stage: "pre-udev", Status: NotYet, From: "dracut, systemd", Meaning: "keymap and font of the console"},
	{Name: "rd.vconsole.*", Type: Text, Stage: "pre-udev", Status: NotYet, From: "dracut", Meaning: "keymap and font of the console"},
	{Name: "rd.locale.*", Type: Text, Stage: "cmdline", Status: NoUse, From: "dracut", Meaning: "language", Why: "messages of the ramdisk are English"},
	{Name: "locale.*", Type: Text, Stage: "root", Status: Elsewhere, From: "systemd", Meaning: "language of the root"},
	{Name: "boot", Type: Text, Stage: "initqueue", From: "dracut, initramfs-tools", Meaning: "`nfs`: as root=/dev/nfs; a block device form: where /boot is, for fips=1"},
	{Name: "break", Type: Text, Stage: "any", Status: NotYet, From: "initramfs-tools", Meaning: "top, modules, premount, mount, mountroot, bottom, init: a shell before that step; in dracut's words rd.break="},
	{Name: "initramfs.runsize", Type: Text, Stage: "cmdline", Status: NotYet, From: "initramfs-tools", Meaning: "size of /run"},
	{Name: "drop_capabilities", Type: Text, Stage: "cleanup", Status: NotYet, From: "initramfs-tools", Meaning: "capabilities that the root's init does not get"},
}

var ownWords = []Def{
	{Name: "bareroot.role", Type: Choice, Choices: []string{"root", "discover", "deploy", "rescue"}, Default: "the ramdisk's configuration, else root", Stage: "cmdline", From: "bareroot", Meaning: "what this boot is there to do"},
	{Name: "rd.ssh", Type: Bool, Default: "1 if the configuration has keys, else 0", Stage: "pre-trigger", From: "bareroot", Meaning: "run an ssh server while the ramdisk does, for the keys of /root/.ssh/authorized_keys in it and of the configuration"},
	{Name: "bareroot.watchdog", Type: Number, Default: "0", Stage: "pre-trigger", From: "bareroot", Meaning: "seconds after which the hardware watchdog resets a machine whose ramdisk hangs; it runs on for the root, which must feed it. 0: no watchdog is opened"},
	{Name: "bareroot.modules", Type: Choice, Choices: []string{"warn", "refuse", "ignore"}, Default: "warn", Stage: "pre-pivot", From: "bareroot", Meaning: "what a root without modules for the running kernel means; warn and refuse say which kernels the root has modules for"},
	{Name: "bareroot.degraded", Type: Number, Max: 86400, Default: "two thirds of rd.retry", Stage: "initqueue", From: "bareroot", Meaning: "seconds after which an array or volume group is started although a part of it is missing"},
}

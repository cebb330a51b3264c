package boot

import (
	"errors"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/rootfs"
)

// advice is what the operator is told beside the failure itself.
type advice struct {
	missing string   // what the boot lacks, "" if that is the failure's own text
	try     []string // three commands
}

// An error may know better than its stage what is missing and what to try.
type misser interface{ Missing() string }
type trier interface{ Try() []string }

// situation is what advice depends on.
type situation struct {
	line    cmdline.Line
	server  string // the machine's own, "" none
	needNet bool
	online  bool
	session bool
	netRoot bool // the root comes over the network
}

// fixLine is how the operator changes the command line of this boot.
const fixLine = "echo root=LABEL=... >/run/initramfs/cmdline.d/fix.conf; exit   # go on with other words"

// advise looks for what fits the failure best.
func advise(e *StageError, s situation) advice {
	a := general(e, s)
	var m misser
	if errors.As(e.Err, &m) {
		a.missing = m.Missing()
	}
	var t trier
	if errors.As(e.Err, &t) {
		a.try = t.Try()
	}
	return a
}

func general(e *StageError, s situation) advice {
	root, _ := s.line.Get("root")
	inQueue := e.Stage == "initqueue" || e.Stage == "pre-trigger"
	switch {
	case errors.Is(e.Err, rootfs.ErrNone):
		return advice{"a root: neither the command line nor a server says what to boot", []string{
			"blkid   # the filesystems of this machine, with their labels",
			"cat /proc/cmdline",
			fixLine}}
	case e.Stage == "cmdline":
		return advice{"a command line that can be read", []string{
			"cat /etc/cmdline.d/*.conf /proc/cmdline",
			"cat /usr/lib/bareroot/config.json",
			"vi /run/initramfs/cmdline.d/fix.conf; exit   # a later word wins over an earlier one"}}
	case inQueue && s.needNet && !s.online:
		return advice{"a network: a NIC with a driver, a cable and an address", []string{
			"ip link   # NO-CARRIER: no cable, or the port is off; nothing but lo: no driver",
			"dmesg | grep -i -e eth -e link -e firmware",
			"udhcpc -n -i eth0   # does any DHCP server answer?"}}
	case inQueue && s.server != "" && !s.session:
		return advice{"an answer of the server " + s.server, []string{
			"wget -O- " + s.server + "/   # does it answer at all?",
			"ip route; cat /etc/resolv.conf",
			"date   # certificates are judged by it"}}
	case inQueue && root != "" && !s.netRoot:
		return advice{"the device of root=" + root, []string{
			"blkid; ls -l /dev/disk/by-*   # what is there, by its names",
			"dmesg | grep -i -e error -e fail -e sd -e nvme -e ata",
			fixLine}}
	case inQueue && s.netRoot && strings.Contains(root, "://"):
		return advice{"the image that root= names", []string{
			"wget -S -O /dev/null '" + cmdline.MaskValue(strings.TrimPrefix(root, "live:")) + "'",
			"free   # it is kept in memory",
			"ip route; cat /etc/resolv.conf"}}
	case e.Stage == "mount":
		return advice{"a filesystem on root=" + root + " that this kernel mounts", []string{
			"dmesg | tail   # why the kernel refused",
			"blkid   # what is on the device",
			"mount -o ro /dev/... " + rootfs.Target + "; exit   # a root that is mounted is taken"}}
	case e.Stage == "pre-pivot" || e.Stage == "cleanup" || e.Stage == "switch-root":
		return advice{"a complete system in the root, mounted at " + rootfs.Target, []string{
			"ls -l " + rootfs.Target + " " + rootfs.Target + "/sbin/init",
			"chroot " + rootfs.Target + " /bin/sh",
			"echo init=/bin/sh >/run/initramfs/cmdline.d/fix.conf; exit   # start another program"}}
	}
	return advice{"", []string{
		"less /run/bareroot/boot.log   # all that happened",
		"dmesg | tail",
		fixLine}}
}

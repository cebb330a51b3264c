// Package host finds out what this one machine needs to reach its root: the
// drivers behind its devices, the stack under its root filesystem, and the
// words of the command line that name that stack. It is the "hostonly" of a
// build, in dracut's two modes.
//
// Everything is read from a folder that looks like a root with /sys, /proc and
// /etc below it, so a copy of another machine's works as well. It starts no
// process, opens no device and changes nothing. It does not decide what is in
// the ramdisk: it names modules, features and words, each with its reason.
//
// Formats: sysfs (Documentation/ABI), proc(5), proc_pid_mountinfo(5), fstab(5), crypttab(5),
// and the UUIDs that lvm2, cryptsetup and multipath give device-mapper devices.
package host

import (
	"bareroot/internal/kmod"
	"bareroot/internal/sys"
)

// Modes, as dracut's --hostonly-mode.
const (
	// Sloppy adds what another keyboard, USB host or filesystem would need.
	Sloppy = "sloppy"
	// Strict keeps to what is there.
	Strict = "strict"
)

// Host is what was found.
type Host struct {
	// Generic says that the devices could not be seen (a container, a chroot):
	// Modules is empty then and the generic set has to be used.
	Generic bool
	// Notices are sentences for the user about what was not understood.
	Notices []string
	// Root is the root filesystem; nil if none was found.
	Root *Filesystem
	// CPUVendor is GenuineIntel, AuthenticAMD or what else /proc/cpuinfo says;
	// empty if it says nothing.
	CPUVendor string

	devices     []device
	inners      []inner
	loaded      []loaded
	running     []string      // words of the running kernel's command line
	filesystems []*Filesystem // all that the boot needs, Root first
	stack       stack
	seen        map[string]*node
	crypttab    []Crypt
	nics        []nic // that lead to the root
	nicWhy      map[string]string
}

// Filesystem is one that is needed to boot, or swap to resume from.
type Filesystem struct {
	Target string // where it is mounted; "swap" for swap
	Type   string
	Source string // as mounted: /dev/mapper/vg-root, server:/export
	Why    string // "root filesystem", "/usr", "swap, to resume from"

	mount, fstab sys.MountPoint
	node         *node  // the device it is on; nil if there is none
	uuid         string // as blkid says it
}

// Module is one kernel module that the machine needs.
type Module struct {
	Name string // as modules.dep has it, with underscores
	Why  string // "drives /dev/nvme0n1, under the root filesystem"
	// Required: without it the root is not reached. The rest may be absent.
	Required bool
}

// Read looks at the machine whose root directory is root ("/" for this one).
func Read(root string) (*Host, error) { return read(root) }

// Modules lists what the machine needs of the kernel whose modules are x, by
// name and without what those need in turn. Built-in ones are left out.
func (h *Host) Modules(x *kmod.Index, mode string) []Module { return h.modules(x, mode) }

// Missing lists the required modules that the kernel of x neither has nor has
// built in: with it this machine would not reach its root.
func (h *Host) Missing(x *kmod.Index, mode string) []Module { return h.want(x, mode).missing }

// Features lists the features of the ramdisk that the stack under the root
// needs: lvm, crypt, mdraid, nfs and so on, sorted.
func (h *Host) Features() []string { return h.features() }

// Cmdline lists the words that make a ramdisk without other instructions find
// this root: root=, rd.lvm.lv=, ip= and so on.
func (h *Host) Cmdline() []string { return h.cmdline() }

// Package ifname gives network interfaces the names that systemd's udev gives
// them, so that a name in ip= or in a real root's configuration means the same
// NIC in the ramdisk. It follows systemd.net-naming-scheme(7), scheme v252, and
// the policy of its 99-default.link: keep, kernel, onboard, slot, path. It
// reads sysfs and renames nothing. Not there: the hardware database (it names
// no NIC by default), CCW and VIO buses of other architectures, .link files.
package ifname

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bareroot/internal/sys"
)

// Names are the names that an interface could have, each without a value if
// the firmware or the bus gives none. Lengths are not checked.
type Names struct {
	Onboard string // eno1: index by the firmware
	Slot    string // ens3f0: number of the hotplug slot
	Path    string // enp0s31f6: place on the bus
	MAC     string // enx525400123456
}

// maxName is the longest name of an interface: IFNAMSIZ without the NUL.
const maxName = 15

// Assignment of names, include/uapi/linux/netdevice.h: NET_NAME_*.
const (
	assignPredictable = "2"
	assignUser        = "3"
	assignRenamed     = "4"
)

// Choose returns the name that interface nic gets, and why: its own if it was
// given one, or if nothing better is known.
func Choose(sys, nic string) (name, why string, err error) {
	dir := filepath.Join(sys, "class/net", nic)
	switch attr(dir, "name_assign_type") {
	case assignUser, assignRenamed:
		return nic, "it was named before", nil
	case assignPredictable:
		return nic, "the kernel vouches for it", nil
	}
	n, err := Read(sys, nic)
	if err != nil {
		return nic, "", err
	}
	for _, c := range []struct{ name, why string }{{n.Onboard, "onboard index"}, {n.Slot, "slot"}, {n.Path, "path"}} {
		if c.name != "" && len(c.name) <= maxName {
			return c.name, c.why, nil
		}
	}
	return nic, "neither firmware nor bus names it", nil
}

// Read finds the names of interface nic below sys ("/sys"). An interface that
// is no hardware of its own has none.
func Read(sys, nic string) (Names, error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(sys, "class/net", nic))
	if err != nil {
		return Names{}, fmt.Errorf("name interface %s: %w", nic, err)
	}
	prefix := ""
	// ARPHRD_*, include/uapi/linux/if_arp.h.
	switch attr(dir, "type") {
	case "1":
		prefix = map[string]string{"wlan": "wl", "wwan": "ww"}[uevent(dir, "DEVTYPE")]
		if prefix == "" {
			prefix = "en"
		}
	case "32":
		prefix = "ib"
	case "256":
		prefix = "sl"
	default:
		return Names{}, nil
	}
	// What sits on another interface (VLAN, macvlan) is not named by its bus.
	if attr(dir, "ifindex") != attr(dir, "iflink") {
		return Names{}, nil
	}
	var n Names
	if mac := strings.ReplaceAll(attr(dir, "address"), ":", ""); prefix != "ib" && attr(dir, "addr_assign_type") == "0" && len(mac) == 12 && strings.Trim(mac, "0") != "" {
		n.MAC = prefix + "x" + mac
	}
	d := device{sys: sys, net: dir}
	if err := d.names(&n, prefix); err != nil {
		return n, fmt.Errorf("name interface %s: %w", nic, err)
	}
	return n, nil
}

// device is one interface on its way to a name.
type device struct{ sys, net string }

func (d device) names(n *Names, prefix string) error {
	parent := up(d.sys, d.net)
	for parent != "" && subsystem(parent) == "virtio" { // one virtio device per PCI function
		parent = up(d.sys, parent)
	}
	if parent == "" {
		return nil
	}
	put := func(to *string, s, tail string) {
		if s != "" {
			*to = prefix + s + tail
		}
	}
	switch subsystem(parent) {
	case "platform":
		put(&n.Path, platform(filepath.Base(parent)), "")
		put(&n.Onboard, d.devicetree(parent), "")
		return nil
	case "netdevsim":
		if port := attr(d.net, "phys_port_name"); port != "" {
			if num, ok := strings.CutPrefix(filepath.Base(parent), "netdevsim"); ok && num != "" {
				n.Path = prefix + "i" + num + "n" + port
			}
		}
		return nil
	case "xen":
		if num, ok := strings.CutPrefix(filepath.Base(parent), "vif-"); ok && digits(num) {
			n.Slot = prefix + "X" + num
		}
		return nil
	}
	tail, behind := "", true // behind: on a bus of its own below the PCI device
	if usbdev := ancestor(d.sys, parent, "usb", "usb_interface"); usbdev != "" {
		if tail = usb(filepath.Base(usbdev)); tail == "" {
			return nil
		}
	} else if bcma := ancestor(d.sys, parent, "bcma", ""); bcma != "" {
		// "bcma1:3": bus and core.
		if _, core, _ := strings.Cut(filepath.Base(bcma), ":"); core != "0" && digits(core) {
			tail = "b" + core
		}
	} else if behind = false; subsystem(parent) != "pci" {
		return nil // a bus whose places have no names
	}
	pci := ancestor(d.sys, parent, "pci", "")
	if pci == "" {
		return nil
	}
	fn := pci
	phys, err := filepath.EvalSymlinks(filepath.Join(pci, "physfn"))
	if err == nil {
		// A virtual function is named after its physical one.
		num, err := virtual(phys, pci)
		if err != nil {
			return err
		}
		fn, tail = phys, "v"+num+tail
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	onboard, slot, path, err := d.pci(fn)
	if err != nil {
		return err
	}
	if !behind { // an index of the firmware is that of the PCI device itself
		put(&n.Onboard, onboard, tail)
	}
	put(&n.Slot, slot, tail)
	put(&n.Path, path, tail)
	return nil
}

// up is the device above dir, "" at the top of the tree.
func up(sys, dir string) string {
	top, err := filepath.EvalSymlinks(filepath.Join(sys, "devices"))
	if err != nil {
		top = filepath.Join(sys, "devices")
	}
	for dir = filepath.Dir(dir); strings.HasPrefix(dir, top+"/"); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, "uevent")); err == nil {
			return dir
		}
	}
	return ""
}

// ancestor is dir or the first device above it of a subsystem and, if one is
// given, device type.
func ancestor(sys, dir, subsys, devtype string) string {
	for ; dir != ""; dir = up(sys, dir) {
		if subsystem(dir) == subsys && (devtype == "" || uevent(dir, "DEVTYPE") == devtype) {
			return dir
		}
	}
	return ""
}

func subsystem(dir string) string {
	to, err := os.Readlink(filepath.Join(dir, "subsystem"))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

func attr(dir, name string) string { return sys.Line(filepath.Join(dir, name)) }

func uevent(dir, key string) string {
	for line := range strings.Lines(attr(dir, "uevent")) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return v
		}
	}
	return ""
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

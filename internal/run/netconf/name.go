package netconf

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/ifname"
	"bareroot/internal/run/rtnl"
)

// rename gives a new NIC the name that it has in a root with systemd, before
// anything else is done with it: ifname= first, then firmware's and bus's
// name unless net.ifnames=0. A NIC whose kernel name the command line uses
// keeps it. It returns the name that the NIC has then.
func (m *Manager) rename(l rtnl.Link) string {
	old := l.Name
	want, why := "", ""
	for _, r := range m.cfg.Net.Rename {
		if strings.EqualFold(r.MAC, l.Permanent().String()) {
			want, why = r.Name, "ifname="
		}
	}
	if want == "" && m.cfg.Predictable && !l.Up() {
		if mentions(m.cfg.Net, old) {
			m.cfg.Log.Infof("%s keeps the kernel's name: the command line uses it", old)
			return old
		}
		var err error
		if want, why, err = ifname.Choose("/sys", old); err != nil {
			m.cfg.Log.Warnf("%s keeps its name: %v", old, err)
			return old
		}
	}
	if want == "" || want == old {
		return old
	}
	switch err := rtnl.SetName(l.Index, want); {
	case errors.Is(err, unix.ENODEV): // it went away, or has another name already
		return old
	case err != nil:
		m.cfg.Log.Warnf("%s keeps its name: rename it to %s (%s): %v", old, want, why, err)
		return old
	}
	m.cfg.Log.Infof("%s is now %s (%s)", old, want, why)
	return want
}

// mentions says whether the command line names a NIC.
func mentions(n cmdline.Network, name string) bool {
	names := append([]string{n.BootDev}, n.Ifaces...)
	for _, ip := range n.IPs {
		names = append(names, ip.Device)
	}
	for _, v := range n.VLANs {
		names = append(names, v.Phys)
	}
	for _, r := range n.Routes {
		names = append(names, r.Device)
	}
	for _, groups := range [][]cmdline.Group{n.Bonds, n.Bridges, n.Teams} {
		for _, g := range groups {
			names = append(names, g.Members...)
		}
	}
	for _, s := range names {
		if s == name {
			return true
		}
	}
	return false
}

// Predictable says whether NICs get predictable names: not with net.ifnames=0,
// and not in a container without sysfs.
func Predictable(line cmdline.Line) bool {
	_, err := os.Stat("/sys/class/net")
	return err == nil && line.Bool(true, "net.ifnames")
}

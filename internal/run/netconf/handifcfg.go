package netconf

import (
	"fmt"
	"strings"
)

// Folders of a root with the set-up of its network, Red Hat's and SUSE's. Both
// call a file ifcfg-IF; what is in it differs.
const (
	redhat = "etc/sysconfig/network-scripts/"
	suse   = "etc/sysconfig/network/"
)

// ifcfg makes the files that dracut leaves in /run/initramfs/state, from where a
// root of Red Hat's copies them over its own (rhel-import-state). So a root that
// does not hang on the network gets none for an interface that it has a file for.
func (h handover) ifcfg(root string) []file {
	var out []file
	for _, n := range h.nics {
		var files []file
		switch {
		case exists(root, redhat):
			files = append(files, file{redhat + "ifcfg-" + n.name, 0o644, shell(n.redhat(h.peerDNS))})
			files = append(files, n.routeFiles(redhat+"route-", redhat+"route6-", func(to, via string) string {
				if via == "" {
					return to + " dev " + n.name
				}
				return to + " via " + via + " dev " + n.name
			})...)
		case exists(root, suse):
			files = append(files, file{suse + "ifcfg-" + n.name, 0o644, shell(n.suse(h))})
			files = append(files, n.routeFiles(suse+"ifroute-", suse+"ifroute-", func(to, via string) string {
				if via == "" {
					via = "-"
				}
				return to + " " + via + " - " + n.name
			})...)
		}
		if len(files) == 0 || !h.needed && exists(root, files[0].path) {
			continue
		}
		for _, f := range files {
			f.path = "run/initramfs/state/" + f.path
			out = append(out, f)
		}
	}
	return out
}

// redhat is sysconfig.txt of Red Hat's initscripts, and nm-settings-ifcfg-rh(5).
func (n handed) redhat(peerDNS bool) [][2]string {
	v := [][2]string{{"NAME", n.name}, {"DEVICE", n.name}, {"UUID", n.uuid()}, {"ONBOOT", "yes"}, {"NETBOOT", "yes"}}
	add := func(key, value string) { v = append(v, [2]string{key, value}) }
	if n.master != nil {
		add("TYPE", n.kind())
		if n.master.kind == "bond" {
			add("SLAVE", "yes")
			add("MASTER", n.master.name)
		} else {
			add("BRIDGE", n.master.name)
		}
	} else {
		add("BOOTPROTO", map[bool]string{true: "dhcp", false: "none"}[n.four.is("dhcp")])
		if l := n.four; l.is("static") {
			add("IPADDR", l.Address.Addr().String())
			add("PREFIX", fmt.Sprint(l.Address.Bits()))
			if l.Gateway.IsValid() {
				add("GATEWAY", l.Gateway.String())
			}
		}
		if n.six != nil {
			add("IPV6INIT", "yes")
		}
		switch l := n.six; {
		case l.is("dhcp6"):
			add("DHCPV6C", "yes")
		case l.is("auto6"):
			add("IPV6_AUTOCONF", "yes")
		case l.is("static"):
			add("IPV6_AUTOCONF", "no")
			add("IPV6ADDR", l.Address.String())
			if l.Gateway.IsValid() {
				add("IPV6_DEFAULTGW", l.Gateway.String())
			}
		}
		if n.four.is("dhcp") && !peerDNS {
			add("PEERDNS", "no")
		}
		add("TYPE", n.kind())
	}
	if n.made != nil {
		switch n.made.kind {
		case "bond":
			add("BONDING_MASTER", "yes")
			add("BONDING_OPTS", strings.Join(n.made.options, " "))
		case "bridge":
			add("STP", "no")
			add("DELAY", "0")
		case "vlan":
			add("VLAN", "yes")
			add("PHYSDEV", n.made.phys)
			add("VLAN_ID", fmt.Sprint(n.made.id))
		}
	} else {
		add("HWADDR", n.perm)
		if n.ownMAC() {
			add("MACADDR", n.mac)
		}
	}
	if n.mtu > 0 {
		add("MTU", fmt.Sprint(n.mtu))
	}
	for i, d := range n.fixedDNS() {
		add(fmt.Sprintf("DNS%d", i+1), d)
	}
	return v
}

// suse is ifcfg(5) of SUSE, which wicked reads.
func (n handed) suse(h handover) [][2]string {
	v := [][2]string{{"NAME", n.name}}
	add := func(key, value string) { v = append(v, [2]string{key, value}) }
	start := "auto"
	if h.needed {
		start = "nfsroot" // never switched off
	}
	if n.master != nil {
		add("STARTMODE", "hotplug")
		add("BOOTPROTO", "none")
	} else {
		add("STARTMODE", start)
		proto := map[[2]bool]string{{true, true}: "dhcp", {true, false}: "dhcp4", {false, true}: "dhcp6"}[[2]bool{n.four.is("dhcp"), n.six.is("dhcp6")}]
		var fixed []string
		for _, l := range []*Lease{n.four, n.six} {
			if l.is("static") {
				fixed = append(fixed, l.Address.String())
			}
		}
		switch {
		case proto != "" && len(fixed) > 0:
			proto += "+static"
		case len(fixed) > 0:
			proto = "static"
		case proto == "":
			proto = "none"
		}
		add("BOOTPROTO", proto)
		for i, a := range fixed {
			add([]string{"IPADDR", "IPADDR_1"}[i], a)
		}
		if n.four.is("dhcp") {
			// The one by which the lease was got; wicked would take another.
			add("DHCLIENT_CLIENT_ID", "01:"+n.mac)
		}
	}
	if n.made != nil {
		switch n.made.kind {
		case "bond":
			add("BONDING_MASTER", "yes")
			add("BONDING_MODULE_OPTS", strings.Join(n.made.options, " "))
			for i, m := range h.members(n.made) {
				add(fmt.Sprintf("BONDING_SLAVE_%d", i), m)
			}
		case "bridge":
			add("BRIDGE", "yes")
			add("BRIDGE_STP", "off")
			add("BRIDGE_FORWARDDELAY", "0")
			add("BRIDGE_PORTS", strings.Join(h.members(n.made), " "))
		case "vlan":
			add("ETHERDEVICE", n.made.phys)
			add("VLAN_ID", fmt.Sprint(n.made.id))
		}
	} else if n.ownMAC() {
		add("LLADDR", n.mac)
	}
	if n.mtu > 0 {
		add("MTU", fmt.Sprint(n.mtu))
	}
	return v
}

// kind is Red Hat's word for what the interface is.
func (n handed) kind() string {
	if n.made == nil {
		return "Ethernet"
	}
	return map[string]string{"bond": "Bond", "bridge": "Bridge", "vlan": "Vlan"}[n.made.kind]
}

// ownMAC says that the interface was given another MAC than it was made with.
func (n handed) ownMAC() bool { return n.master == nil && n.perm != "" && n.perm != n.mac }

// members are the interfaces that are in a bond or bridge.
func (h handover) members(v *virtual) []string {
	var out []string
	for _, n := range h.nics {
		if n.master == v {
			out = append(out, n.name)
		}
	}
	return out
}

// fixedDNS are the name servers that no server names anew.
func (n handed) fixedDNS() []string {
	if n.four == nil && n.six == nil {
		return nil
	}
	var out []string
	for _, d := range n.dns {
		out = append(out, d.String())
	}
	for _, l := range []*Lease{n.four, n.six} {
		if l.is("static") {
			for _, d := range l.DNS {
				out = append(out, d.String())
			}
		}
	}
	return unique(out)
}

// routeFiles are the routes of rd.route=, and in SUSE's form the gateways of
// static addresses, which have no other place there.
func (n handed) routeFiles(four, six string, line func(to, via string) string) []file {
	lines := map[string]string{}
	add := func(name, to, via string) { lines[name+n.name] += line(to, via) + "\n" }
	if four == six {
		for _, l := range []*Lease{n.four, n.six} {
			if l.is("static") && l.Gateway.IsValid() {
				add(four, "default", l.Gateway.String())
			}
		}
	}
	for _, r := range n.routes {
		switch v6 := r.Dest.Addr().Is6(); {
		case v6 && n.six != nil:
			add(six, r.Dest.String(), text(r.Via))
		case !v6 && n.four != nil:
			add(four, r.Dest.String(), text(r.Via))
		}
	}
	var out []file
	for _, name := range unique([]string{four + n.name, six + n.name}) {
		if lines[name] != "" {
			out = append(out, file{name, 0o644, lines[name]})
		}
	}
	return out
}

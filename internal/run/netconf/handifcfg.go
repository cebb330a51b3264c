package netconf

import (
	"fmt"
	"slices"
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

// given are the assignments that have a value.
func given(vars ...[2]string) [][2]string {
	return slices.DeleteFunc(vars, func(v [2]string) bool { return v[1] == "" })
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// redhat is sysconfig.txt of Red Hat's initscripts, and nm-settings-ifcfg-rh(5).
func (n *handed) redhat(peerDNS bool) [][2]string {
	four, six, v, m := n.four.fixed(), n.six.fixed(), n.virtual(), n.master
	out := [][2]string{{"NAME", n.name}, {"DEVICE", n.name}, {"UUID", n.uuid()}, {"ONBOOT", "yes"}, {"NETBOOT", "yes"}}
	if m != nil {
		out = append(out, [][2]string{{"SLAVE", yes(m.kind == "bond")}, {map[string]string{"bond": "MASTER", "bridge": "BRIDGE"}[m.kind], m.name}}...)
	} else {
		out = append(out, [][2]string{{"BOOTPROTO", map[bool]string{true: "dhcp", false: "none"}[n.four.is("dhcp")]},
			{"IPADDR", four.address}, {"PREFIX", four.bits}, {"GATEWAY", four.gateway},
			{"IPV6INIT", yes(n.six != nil)}, {"DHCPV6C", yes(n.six.is("dhcp6"))}, {"IPV6_AUTOCONF", yes(n.six.is("auto6"))},
			{"IPV6ADDR", six.prefix}, {"IPV6_DEFAULTGW", six.gateway}, {"PEERDNS", map[bool]string{true: "no"}[n.four.is("dhcp") && !peerDNS]}}...)
	}
	out = append(out, [][2]string{{"TYPE", map[string]string{"": "Ethernet", "bond": "Bond", "bridge": "Bridge", "vlan": "Vlan"}[v.kind]},
		{"BONDING_MASTER", yes(v.kind == "bond")}, {"BONDING_OPTS", strings.Join(v.options, " ")},
		{"STP", map[string]string{"bridge": "no"}[v.kind]}, {"DELAY", map[string]string{"bridge": "0"}[v.kind]},
		{"VLAN", yes(v.kind == "vlan")}, {"PHYSDEV", v.phys}, {"VLAN_ID", number(v.id)}, {"MTU", number(n.mtu)}}...)
	if n.made == nil {
		out = append(out, [][2]string{{"HWADDR", n.perm}, {"MACADDR", n.ownMAC()}}...)
	}
	for i, d := range n.fixedDNS() {
		out = append(out, [2]string{fmt.Sprintf("DNS%d", i+1), d})
	}
	return given(out...)
}

// suse is ifcfg(5) of SUSE, which wicked reads. Of a root that hangs on the
// network it never switches an interface off (STARTMODE nfsroot).
func (n *handed) suse(h handover) [][2]string {
	four, six, v := n.four.fixed(), n.six.fixed(), n.virtual()
	start, proto, id := map[bool]string{true: "nfsroot", false: "auto"}[h.needed], n.suseProto(), ""
	if n.master != nil {
		start, proto = "hotplug", "none"
	}
	if n.four.is("dhcp") {
		id = "01:" + n.mac // by which the lease was got; wicked would take another
	}
	second := "IPADDR"
	if four.prefix != "" {
		second = "IPADDR_1"
	}
	out := [][2]string{{"NAME", n.name}, {"STARTMODE", start}, {"BOOTPROTO", proto}, {"IPADDR", four.prefix}, {second, six.prefix}, {"DHCLIENT_CLIENT_ID", id}}
	switch v.kind {
	case "bond":
		out = append(out, [][2]string{{"BONDING_MASTER", "yes"}, {"BONDING_MODULE_OPTS", strings.Join(v.options, " ")}}...)
		for i, m := range h.members(n.made) {
			out = append(out, [2]string{fmt.Sprintf("BONDING_SLAVE_%d", i), m})
		}
	case "bridge":
		out = append(out, [][2]string{{"BRIDGE", "yes"}, {"BRIDGE_STP", "off"}, {"BRIDGE_FORWARDDELAY", "0"}, {"BRIDGE_PORTS", strings.Join(h.members(n.made), " ")}}...)
	}
	out = append(out, [][2]string{{"ETHERDEVICE", v.phys}, {"VLAN_ID", number(v.id)}, {"MTU", number(n.mtu)}}...)
	if n.made == nil {
		out = append(out, [2]string{"LLADDR", n.ownMAC()})
	}
	return given(out...)
}

// suseProto is how wicked gets the addresses: dhcp for both families, one of
// them, fixed ones beside.
func (n *handed) suseProto() string {
	proto := map[[2]bool]string{{true, true}: "dhcp", {true, false}: "dhcp4", {false, true}: "dhcp6"}[[2]bool{n.four.is("dhcp"), n.six.is("dhcp6")}]
	switch static := n.four.is("static") || n.six.is("static"); {
	case static && proto != "":
		return proto + "+static"
	case static:
		return "static"
	case proto == "":
		return "none"
	}
	return proto
}

// fixed is a static address as text; of other leases, nothing.
type fixed struct{ address, bits, prefix, gateway string }

func (l *Lease) fixed() fixed {
	if !l.is("static") {
		return fixed{}
	}
	return fixed{l.Address.Addr().String(), fmt.Sprint(l.Address.Bits()), l.Address.String(), text(l.Gateway)}
}

// virtual is what the interface was made as; of hardware, nothing. It is the
// plan's own: a copy would read what another NIC may be writing.
func (n *handed) virtual() *virtual {
	if n.made == nil {
		return &virtual{}
	}
	return n.made
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// ownMAC is the MAC that the interface was given instead of the one it was made with.
func (n *handed) ownMAC() string {
	if n.master != nil || n.perm == n.mac {
		return ""
	}
	return n.mac
}

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
func (n *handed) fixedDNS() []string {
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
func (n *handed) routeFiles(four, six string, line func(to, via string) string) []file {
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

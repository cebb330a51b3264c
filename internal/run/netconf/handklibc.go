package netconf

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// klibc makes the files of klibc's ipconfig, which initramfs-tools' scripts,
// cloud-init and open-iscsi read: assignments for a shell. What is not of IPv4
// is in a second file, as Debian's initramfs-tools has it.
func (h handover) klibc() []file {
	var out []file
	for _, n := range h.nics {
		if l := n.four; l != nil {
			proto := "dhcp"
			if l.Method == "static" {
				proto = "none"
			}
			server := l.NextServ
			if !server.IsValid() || server.IsUnspecified() {
				server = l.Server
			}
			domain := l.Domain
			out = append(out, file{"run/net-" + n.name + ".conf", 0o644, shell([][2]string{
				{"DEVICE", n.name}, {"PROTO", proto}, {"IPV4ADDR", l.Address.Addr().String()}, {"IPV4BROADCAST", last(l.Address).String()},
				{"IPV4NETMASK", mask(l.Address)}, {"IPV4GATEWAY", zero(gateway(l))}, {"IPV4DNS0", nth(n.servers(l, h.peerDNS), 0)}, {"IPV4DNS1", nth(n.servers(l, h.peerDNS), 1)},
				{"HOSTNAME", l.Host}, {"DNSDOMAIN", domain}, {"NISDOMAIN", ""}, {"ROOTSERVER", zero(server)}, {"ROOTPATH", l.RootPath}, {"filename", l.BootFile},
				{"DHCPLEASETIME", fmt.Sprint(int64(l.Duration.Seconds()))}, {"DOMAINSEARCH", strings.Join(l.Search, " ")},
			})})
		}
		if l := n.six; l != nil && l.Method != "link6" {
			proto := map[string]string{"dhcp6": "dhcp6", "auto6": "auto", "static": "static"}[l.Method]
			out = append(out, file{"run/net6-" + n.name + ".conf", 0o644, shell([][2]string{
				{"DEVICE6", n.name}, {"IPV6PROTO", proto}, {"IPV6ADDR", l.Address.Addr().String()}, {"IPV6NETMASK", fmt.Sprint(l.Address.Bits())},
				{"IPV6GATEWAY", text(l.Gateway)}, {"IPV6DNS0", nth(n.servers(l, h.peerDNS), 0)}, {"IPV6DNS1", nth(n.servers(l, h.peerDNS), 1)},
				{"IPV6DOMAINSEARCH", strings.Join(l.Search, " ")}, {"HOSTNAME", l.Host},
			})})
		}
	}
	return out
}

// shell writes assignments that a shell can read, whatever a server put in.
func shell(vars [][2]string) string {
	var b strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&b, "%s='%s'\n", v[0], strings.ReplaceAll(strings.Map(printable, v[1]), "'", `'\''`))
	}
	return b.String()
}

// servers are the name servers by the command line and the lease.
func (n handed) servers(l *Lease, peer bool) []netip.Addr {
	out := append([]netip.Addr(nil), n.dns...)
	if peer || l.Method == "static" {
		out = append(out, l.DNS...)
	}
	return unique(out)
}

// gateway is the default route's, wherever the lease has it.
func gateway(l *Lease) netip.Addr {
	for _, r := range l.Routes {
		if r.Dest.Bits() == 0 {
			return r.Via
		}
	}
	if len(l.Routes) > 0 {
		return netip.Addr{} // RFC 3442: option 3 does not count
	}
	return l.Gateway
}

func nth(list []netip.Addr, i int) string {
	if i < len(list) {
		return list[i].String()
	}
	return "0.0.0.0"
}

func zero(a netip.Addr) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.String()
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func mask(p netip.Prefix) string { return net.IP(net.CIDRMask(p.Bits(), 32)).String() }

// last is the broadcast address of an IPv4 network.
func last(p netip.Prefix) netip.Addr {
	b, m := p.Addr().As4(), net.CIDRMask(p.Bits(), 32)
	for i := range b {
		b[i] |= ^m[i]
	}
	return netip.AddrFrom4(b)
}

// ifstate tells ifupdown that these interfaces are up, so that it leaves them.
func (h handover) ifstate() file {
	var b strings.Builder
	for _, n := range h.nics {
		if n.four != nil || n.six != nil {
			fmt.Fprintf(&b, "%s=%s\n", n.name, n.name)
		}
	}
	return file{"run/network/ifstate", 0o644, b.String()}
}

// dhclient makes lease files where dracut leaves them for a root.
func (h handover) dhclient() []file {
	var out []file
	for _, n := range h.nics {
		if t := n.dhclientLease(); t != "" {
			out = append(out, file{"run/initramfs/state/var/lib/dhclient/dhclient-" + n.uuid() + "-" + n.name + ".lease", 0o644, t})
		}
	}
	return out
}

// leasesIn are lease files of the clients that a root has, where they look.
func (h handover) leasesIn(root string) []file {
	var out []file
	for _, n := range h.nics {
		t := n.dhclientLease()
		if t == "" {
			continue
		}
		if p := "var/lib/dhcp/dhclient." + n.name + ".leases"; exists(root, "var/lib/dhcp") && !exists(root, p) {
			out = append(out, file{p, 0o644, t})
		}
		if p := "var/lib/dhcpcd/" + n.name + ".lease"; exists(root, "var/lib/dhcpcd") && !exists(root, p) {
			out = append(out, file{p, 0o600, string(n.four.Packet)})
		}
	}
	return out
}

// dhclientLease is dhclient.leases(5).
func (n handed) dhclientLease() string {
	l := n.four
	if l == nil || l.Method != "dhcp" {
		return ""
	}
	when := func(after time.Duration) string {
		if l.Duration == 0 {
			return "never"
		}
		t := l.Obtained.Add(after).UTC()
		return fmt.Sprintf("%d %s", t.Weekday(), t.Format("2006/01/02 15:04:05"))
	}
	seconds := int64(l.Duration.Seconds())
	if l.Duration == 0 {
		seconds = 0xffffffff
	}
	var b strings.Builder
	fmt.Fprintf(&b, "lease {\n  interface \"%s\";\n  fixed-address %s;\n  option subnet-mask %s;\n", n.name, l.Address.Addr(), mask(l.Address))
	option := func(name, value string, quote bool) {
		value = strings.Map(printable, value)
		if quote {
			value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
		}
		if value != "" && value != `""` {
			fmt.Fprintf(&b, "  option %s %s;\n", name, value)
		}
	}
	option("routers", text(l.Gateway), false)
	option("dhcp-lease-time", fmt.Sprint(seconds), false)
	option("dhcp-message-type", "5", false)
	option("domain-name-servers", join(l.DNS, ","), false)
	option("dhcp-server-identifier", text(l.Server), false)
	option("domain-name", l.Domain, true)
	option("host-name", l.Host, true)
	option("root-path", l.RootPath, true)
	fmt.Fprintf(&b, "  renew %s;\n  rebind %s;\n  expire %s;\n}\n", when(l.T1), when(l.T2), when(l.Duration))
	return b.String()
}

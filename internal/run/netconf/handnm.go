package netconf

import (
	"fmt"
	"net/netip"
	"strings"
)

// networkManager makes profiles in NetworkManager's keyfile form
// (nm-settings-keyfile(5)). If the root hangs on the network, each interface has
// the note by which NetworkManager knows, when it starts, which profile is active
// there: it then takes the interface over as it stands. Else any profile of the
// root's own goes before ours.
func (h handover) networkManager() []file {
	var out []file
	for _, n := range h.nics {
		out = append(out, file{"run/NetworkManager/system-connections/bareroot-" + n.name + ".nmconnection", 0o600, n.keyfile(h)})
		if h.needed {
			out = append(out, file{fmt.Sprintf("run/NetworkManager/devices/%d", n.index), 0o644, fmt.Sprintf("[device]\nmanaged=true\nconnection-uuid=%s\nnm-owned=%v\n", n.uuid(), n.made != nil)})
		}
	}
	return out
}

func (n handed) keyfile(h handover) string {
	var b strings.Builder
	kind, priority := "ethernet", -100
	if n.made != nil {
		kind = n.made.kind
	}
	if h.needed {
		priority = 100
	}
	fmt.Fprintf(&b, "[connection]\nid=bareroot %s\nuuid=%s\ntype=%s\ninterface-name=%s\nautoconnect-priority=%d\n", n.name, n.uuid(), kind, n.name, priority)
	if n.master != nil {
		fmt.Fprintf(&b, "master=%s\nslave-type=%s\n", n.master.name, n.master.kind)
	}
	if n.made != nil {
		switch n.made.kind {
		case "vlan":
			fmt.Fprintf(&b, "\n[vlan]\nid=%d\nparent=%s\nflags=1\n", n.made.id, n.made.phys)
		case "bond":
			b.WriteString("\n[bond]\n")
			for _, o := range n.made.options {
				key, value, _ := strings.Cut(o, "=")
				if key == "mode" {
					value = bondMode(value)
				}
				fmt.Fprintf(&b, "%s=%s\n", key, value)
			}
		case "bridge":
			b.WriteString("\n[bridge]\nstp=false\n")
		}
	}
	if n.mtu > 0 {
		fmt.Fprintf(&b, "\n[ethernet]\nmtu=%d\n", n.mtu)
	}
	if n.master != nil {
		return b.String()
	}
	n.family(&b, "ipv4", n.four, h.peerDNS)
	n.family(&b, "ipv6", n.six, h.peerDNS)
	return b.String()
}

// family writes the part of one family.
func (n handed) family(b *strings.Builder, name string, l *Lease, peerDNS bool) {
	six := name == "ipv6"
	fmt.Fprintf(b, "\n[%s]\n", name)
	switch {
	case l == nil && six:
		b.WriteString("method=ignore\n") // as the kernel has it
		return
	case l == nil:
		b.WriteString("method=disabled\n")
		return
	case l.Method == "static":
		b.WriteString("method=manual\n")
		fmt.Fprintf(b, "address1=%s", l.Address)
		if l.Gateway.IsValid() {
			fmt.Fprintf(b, ",%s", l.Gateway)
		}
		b.WriteString("\n")
	case l.Method == "dhcp":
		// A root on the network must not lose it because a server is slow.
		b.WriteString("method=auto\ndhcp-client-id=mac\ndhcp-timeout=2147483647\n")
	case l.Method == "dhcp6":
		b.WriteString("method=dhcp\ndhcp-timeout=2147483647\n")
	case l.Method == "auto6":
		b.WriteString("method=auto\naddr-gen-mode=eui64\n")
	case l.Method == "link6":
		b.WriteString("method=link-local\naddr-gen-mode=eui64\n")
	}
	var dns []netip.Addr
	for _, d := range n.dns {
		if d.Is6() == six {
			dns = append(dns, d)
		}
	}
	if l.Method == "static" {
		dns = append(dns, l.DNS...)
	} else if !peerDNS {
		b.WriteString("ignore-auto-dns=true\n")
	}
	if len(dns) > 0 {
		fmt.Fprintf(b, "dns=%s;\n", join(dns, ";"))
	}
	i := 0
	for _, r := range n.routes {
		if r.Dest.Addr().Is6() != six {
			continue
		}
		i++
		fmt.Fprintf(b, "route%d=%s", i, r.Dest)
		if r.Via.IsValid() {
			fmt.Fprintf(b, ",%s", r.Via)
		}
		b.WriteString("\n")
	}
}

package netconf

import (
	"fmt"
	"strings"
)

// networkd makes files of systemd.network(5) and systemd.netdev(5). Where the
// root hangs on the network they come before the root's own (the first that
// matches counts), else after them.
func (h handover) networkd() []file {
	rank := "70"
	if h.needed {
		rank = "05"
	}
	var out []file
	for _, n := range h.nics {
		base := "run/systemd/network/" + rank + "-bareroot-" + n.name
		if n.made != nil {
			out = append(out, file{base + ".netdev", 0o644, n.netdev()})
		}
		out = append(out, file{base + ".network", 0o644, n.network(h.peerDNS)})
	}
	return out
}

// netdev describes what is there already; networkd then does not take it for
// somebody else's.
func (n handed) netdev() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[NetDev]\nName=%s\nKind=%s\n", n.name, n.made.kind)
	switch n.made.kind {
	case "vlan":
		fmt.Fprintf(&b, "\n[VLAN]\nId=%d\n", n.made.id)
	case "bond":
		b.WriteString("\n[Bond]\n")
		for _, o := range n.made.options {
			key, value, _ := strings.Cut(o, "=")
			switch key {
			case "mode":
				fmt.Fprintf(&b, "Mode=%s\n", bondMode(value))
			case "miimon":
				fmt.Fprintf(&b, "MIIMonitorSec=%sms\n", value)
			case "arp_interval":
				fmt.Fprintf(&b, "ARPIntervalSec=%sms\n", value)
			case "arp_ip_target":
				fmt.Fprintf(&b, "ARPIPTargets=%s\n", strings.ReplaceAll(value, ",", " "))
			case "xmit_hash_policy":
				fmt.Fprintf(&b, "TransmitHashPolicy=%s\n", value)
			case "lacp_rate":
				rate := map[string]string{"0": "slow", "1": "fast"}[value]
				if rate == "" {
					rate = value
				}
				fmt.Fprintf(&b, "LACPTransmitRate=%s\n", rate)
			}
		}
	}
	return b.String()
}

// bondMode is a mode's name.
func bondMode(s string) string {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '6' {
		return []string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}[s[0]-'0']
	}
	return s
}

func (n handed) network(peerDNS bool) string {
	var b strings.Builder
	b.WriteString("[Match]\n")
	if n.byMAC {
		fmt.Fprintf(&b, "MACAddress=%s\nType=ether\n", n.mac)
	} else {
		fmt.Fprintf(&b, "Name=%s\n", n.name)
	}
	if n.mtu > 0 {
		fmt.Fprintf(&b, "\n[Link]\nMTUBytes=%d\n", n.mtu)
	}
	b.WriteString("\n[Network]\n")
	if n.master != nil {
		fmt.Fprintf(&b, "%s=%s\n", map[string]string{"bond": "Bond", "bridge": "Bridge"}[n.master.kind], n.master.name)
	}
	for _, v := range n.vlans {
		fmt.Fprintf(&b, "VLAN=%s\n", v)
	}
	dhcp := map[[2]bool]string{{true, true}: "yes", {true, false}: "ipv4", {false, true}: "ipv6"}[[2]bool{n.four.is("dhcp"), n.six.is("dhcp6")}]
	if dhcp == "" {
		dhcp = "no"
	}
	fmt.Fprintf(&b, "DHCP=%s\n", dhcp)
	if n.six.is("dhcp6") || n.six.is("auto6") {
		b.WriteString("IPv6AcceptRA=yes\n")
	}
	b.WriteString("KeepConfiguration=yes\n")
	for _, l := range []*Lease{n.four, n.six} {
		if l.is("static") {
			if !l.Peer.IsValid() {
				fmt.Fprintf(&b, "Address=%s\n", l.Address)
			}
			if l.Gateway.IsValid() {
				fmt.Fprintf(&b, "Gateway=%s\n", l.Gateway)
			}
			for _, d := range l.DNS {
				fmt.Fprintf(&b, "DNS=%s\n", d)
			}
		}
	}
	if n.four != nil || n.six != nil {
		for _, d := range n.dns {
			fmt.Fprintf(&b, "DNS=%s\n", d)
		}
	}
	if n.four.is("static") && n.four.Peer.IsValid() {
		fmt.Fprintf(&b, "\n[Address]\nAddress=%s\nPeer=%s\n", n.four.Address, n.four.Peer)
	}
	for _, r := range n.routes {
		fmt.Fprintf(&b, "\n[Route]\nDestination=%s\n", r.Dest)
		if r.Via.IsValid() {
			fmt.Fprintf(&b, "Gateway=%s\nGatewayOnLink=yes\n", r.Via)
		}
	}
	if n.four.is("dhcp") {
		// The identifier is the one by which the lease was got.
		b.WriteString("\n[DHCPv4]\nClientIdentifier=mac\n")
		if !peerDNS {
			b.WriteString("UseDNS=no\n")
		}
	}
	return b.String()
}

// is says whether there is a lease, and by what.
func (l *Lease) is(method string) bool { return l != nil && l.Method == method }

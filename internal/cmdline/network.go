package cmdline

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Network is all that a command line says about the network.
type Network struct {
	IPs     []IP
	BootDev string   // NIC the boot depends on: name or MAC
	Ifaces  []string // NICs to bring up, BootDev first
	Need    bool     // rd.neednet, or implied
	DNS     []netip.Addr
	PeerDNS bool
	Routes  []Route
	Rename  []IfName
	VLANs   []VLAN
	Bonds   []Group
	Bridges []Group
	Teams   []Group
	IBFT    bool // ip=ibft or rd.iscsi.ibft: the firmware's table configures the NICs
	Notices []string
}

// Route is rd.route=.
type Route struct {
	Dest   netip.Prefix
	Via    netip.Addr // invalid: on link
	Device string
}

// IfName is ifname=NAME:MAC.
type IfName struct{ Name, MAC string }

// VLAN is vlan=NAME:PHY.
type VLAN struct {
	Name, Phys string
	ID         int
}

// Group is bond=, bridge= or team=.
type Group struct {
	Name    string
	Members []string
	Options string // bond: "mode=1 arp_ip_target=..."; team: the runner
	MTU     string
}

// ParseNetwork reads a line's network words. A malformed one is an error that
// names the word.
func ParseNetwork(l Line) (Network, error) {
	n := Network{PeerDNS: l.Bool(true, "rd.peerdns"), Need: l.Bool(false, "rd.neednet"), IBFT: l.Bool(false, "rd.iscsi.ibft")}
	words, rules := l.All("ip"), l
	if w, ok := l.Last("nfsaddrs"); ok && len(words) == 0 && w.Value != "" { // the kernel's old name
		words, rules = []Word{w}, append(slices.Clone(l), Word{Key: "bareroot.ip", Value: "kernel"})
	}
	for _, w := range words {
		if w.Bare {
			return n, fmt.Errorf(`ip: unknown value "ip"; write ip=dhcp`)
		}
		if w.Value == "" {
			continue
		}
		ip, notice, err := ParseIP(w.Value, rules)
		if err != nil {
			return n, err
		}
		if len(ip.Methods) == 0 {
			continue
		}
		if notice != "" {
			n.Notices = append(n.Notices, notice)
		}
		if ip.Methods[0] == "ibft" {
			n.IBFT = true
			continue
		}
		n.IPs = append(n.IPs, ip)
	}
	steps := []func(Line) error{n.groups, n.devices, n.extras}
	for _, s := range steps {
		if err := s(l); err != nil {
			return n, err
		}
	}
	return n, nil
}

// devices works out bootdev and the NICs to bring up.
func (n *Network) devices(l Line) error {
	seen := map[string]bool{}
	for _, ip := range n.IPs {
		if ip.Device == "" {
			if len(n.IPs) > 1 {
				return fmt.Errorf("ip=: with several ip= each must name its interface")
			}
			continue
		}
		if seen[ip.Device] {
			return fmt.Errorf("ip=: interface %s has two ip= words", ip.Device)
		}
		seen[ip.Device] = true
		n.Ifaces = append(n.Ifaces, ip.Device)
	}
	n.BootDev, _ = l.Get("bootdev")
	if len(n.IPs) > 1 && !l.Has("rd.neednet") {
		n.Need = true
	}
	if n.BootDev == "" && len(n.IPs) > 1 && n.Need {
		n.BootDev = n.Ifaces[0]
	}
	if boot, ok := l.Get("BOOTIF"); ok && boot != "" && l.Bool(true, "rd.bootif") {
		mac := FixBootIF(boot)
		if !isMAC(mac) {
			return fmt.Errorf("BOOTIF=%s: no MAC address; the form is 01-52-54-00-aa-bb-cc", boot)
		}
		n.Ifaces = append([]string{mac}, n.Ifaces...)
		if n.BootDev == "" {
			n.BootDev = mac
		}
	}
	if i := slices.Index(n.Ifaces, n.BootDev); i > 0 {
		n.Ifaces = append([]string{n.BootDev}, slices.Delete(n.Ifaces, i, i+1)...)
	}
	return nil
}

func (n *Network) extras(l Line) error {
	for _, w := range l.All("nameserver") {
		a, err := netip.ParseAddr(w.Value)
		if err != nil {
			return fmt.Errorf("nameserver=%s: no address", w.Value)
		}
		n.DNS = append(n.DNS, a)
	}
	for _, w := range l.All("rd.route") {
		r, err := ParseRoute(w.Value)
		if err != nil {
			return err
		}
		n.Routes = append(n.Routes, r)
	}
	for _, w := range l.All("ifname") {
		name, mac, _ := strings.Cut(w.Value, ":")
		if !IfaceName(name) || !isMAC(mac) {
			return fmt.Errorf("ifname=%s: the form is NAME:MAC with 6 or 20 octets and colons", w.Value)
		}
		if strings.HasPrefix(name, "eth") && len(name) > 3 && strings.Trim(name[3:], "0123456789") == "" {
			n.Notices = append(n.Notices, fmt.Sprintf("ifname=%s: %s may collide with a name of the kernel", w.Value, name))
		}
		n.Rename = append(n.Rename, IfName{name, strings.ToLower(mac)})
	}
	return nil
}

// ParseRoute reads NET/LEN:[GW][:DEV]; IPv6 parts stand in brackets.
func ParseRoute(v string) (Route, error) {
	f := splitFields(v)
	if len(f) < 2 || len(f) > 3 {
		return Route{}, fmt.Errorf("rd.route=%s: the form is NET/LEN:[GATEWAY][:INTERFACE]", v)
	}
	p, err := netip.ParsePrefix(f[0])
	if err != nil {
		return Route{}, fmt.Errorf("rd.route=%s: %q is no network", v, f[0])
	}
	r := Route{Dest: p.Masked()}
	if f[1] != "" {
		if r.Via, err = netip.ParseAddr(f[1]); err != nil {
			return Route{}, fmt.Errorf("rd.route=%s: gateway %q is no address", v, f[1])
		}
		if r.Via.Is4() != p.Addr().Is4() {
			return Route{}, fmt.Errorf("rd.route=%s: network and gateway are of different families", v)
		}
	}
	if len(f) == 3 {
		r.Device = f[2]
	}
	return r, nil
}

// CheckRoot applies dracut's rules for roots that come from DHCP (needDHCP)
// or whose server may come from DHCP (dhcpOrServer) to the line of bootdev.
func (n Network) CheckRoot(needDHCP, dhcpOrServer bool) error {
	for _, ip := range n.IPs {
		if ip.Device != n.BootDev || !ip.Static() || (!needDHCP && !dhcpOrServer) {
			continue
		}
		if needDHCP || ip.Peer == "" {
			return fmt.Errorf("ip=: server address or dhcp for netboot needed: the address of %q is static", ip.Device)
		}
	}
	return nil
}

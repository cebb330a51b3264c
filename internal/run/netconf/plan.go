package netconf

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// plan is what the command line says, arranged by interface. It is made once
// and only read.
type plan struct {
	net   cmdline.Network
	virts []*virtual
	open  *cmdline.IP // the ip= word without an interface
}

// virtual is an interface that is made here.
type virtual struct {
	kind    string // bond, bridge, vlan
	name    string
	members []string
	options []string // of a bond, KEY=VALUE
	mtu     int
	id      int    // of a vlan
	phys    string // of a vlan
	begun   bool   // the first member has come; guarded by Manager.mu
	joined  bool   // and is part of it; guarded by Manager.mu
}

// names are what an interface can be called by: its name, the one that the
// kernel gave it first, its MAC.
type names []string

func (n names) has(dev string) bool {
	return dev != "" && slices.ContainsFunc(n, func(s string) bool {
		return s == dev || strings.EqualFold(s, strings.ReplaceAll(dev, "-", ":"))
	})
}

// job is what is to be done with an interface.
type job struct {
	ip     cmdline.IP
	bare   bool     // it only carries something: brought up, no address
	master *virtual // the bond or bridge that it belongs to
	named  bool     // the command line names it, so that it stays whoever wins
}

// defaultIP is for an interface without an ip= word.
func (p *plan) defaultIP() cmdline.IP {
	if p.open != nil {
		return *p.open
	}
	return cmdline.IP{Methods: []string{"dhcp"}}
}

func newPlan(n cmdline.Network) (*plan, []string) {
	p := &plan{net: n}
	var notices []string
	for i := range n.IPs {
		if n.IPs[i].Device == "" {
			p.open = &n.IPs[i]
		}
	}
	add := func(v *virtual, mtu string) {
		if mtu != "" {
			if _, err := fmt.Sscanf(mtu, "%d", &v.mtu); err != nil || v.mtu < 68 {
				notices = append(notices, fmt.Sprintf("%s %s: the MTU %q is no number", v.kind, v.name, mtu))
				v.mtu = 0
			}
		}
		p.virts = append(p.virts, v)
	}
	for _, g := range n.Bonds {
		add(&virtual{kind: "bond", name: g.Name, members: g.Members, options: bondOptions(g.Options)}, g.MTU)
	}
	for _, g := range n.Teams {
		mode, exact := teamMode(g.Options)
		note := fmt.Sprintf("team=%s is made as a bond with mode %s: there is no teamd in the ramdisk", g.Name, mode)
		if !exact {
			note += fmt.Sprintf(" (the runner %q has no equal)", g.Options)
		}
		notices = append(notices, note)
		add(&virtual{kind: "bond", name: g.Name, members: g.Members, options: bondOptions("mode=" + mode)}, g.MTU)
	}
	for _, g := range n.Bridges {
		add(&virtual{kind: "bridge", name: g.Name, members: g.Members}, g.MTU)
	}
	for _, v := range n.VLANs {
		p.virts = append(p.virts, &virtual{kind: "vlan", name: v.Name, id: v.ID, phys: v.Phys})
	}
	return p, notices
}

// job finds what is to be done with an interface; ok is false if it is not
// ours. made says that this package made it.
func (p *plan) job(n names, made bool) (j job, ok bool) {
	for _, v := range p.virts {
		if slices.ContainsFunc(v.members, n.has) {
			return job{master: v, bare: true, named: true}, true
		}
	}
	for _, ip := range p.net.IPs {
		if n.has(ip.Device) {
			return job{ip: ip, named: true}, true
		}
	}
	// Who asks for a VLAN does not want the untagged network, unless it has an
	// ip= of its own.
	if slices.ContainsFunc(p.virts, func(v *virtual) bool { return n.has(v.phys) }) {
		return job{bare: true, named: true}, true
	}
	if slices.ContainsFunc(p.net.Ifaces, n.has) {
		return job{ip: p.defaultIP(), named: true}, true
	}
	// BOOTIF names the hardware, which may be inside of what was made.
	if len(p.net.Ifaces) == 0 || made && !slices.ContainsFunc(p.net.Ifaces, func(d string) bool { return strings.Count(d, ":") < 5 }) {
		return job{ip: p.defaultIP()}, true
	}
	if made {
		return job{bare: true, named: true}, true // somebody asked for it, and for no address
	}
	return job{}, false
}

// vlansOf are the VLANs to be made on an interface.
func (p *plan) vlansOf(n names) []*virtual {
	var out []*virtual
	for _, v := range p.virts {
		if v.kind == "vlan" && n.has(v.phys) {
			out = append(out, v)
		}
	}
	return out
}

// routes are the words rd.route= for an interface.
func (p *plan) routes(n names) []LeaseRoute {
	var out []LeaseRoute
	for _, r := range p.net.Routes {
		if r.Device == "" || n.has(r.Device) {
			out = append(out, LeaseRoute{r.Dest, r.Via})
		}
	}
	return out
}

// expected are the interfaces that the command line names.
func (p *plan) expected() []string {
	var out []string
	add := func(ds ...string) {
		for _, d := range ds {
			if d != "" && !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	add(p.net.Ifaces...)
	for _, ip := range p.net.IPs {
		add(ip.Device)
	}
	for _, v := range p.virts {
		add(v.members...)
		add(v.phys)
	}
	return out
}

// bondOptions splits what bond= has in its third field. A bond that watches
// nothing would go on using a dead leg, so the link is watched by default.
func bondOptions(s string) []string {
	out := strings.Fields(s)
	watched := slices.ContainsFunc(out, func(o string) bool {
		return strings.HasPrefix(o, "miimon=") || strings.HasPrefix(o, "arp_interval=")
	})
	if !watched {
		out = append(out, "miimon=100")
	}
	// The kernel wants the mode before everything else.
	slices.SortStableFunc(out, func(a, b string) int { return rank(a) - rank(b) })
	return out
}

func rank(option string) int {
	switch key, _, _ := strings.Cut(option, "="); key {
	case "mode":
		return 0
	case "miimon", "arp_interval":
		return 1 // before updelay, downdelay and arp_validate, which need them
	}
	return 2
}

// teamMode is the bond mode that does what a team's runner does.
func teamMode(runner string) (mode string, exact bool) {
	switch runner {
	case "", "activebackup":
		return "active-backup", true
	case "roundrobin":
		return "balance-rr", true
	case "broadcast":
		return "broadcast", true
	case "loadbalance":
		return "balance-xor", true
	case "lacp":
		return "802.3ad", true
	}
	return "balance-rr", false
}

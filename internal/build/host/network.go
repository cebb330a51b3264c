package host

import (
	"encoding/hex"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// netRoot is a root that comes over NFS.
type netRoot struct {
	fs          *Filesystem
	Server, Dir string
}

// session is an iSCSI session under the root.
type session struct {
	Device                          string // /dev/sda
	Target, Address, Port, LUN, IQN string
	Iface                           string
}

// nic is an interface that leads to the root, or that stands under one.
type nic struct {
	Name, Type string // bond, bridge, vlan; "" for a NIC
	Path       string // sys/devices/...
	MAC        string
	Lower      []string
}

// nfsSource takes SERVER:/DIR apart; an IPv6 address is in brackets.
func nfsSource(fstype, source string) (server, dir string, ok bool) {
	if fstype != "nfs" && fstype != "nfs4" {
		return "", "", false
	}
	i := strings.Index(source, ":/")
	if strings.HasPrefix(source, "[") {
		if i = strings.Index(source, "]:/"); i >= 0 {
			i++
		}
	}
	if i <= 0 {
		return "", "", false
	}
	return source[:i], source[i+1:], true
}

type route struct {
	Prefix netip.Prefix
	Iface  string
}

// parseRoutes reads /proc/net/route: addresses are host-order words in hex.
// Only little-endian machines are known here.
func parseRoutes(text string) []route {
	var out []route
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		dst, ok := hexAddr4(f[1])
		mask, ok2 := hexAddr4(f[7])
		flags, err := strconv.ParseUint(f[3], 16, 16)
		if !ok || !ok2 || err != nil || flags&1 == 0 { // RTF_UP
			continue
		}
		bits := 0
		for _, b := range mask.AsSlice() {
			for ; b != 0; b <<= 1 {
				bits++
			}
		}
		out = append(out, route{netip.PrefixFrom(dst, bits).Masked(), f[0]})
	}
	return out
}

func hexAddr4(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return netip.Addr{}, false
	}
	slices.Reverse(b)
	return netip.AddrFrom4([4]byte(b)), true
}

// parseRoutes6 reads /proc/net/ipv6_route.
func parseRoutes6(text string) []route {
	var out []route
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[9] == "lo" {
			continue
		}
		b, err := hex.DecodeString(f[0])
		n, err2 := strconv.ParseUint(f[1], 16, 8)
		if err != nil || len(b) != 16 || err2 != nil || n > 128 {
			continue
		}
		out = append(out, route{netip.PrefixFrom(netip.AddrFrom16([16]byte(b)), int(n)).Masked(), f[9]})
	}
	return out
}

// via is the interface that leads to addr: the longest prefix wins, then the
// first line.
func via(routes []route, addr netip.Addr) string {
	best, iface := -1, ""
	for _, r := range routes {
		if r.Prefix.Contains(addr.Unmap().WithZone("")) && r.Prefix.Bits() > best {
			best, iface = r.Prefix.Bits(), r.Iface
		}
	}
	return iface
}

var inSession = regexp.MustCompile(`/host(\d+)/session(\d+)/.*/(?:\d+):(?:\d+):(?:\d+):(\d+)/block/`)

func (h *Host) readNetwork(t tree) {
	text, _ := t.text("proc/net/route")
	routes := parseRoutes(text)
	text, _ = t.text("proc/net/ipv6_route")
	routes = append(routes, parseRoutes6(text)...)
	for _, r := range h.stack.nets {
		addr, ok := option(r.fs.mount.Super+","+r.fs.mount.Options, "addr")
		if !ok {
			addr = strings.Trim(r.Server, "[]")
		}
		h.leads(t, routes, addr, "the root's server "+r.Server)
	}
	for _, n := range h.stack.nodes {
		m := inSession.FindStringSubmatch(n.Path + "/")
		if m == nil {
			continue
		}
		host, id := m[1], m[2]
		conn := "sys/class/iscsi_connection/connection" + id + ":0/"
		s := session{
			Device: n.Label, LUN: m[3], IQN: t.line("sys/class/iscsi_session/session" + id + "/initiatorname"),
			Target: t.line("sys/class/iscsi_session/session" + id + "/targetname"),
		}
		if s.Address = t.line(conn + "persistent_address"); s.Address == "" {
			s.Address = t.line(conn + "address")
		}
		if s.Port = t.line(conn + "persistent_port"); s.Port == "" {
			s.Port = t.line(conn + "port")
		}
		if s.IQN == "" {
			s.IQN = t.line("sys/class/iscsi_host/host" + host + "/initiatorname")
		}
		if s.Target == "" {
			h.notice("%s, %s, is on iSCSI, but its target's name is not in sysfs; name it with netroot=iscsi:", n.Label, h.stack.why[n])
		}
		h.stack.iscsi = append(h.stack.iscsi, s)
		h.leads(t, routes, s.Address, "the iSCSI target of "+n.Label)
	}
	if len(h.stack.nets)+len(h.stack.iscsi) > 0 && len(h.runningWords(netKeys[:]...)) == 0 {
		h.notice("how the network to the root got its address is in no file, so the ramdisk asks DHCP; if the address is fixed, give it with ip= on the command line")
	}
}

// leads notes the interface to a server, and what it stands on.
func (h *Host) leads(t tree, routes []route, addr, what string) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		h.notice("the address of %s is not known (%q): no NIC can be told from its route, so the drivers of all of them come along", what, addr)
		return
	}
	iface := via(routes, a)
	if iface == "" {
		h.notice("no route in proc/net/route leads to %s (%s): the drivers of all NICs come along", what, addr)
		return
	}
	h.addNIC(t, iface, "leads to "+what)
}

func (h *Host) addNIC(t tree, name, why string) {
	if slices.ContainsFunc(h.nics, func(n nic) bool { return n.Name == name }) {
		return
	}
	p, ok := t.link("sys/class/net/" + name)
	if !ok {
		h.notice("the interface %s, which %s, is not in sysfs", name, why)
		return
	}
	n := nic{Name: name, Path: p, MAC: t.line(path.Join(p, "address"))}
	for line := range strings.Lines(t.line(path.Join(p, "uevent"))) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVTYPE="); ok && (v == "bond" || v == "bridge" || v == "vlan") {
			n.Type = v
		}
	}
	for _, e := range t.names(p) {
		if lower, ok := strings.CutPrefix(e, "lower_"); ok {
			n.Lower = append(n.Lower, lower)
		}
	}
	h.nics = append(h.nics, n)
	if h.nicWhy == nil {
		h.nicWhy = map[string]string{}
	}
	h.nicWhy[name] = why
	for _, lower := range n.Lower {
		h.addNIC(t, lower, "is under "+name+", which "+why)
	}
}

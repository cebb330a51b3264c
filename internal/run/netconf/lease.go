package netconf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Lease is an address with what came with it: from a DHCP server, from a
// router's advertisement, or from the command line.
type Lease struct {
	Method     string // dhcp, dhcp6, auto6, link6, static
	Address    netip.Prefix
	Peer       netip.Prefix // of a static address: the other end of the link
	Server     netip.Addr
	Gateway    netip.Addr
	Routes     []LeaseRoute // classless routes (option 121); they replace Gateway
	DNS        []netip.Addr
	NTP        []netip.Addr
	Domain     string
	Search     []string
	Host       string
	MTU        int
	RootPath   string
	NextServ   netip.Addr
	TFTPServer string        // option 66
	BootFile   string        // option 67 or the file field; DHCPv6: the boot file URL
	Vendor     []byte        // option 43
	Duration   time.Duration // 0 = for ever
	T1, T2     time.Duration
	Obtained   time.Time
	Packet     []byte // the acknowledgement as it came
}

// LeaseRoute is one classless route.
type LeaseRoute struct {
	Dest netip.Prefix
	Via  netip.Addr // 0.0.0.0: on link
}

// forever is DHCP's lease time without an end.
const forever = time.Duration(0xffffffff) * time.Second

// leaseOf reads an acknowledgement.
func leaseOf(m message4, now time.Time) (*Lease, error) {
	if !usable(m.yours) {
		return nil, fmt.Errorf("dhcp: the server acknowledged no usable address (%s)", m.yours)
	}
	l := &Lease{Method: "dhcp", Host: word(string(m.get(optHost))), RootPath: cstring(m.get(optRoot)), TFTPServer: cstring(m.get(optTFTP)),
		BootFile: cstring(m.get(optFile)), Vendor: m.get(optVendor), Obtained: now, Packet: m.raw,
		Server: m.server(), NextServ: m.next, Gateway: first4(m.get(optRouter)), Routes: routes4(m.get(optRoutes)), DNS: list4(m.get(optDNS4)), NTP: list4(m.get(optNTP4))}
	if l.BootFile == "" {
		l.BootFile = m.file
	}
	if !l.Server.IsValid() {
		l.Server = broadcast
	}
	// Option 15 is one name; that some servers put a search list there is in use.
	for i, d := range strings.Fields(cstring(m.get(optDomain))) {
		if d = word(d); d != "" && i == 0 {
			l.Domain = d
		} else if d != "" {
			l.Search = append(l.Search, d)
		}
	}
	l.Search = append(l.Search, domains(m.get(optSearch))...)
	bits := 0
	if v := m.get(optMask); len(v) == 4 {
		bits, _ = net.IPMask(v).Size()
	}
	if bits == 0 {
		bits, _ = net.IP(m.yours.AsSlice()).DefaultMask().Size()
	}
	l.Address = netip.PrefixFrom(m.yours, bits)
	// RFC 2131's minimum is 68; dracut ignores values up to 576, which come from
	// broken servers.
	if v := m.get(optMTU); len(v) == 2 {
		if mtu := int(v[0])<<8 | int(v[1]); mtu > 576 {
			l.MTU = mtu
		}
	}
	l.Duration = max(m.seconds(optLeaseTime, time.Hour), 10*time.Second)
	if l.Duration >= forever {
		l.Duration = 0
		return l, nil
	}
	l.T1, l.T2 = m.seconds(optT1, l.Duration/2), m.seconds(optT2, l.Duration-l.Duration/8)
	if l.T1 <= 0 || l.T2 <= l.T1 || l.T2 >= l.Duration {
		l.T1, l.T2 = l.Duration/2, l.Duration-l.Duration/8
	}
	return l, nil
}

// seconds is a time of the message.
func (m message4) seconds(code byte, without time.Duration) time.Duration {
	if v := m.get(code); len(v) == 4 {
		return seconds6(v)
	}
	return without
}

func usable(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && a != broadcast && !a.IsLoopback()
}

// keep renews a lease for as long as that goes, and tells of each.
func keep[L any](ctx context.Context, l L, renewed func(context.Context, L) (L, error), tell func(L), debugf func(string, ...any)) {
	for {
		next, err := renewed(ctx, l)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			debugf("dhcp: %v", err)
			return
		}
		l = next
		tell(l)
	}
}

// word keeps a name that a server gave, if it is one: it goes into files and
// the host name.
func word(s string) string {
	s = strings.TrimRight(s, "\x00")
	if len(s) > 253 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "" {
		return ""
	}
	return strings.TrimSuffix(s, ".")
}

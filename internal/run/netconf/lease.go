package netconf

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
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
func leaseOf(r *dhcpv4.DHCPv4, now time.Time) (*Lease, error) {
	addr, ok := netip.AddrFromSlice(r.YourIPAddr.To4())
	if !ok || !usable(r.YourIPAddr) {
		return nil, fmt.Errorf("dhcp: the server acknowledged no usable address (%s)", r.YourIPAddr)
	}
	l := &Lease{Method: "dhcp", Host: word(r.HostName()), RootPath: r.RootPath(), TFTPServer: r.TFTPServerName(),
		BootFile: r.BootFileNameOption(), Vendor: r.Options.Get(dhcpv4.OptionVendorSpecificInformation), Obtained: now, Packet: r.ToBytes()}
	if l.BootFile == "" {
		l.BootFile = r.BootFileName
	}
	// Option 15 is one name; that some servers put a search list there is in use.
	for i, d := range strings.Fields(strings.TrimRight(r.DomainName(), "\x00")) {
		if d = word(d); d != "" && i == 0 {
			l.Domain = d
		} else if d != "" {
			l.Search = append(l.Search, d)
		}
	}
	if ls := r.DomainSearch(); ls != nil {
		for _, d := range ls.Labels {
			if d = word(d); d != "" {
				l.Search = append(l.Search, d)
			}
		}
	}
	bits := 0
	if m := r.SubnetMask(); m != nil {
		bits, _ = m.Size()
	}
	if bits == 0 {
		d, _ := net.IP(addr.AsSlice()).DefaultMask().Size()
		bits = d
	}
	l.Address = netip.PrefixFrom(addr, bits)
	l.Server, _ = netip.AddrFromSlice(r.ServerIdentifier().To4())
	if !l.Server.IsValid() {
		l.Server = broadcast
	}
	l.NextServ, _ = netip.AddrFromSlice(r.ServerIPAddr.To4())
	if gs := r.Router(); len(gs) > 0 {
		l.Gateway, _ = netip.AddrFromSlice(gs[0].To4())
	}
	for _, rt := range r.ClasslessStaticRoute() {
		a, ok1 := netip.AddrFromSlice(rt.Dest.IP.To4())
		ones, _ := rt.Dest.Mask.Size()
		via, ok2 := netip.AddrFromSlice(rt.Router.To4())
		if ok1 && ok2 {
			l.Routes = append(l.Routes, LeaseRoute{netip.PrefixFrom(a, ones).Masked(), via})
		}
	}
	l.DNS, l.NTP = addrs(r.DNS()), addrs(r.NTPServers())
	// RFC 2131's minimum is 68; dracut ignores values up to 576, which come from
	// broken servers.
	if b := r.Options.Get(dhcpv4.OptionInterfaceMTU); len(b) == 2 {
		if mtu := int(b[0])<<8 | int(b[1]); mtu > 576 {
			l.MTU = mtu
		}
	}
	l.Duration = max(r.IPAddressLeaseTime(time.Hour), 10*time.Second)
	if l.Duration >= forever {
		l.Duration = 0
		return l, nil
	}
	l.T1, l.T2 = r.IPAddressRenewalTime(l.Duration/2), r.IPAddressRebindingTime(l.Duration*7/8)
	if l.T1 <= 0 || l.T2 <= l.T1 || l.T2 >= l.Duration {
		l.T1, l.T2 = l.Duration/2, l.Duration*7/8
	}
	return l, nil
}

func usable(ip net.IP) bool {
	v4 := ip.To4()
	return v4 != nil && !v4.IsUnspecified() && !v4.IsMulticast() && !v4.Equal(net.IPv4bcast) && !v4.IsLoopback()
}

func addrs(in []net.IP) []netip.Addr {
	var out []netip.Addr
	for _, ip := range in {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok && !a.IsUnspecified() {
			out = append(out, a)
		}
	}
	return out
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

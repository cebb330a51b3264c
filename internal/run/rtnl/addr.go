package rtnl

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Addr6 is an IPv6 address of a link.
type Addr6 struct {
	Index  int
	Prefix netip.Prefix
	Flags  uint32 // IFA_F_...
}

// Addrs6 lists all IPv6 addresses.
func Addrs6() ([]Addr6, error) {
	var out []Addr6
	m := message{kind: unix.RTM_GETADDR, body: []byte{unix.AF_INET6, 0, 0, 0, 0, 0, 0, 0}}
	err := m.dump(func(kind uint16, body []byte) {
		if a, ok := parseAddr6(body); ok && kind == unix.RTM_NEWADDR {
			out = append(out, a)
		}
	})
	return out, err
}

// parseAddr6 reads struct ifaddrmsg and its attributes.
func parseAddr6(d []byte) (Addr6, bool) {
	if len(d) < 8 || d[0] != unix.AF_INET6 || d[1] > 128 {
		return Addr6{}, false
	}
	a := Addr6{Index: int(int32(binary.NativeEndian.Uint32(d[4:]))), Flags: uint32(d[2])}
	raw, ok := find(d[8:], unix.IFA_LOCAL)
	if !ok {
		raw, _ = find(d[8:], unix.IFA_ADDRESS)
	}
	if f, ok := find(d[8:], unix.IFA_FLAGS); ok && len(f) >= 4 {
		a.Flags = binary.NativeEndian.Uint32(f)
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok || !ip.Is6() {
		return Addr6{}, false
	}
	a.Prefix = netip.PrefixFrom(ip, int(d[1]))
	return a, true
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func addrMessage(kind uint16, index, bits int, a netip.Addr) message {
	b := []byte{family(a), byte(bits), 0, 0}
	m := message{kind: kind, body: binary.NativeEndian.AppendUint32(b, uint32(index))}
	m.attr(unix.IFA_LOCAL, a.AsSlice())
	return m
}

// SetAddr puts an address on a link, or changes how long it is valid. 0 is for
// ever.
func SetAddr(index int, p netip.Prefix, preferred, valid time.Duration) error {
	return setAddr(index, p, p, preferred, valid)
}

// SetPeer puts an address on a link that leads to one other machine, or to the
// network of peer.
func SetPeer(index int, a netip.Addr, peer netip.Prefix) error {
	return setAddr(index, netip.PrefixFrom(a, peer.Bits()), peer, 0, 0)
}

func setAddr(index int, p, peer netip.Prefix, preferred, valid time.Duration) error {
	m := addrMessage(unix.RTM_NEWADDR, index, p.Bits(), p.Addr())
	m.attr(unix.IFA_ADDRESS, peer.Addr().AsSlice())
	m.flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	if p.Addr().Is4() && p.Bits() < 31 && p == peer {
		b := p.Addr().As4()
		v := binary.BigEndian.Uint32(b[:]) | (1<<(32-p.Bits()) - 1)
		m.attr(unix.IFA_BROADCAST, binary.BigEndian.AppendUint32(nil, v))
	}
	if valid > 0 {
		info := append(u32(seconds(preferred)), u32(seconds(valid))...)
		m.attr(unix.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	} else {
		info := append(u32(0xffffffff), u32(0xffffffff)...)
		m.attr(unix.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	}
	return m.do()
}

func seconds(d time.Duration) uint32 { return uint32(min(int64(d/time.Second), 0xffffffff)) }

// DelAddr takes an address off a link, and with it its routes.
func DelAddr(index int, p netip.Prefix) error {
	m := addrMessage(unix.RTM_DELADDR, index, p.Bits(), p.Addr())
	return m.do()
}

// Route is one in the main table.
type Route struct {
	Index  int
	Dest   netip.Prefix
	Via    netip.Addr // invalid or unspecified: on the link itself
	OnLink bool       // Via need not be in a network of ours
	Metric int
}

// SetRoute adds a route or replaces the one with its destination and metric.
func SetRoute(r Route) error {
	gateway := r.Via.IsValid() && !r.Via.IsUnspecified()
	scope := byte(unix.RT_SCOPE_UNIVERSE)
	if !gateway && r.Dest.Addr().Is4() {
		scope = unix.RT_SCOPE_LINK
	}
	flags := uint32(0)
	if gateway && r.OnLink {
		flags = unix.RTNH_F_ONLINK
	}
	// struct rtmsg
	b := []byte{family(r.Dest.Addr()), byte(r.Dest.Bits()), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, scope, unix.RTN_UNICAST}
	m := message{kind: unix.RTM_NEWROUTE, flags: unix.NLM_F_CREATE | unix.NLM_F_REPLACE, body: binary.NativeEndian.AppendUint32(b, flags)}
	if r.Dest.Bits() > 0 {
		m.attr(unix.RTA_DST, r.Dest.Addr().AsSlice())
	}
	if gateway {
		m.attr(unix.RTA_GATEWAY, r.Via.AsSlice())
	}
	m.attr(unix.RTA_OIF, u32(uint32(r.Index)))
	if r.Metric > 0 {
		m.attr(unix.RTA_PRIORITY, u32(uint32(r.Metric)))
	}
	return m.do()
}

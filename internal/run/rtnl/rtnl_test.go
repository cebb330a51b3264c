package rtnl

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// packet is one netlink message.
func packet(kind uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(append(b, make([]byte, 10)...), body...)
}

func linkBody(family byte, index int, flags uint32, attrs ...[]byte) []byte {
	b := []byte{family, 0, 1, 0}
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = binary.NativeEndian.AppendUint32(b, flags)
	b = append(b, 0, 0, 0, 0)
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func addrBody(a string, flags uint32) []byte {
	p := netip.MustParsePrefix(a)
	b := []byte{unix.AF_INET6, byte(p.Bits()), 0x80, 0}
	b = binary.NativeEndian.AppendUint32(b, 7)
	b = appendAttr(b, unix.IFA_ADDRESS, p.Addr().AsSlice())
	return appendAttr(b, unix.IFA_FLAGS, u32(flags))
}

func TestParse(t *testing.T) {
	flags, info := uint32(0xa0), appendAttr(nil, unix.IFLA_INET6_FLAGS, u32(0xa0))
	nd := []byte{25, 1, 0, 0, 0, 0, 0, 0}
	option := append([]byte{unix.AF_INET6, 0}, binary.NativeEndian.AppendUint16(nil, 8)...)
	option = append(append(append(option, u32(7)...), routerAdvert, 0, 0, 0, 0, 0, 0, 0), nd...)
	for name, c := range map[string]struct {
		in   []byte
		want []Event
	}{
		"a bond's member": {packet(unix.RTM_NEWLINK, linkBody(0, 7, unix.IFF_UP|unix.IFF_LOWER_UP, appendAttr(nil, unix.IFLA_IFNAME, text("eth0")),
			appendAttr(nil, unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 1}), appendAttr(nil, unix.IFLA_PERM_ADDRESS, []byte{2, 0, 0, 0, 0, 2}),
			appendAttr(nil, unix.IFLA_MTU, u32(9000)), appendAttr(nil, unix.IFLA_MASTER, u32(9)), appendAttr(nil, unix.IFLA_CARRIER_CHANGES, u32(3)))),
			[]Event{{Index: 7, Link: &Link{Index: 7, Name: "eth0", MAC: []byte{2, 0, 0, 0, 0, 1}, Perm: []byte{2, 0, 0, 0, 0, 2}, MTU: 9000, Master: 9, Flips: 3, Flags: unix.IFF_UP | unix.IFF_LOWER_UP}}}},
		"a vlan": {packet(unix.RTM_NEWLINK, linkBody(0, 7, 0, appendAttr(nil, unix.IFLA_IFNAME, text("v")),
			appendAttr(nil, unix.IFLA_LINKINFO, appendAttr(nil, unix.IFLA_INFO_KIND, text("vlan"))))), []Event{{Index: 7, Link: &Link{Index: 7, Name: "v", Kind: "vlan"}}}},
		"a port's state is no link":     {packet(unix.RTM_NEWLINK, linkBody(unix.AF_BRIDGE, 7, 0, appendAttr(nil, unix.IFLA_IFNAME, text("v")))), nil},
		"a link that went":              {packet(unix.RTM_DELLINK, linkBody(0, 7, 0)), []Event{{Index: 7, Gone: true}}},
		"flags of IPv6":                 {packet(unix.RTM_NEWLINK, linkBody(unix.AF_INET6, 7, 0, appendAttr(nil, unix.IFLA_PROTINFO, info))), []Event{{Index: 7, Flags: &flags}}},
		"an address":                    {packet(unix.RTM_NEWADDR, addrBody("fd00::1/64", 0x240)), []Event{{Index: 7, Addr: &Addr6{7, netip.MustParsePrefix("fd00::1/64"), 0x240}}}},
		"an address that went":          {packet(unix.RTM_DELADDR, addrBody("fd00::1/64", 0)), []Event{{Index: 7, Lost: netip.MustParseAddr("fd00::1")}}},
		"options of an advertisement":   {packet(unix.RTM_NEWNDUSEROPT, option), []Event{{Index: 7, ND: nd}}},
		"options that say too long":     {packet(unix.RTM_NEWNDUSEROPT, option[:len(option)-1]), nil},
		"an attribute that is cut off":  {packet(unix.RTM_NEWLINK, linkBody(0, 7, 0, []byte{99, 0, 3, 0, 'e'})), nil},
		"an attribute of length 0":      {packet(unix.RTM_NEWLINK, linkBody(0, 7, 0, []byte{0, 0, 0, 0})), nil},
		"an address without an address": {packet(unix.RTM_NEWADDR, []byte{unix.AF_INET6, 64, 0, 0, 7, 0, 0, 0}), nil},
	} {
		if d := cmp.Diff(c.want, Parse(c.in), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// FuzzParse: whatever comes, nothing is read past its end, and an event is about one thing.
func FuzzParse(f *testing.F) {
	f.Add(packet(unix.RTM_NEWLINK, linkBody(0, 7, 0, appendAttr(nil, unix.IFLA_IFNAME, text("eth0")))))
	f.Add(packet(unix.RTM_NEWADDR, addrBody("fd00::1/64", 0)))
	f.Add(packet(unix.RTM_NEWNDUSEROPT, make([]byte, 24)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range Parse(b) {
			n := 0
			for _, there := range []bool{e.Link != nil, e.Gone, e.Addr != nil, e.Lost.IsValid(), e.Flags != nil, e.ND != nil} {
				if there {
					n++
				}
			}
			if n > 1 {
				t.Errorf("an event of %d kinds: %+v", n, e)
			}
		}
	})
}

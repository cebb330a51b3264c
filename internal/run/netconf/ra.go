package netconf

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Flags of a link's IPv6 that the kernel sets from advertisements,
// include/net/if_inet6.h.
const (
	ifRAOther    = 0x40 // DHCPv6 has more than addresses to say
	ifRAManaged  = 0x80 // DHCPv6 has addresses
	ifRAReceived = 0x20
)

// raOptions are the name servers and search domains of an advertisement
// (RFC 8106). A lifetime of zero takes them back.
type raOptions struct {
	dns     []netip.Addr
	search  []string
	dropDNS []netip.Addr
}

// parseRA reads the options of neighbour discovery that the kernel leaves to
// programs.
func parseRA(b []byte) raOptions {
	var o raOptions
	for len(b) >= 8 {
		n := int(b[1]) * 8
		if n == 0 || n > len(b) {
			break
		}
		life := time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second
		switch b[0] {
		case 25: // RDNSS
			for v := b[8:n]; len(v) >= 16; v = v[16:] {
				if a, ok := netip.AddrFromSlice(v[:16]); !ok || a.IsUnspecified() || a.IsMulticast() {
					continue
				} else if life == 0 {
					o.dropDNS = append(o.dropDNS, a)
				} else {
					o.dns = append(o.dns, a)
				}
			}
		case 31: // DNSSL
			if life > 0 {
				o.search = append(o.search, domains(b[8:n])...)
			}
		}
		b = b[n:]
	}
	return o
}

// domains reads domain names of RFC 1035 without compression, as RFC 8106 and
// RFC 8415 have them; zeros at the end are padding.
func domains(b []byte) []string {
	var out []string
	var labels []string
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 {
			if d := word(strings.Join(labels, ".")); d != "" {
				out = append(out, d)
			}
			labels, b = nil, b[1:]
			continue
		}
		if n > 63 || n+1 > len(b) {
			break
		}
		labels = append(labels, string(b[1:1+n]))
		b = b[1+n:]
	}
	return out
}

// merge adds the news of an advertisement to what was known.
func (o *raOptions) merge(n raOptions) {
	for _, a := range n.dropDNS {
		o.dns = slices.DeleteFunc(o.dns, func(b netip.Addr) bool { return a == b })
	}
	for _, a := range n.dns {
		if !slices.Contains(o.dns, a) && len(o.dns) < 8 {
			o.dns = append(o.dns, a)
		}
	}
	for _, s := range n.search {
		if !slices.Contains(o.search, s) && len(o.search) < 8 {
			o.search = append(o.search, s)
		}
	}
}

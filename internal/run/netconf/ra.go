package netconf

import (
	"cmp"
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

// domains reads domain names of RFC 1035; empty ones are padding. DHCPv4 may
// compress them (RFC 3397); DHCPv6 and routers do not.
func domains(b []byte) []string {
	var out []string
	for at := 0; at < len(b); {
		name, next, ok := domainAt(b, at)
		if !ok {
			break
		}
		if d := word(name); d != "" {
			out = append(out, d)
		}
		at = next
	}
	return out
}

// domainAt reads one name, and where the next begins.
func domainAt(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	size, before := 0, at
	for at < len(b) && size < 256 {
		n := int(b[at])
		switch {
		case n == 0:
			return strings.Join(labels, "."), cmp.Or(next, at+1), true
		case n >= 0xc0 && at+1 < len(b):
			next = cmp.Or(next, at+2)
			// Only to what was before, so that it ends.
			if at = (n&0x3f)<<8 | int(b[at+1]); at >= before {
				return "", 0, false
			}
			before = at
			continue
		case n > 63 || at+1+n > len(b):
			return "", 0, false
		}
		labels = append(labels, string(b[at+1:at+1+n]))
		at, size = at+1+n, size+1+n
	}
	return "", 0, false
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

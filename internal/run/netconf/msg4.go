package netconf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
)

// Kinds of DHCPv4 messages (RFC 2132 9.6).
const (
	discover4 = 1
	offer4    = 2
	request4  = 3
	decline4  = 4
	ack4      = 5
	nak4      = 6
)

// Options (RFC 2132; RFC 3397, 3442 and 4578 for the last).
const (
	optMask      = 1
	optRouter    = 3
	optDNS4      = 6
	optHost      = 12
	optDomain    = 15
	optRoot      = 17
	optMTU       = 26
	optBroadcast = 28
	optNTP4      = 42
	optVendor    = 43
	optRequested = 50
	optLeaseTime = 51
	optOverload  = 52
	optKind      = 53
	optServer4   = 54
	optParams    = 55
	optMessage   = 56
	optMaxSize   = 57
	optT1        = 58
	optT2        = 59
	optClass     = 60
	optClient4   = 61
	optTFTP      = 66
	optFile      = 67
	optUUID      = 97
	optSearch    = 119
	optRoutes    = 121
	optPad       = 0
	optEnd       = 255
)

// Fixed parts of a message (RFC 2131 2).
const (
	ask4, answer4 = 1, 2
	flagBroadcast = 0x8000
	serverName4   = 44  // where the field sname begins, of 64 bytes
	file4         = 108 // and the field file, of 128
	options4      = 240 // the options, after their mark
	least4        = 300 // what old relays want a message to have
)

var mark4 = []byte{99, 130, 83, 99}

// message4 is a DHCPv4 message.
type message4 struct {
	op, hardware        byte
	xid                 [4]byte
	secs, flags         uint16
	client, yours, next netip.Addr // ciaddr, yiaddr, siaddr
	mac                 net.HardwareAddr
	file                string
	opts                []option4
	raw                 []byte // as it came
}

type option4 struct {
	code byte
	data []byte
}

var errShort4 = errors.New("DHCP message: cut off")

// parse4 reads a message. The parts of an option that is given several times are
// put together (RFC 3396); options may go on in the fields file and sname (RFC 2131 4.1).
func parse4(b []byte) (message4, error) {
	if len(b) < options4 || !bytes.Equal(b[options4-4:options4], mark4) || b[2] > 16 {
		return message4{}, errShort4
	}
	m := message4{op: b[0], hardware: b[1], xid: [4]byte(b[4:8]), secs: binary.BigEndian.Uint16(b[8:]), flags: binary.BigEndian.Uint16(b[10:]),
		client: netip.AddrFrom4([4]byte(b[12:16])), yours: netip.AddrFrom4([4]byte(b[16:20])), next: netip.AddrFrom4([4]byte(b[20:24])),
		mac: slices.Clone(b[28 : 28+b[2]]), raw: b}
	if err := m.parseOptions(b[options4:]); err != nil {
		return message4{}, err
	}
	over := byte(0)
	if v := m.get(optOverload); len(v) == 1 {
		over = v[0]
	}
	file, name := b[file4:options4-4], b[serverName4:file4]
	if over&1 == 0 {
		m.file = cstring(file)
	} else if err := m.parseOptions(file); err != nil {
		return message4{}, err
	}
	if over&2 != 0 {
		if err := m.parseOptions(name); err != nil {
			return message4{}, err
		}
	}
	return m, nil
}

func (m *message4) parseOptions(b []byte) error {
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return errShort4
		}
		m.add(b[0], b[2:2+b[1]])
		b = b[2+int(b[1]):]
	}
	return nil
}

// add gives the message an option, or more of one that it has.
func (m *message4) add(code byte, data []byte) {
	for i := range m.opts {
		if m.opts[i].code == code {
			m.opts[i].data = slices.Concat(m.opts[i].data, data)
			return
		}
	}
	m.opts = append(m.opts, option4{code, data})
}

func (m message4) get(code byte) []byte {
	for _, o := range m.opts {
		if o.code == code {
			return o.data
		}
	}
	return nil
}

// kind is what the message is for.
func (m message4) kind() byte {
	if v := m.get(optKind); len(v) == 1 {
		return v[0]
	}
	return 0
}

// server is who sent it; not valid if it does not say.
func (m message4) server() netip.Addr { return first4(m.get(optServer4)) }

func (m message4) bytes() []byte {
	b := make([]byte, options4, least4)
	b[0], b[1], b[2] = m.op, m.hardware, byte(len(m.mac))
	copy(b[4:], m.xid[:])
	binary.BigEndian.PutUint16(b[8:], m.secs)
	binary.BigEndian.PutUint16(b[10:], m.flags)
	for i, a := range []netip.Addr{m.client, m.yours, m.next} {
		if a.Is4() {
			copy(b[12+4*i:], a.AsSlice())
		}
	}
	copy(b[28:], m.mac)
	copy(b[file4:options4-4], m.file)
	copy(b[options4-4:], mark4)
	for _, o := range m.opts {
		// One that is too long goes on in another (RFC 3396).
		for v := o.data; ; {
			n := min(len(v), 255)
			b = append(append(b, o.code, byte(n)), v[:n]...)
			if v = v[n:]; len(v) == 0 {
				break
			}
		}
	}
	b = append(b, optEnd)
	return append(b, make([]byte, max(0, least4-len(b)))...)
}

// list4 reads addresses, without those that are none.
func list4(b []byte) []netip.Addr {
	var out []netip.Addr
	for ; len(b) >= 4; b = b[4:] {
		if a := netip.AddrFrom4([4]byte(b[:4])); !a.IsUnspecified() {
			out = append(out, a)
		}
	}
	return out
}

// first4 is the first address of an option; not valid if there is none.
func first4(b []byte) netip.Addr {
	if l := list4(b); len(l) > 0 {
		return l[0]
	}
	return netip.Addr{}
}

// routes4 reads classless routes: the length of a prefix, as much of it as that
// takes, a router (RFC 3442).
func routes4(b []byte) []LeaseRoute {
	var out []LeaseRoute
	for len(b) > 0 {
		bits := int(b[0])
		n := (bits + 7) / 8
		if bits > 32 || len(b) < 1+n+4 {
			break
		}
		var to [4]byte
		copy(to[:], b[1:1+n])
		out = append(out, LeaseRoute{netip.PrefixFrom(netip.AddrFrom4(to), bits).Masked(), netip.AddrFrom4([4]byte(b[1+n : 5+n]))})
		b = b[5+n:]
	}
	return out
}

// cstring is a text up to its NUL.
func cstring(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

package netconf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Kinds of DHCPv6 messages that a client sends or gets (RFC 8415 7.3).
const (
	solicit6   = 1
	advertise6 = 2
	request6   = 3
	confirm6   = 4
	renew6     = 5
	rebind6    = 6
	reply6     = 7
	decline6   = 9
	inform6    = 11
)

// Options (RFC 8415 21, RFC 3646, RFC 5908, RFC 5970).
const (
	optClientID    = 1
	optServerID    = 2
	optIANA        = 3
	optIAAddr      = 5
	optORO         = 6
	optElapsed     = 8
	optStatus      = 13
	optRapidCommit = 14
	optDNS         = 23
	optDomains     = 24
	optSNTP        = 31
	optNTP         = 56
	optBootFile    = 59
)

// message6 is a DHCPv6 message between client and server.
type message6 struct {
	kind byte
	xid  [3]byte
	opts []option6
}

type option6 struct {
	code uint16
	data []byte
}

var errShort = errors.New("DHCPv6 message: cut off")

func parse6(b []byte) (message6, error) {
	if len(b) < 4 {
		return message6{}, errShort
	}
	m := message6{kind: b[0], xid: [3]byte(b[1:4])}
	var err error
	m.opts, err = parseOptions6(b[4:])
	return m, err
}

func parseOptions6(b []byte) ([]option6, error) {
	var out []option6
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errShort
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if 4+n > len(b) {
			return nil, errShort
		}
		out = append(out, option6{binary.BigEndian.Uint16(b), b[4 : 4+n]})
		b = b[4+n:]
	}
	return out, nil
}

func (m message6) bytes() []byte {
	b := append([]byte{m.kind}, m.xid[:]...)
	return appendOptions6(b, m.opts)
}

func appendOptions6(b []byte, opts []option6) []byte {
	for _, o := range opts {
		b = binary.BigEndian.AppendUint16(b, o.code)
		b = binary.BigEndian.AppendUint16(b, uint16(len(o.data)))
		b = append(b, o.data...)
	}
	return b
}

// get finds the first option with a code.
func get6(opts []option6, code uint16) ([]byte, bool) {
	for _, o := range opts {
		if o.code == code {
			return o.data, true
		}
	}
	return nil, false
}

// duid names the machine to DHCPv6 servers: by its SMBIOS UUID (RFC 6355), as
// firmware that netboots does, or by its MAC.
func duid(uuid string, mac net.HardwareAddr) []byte {
	if id := uuid16(uuid); id != nil {
		return append([]byte{0, 4}, id...)
	}
	return append([]byte{0, 3, 0, hardware(mac)}, mac...)
}

// association6 is the identity association for one address; addr may be invalid.
func association6(id [4]byte, a netip.Addr) []byte {
	b := append(id[:], 0, 0, 0, 0, 0, 0, 0, 0)
	if !a.IsValid() {
		return b
	}
	v := append(a.AsSlice(), 0, 0, 0, 0, 0, 0, 0, 0)
	return appendOptions6(b, []option6{{optIAAddr, v}})
}

// lease6 is a lease with what its renewal needs.
type lease6 struct {
	Lease
	preferred time.Duration
	server    []byte // its DUID
}

// leaseOf6 reads an advertise or a reply. An error is the server's refusal.
func leaseOf6(m message6, id [4]byte, now time.Time) (*lease6, error) {
	if err := status6(m.opts); err != nil {
		return nil, err
	}
	l := &lease6{Lease: Lease{Method: "dhcp6", Obtained: now, Packet: m.bytes()}}
	l.server, _ = get6(m.opts, optServerID)
	l.stateless(m.opts)
	for _, o := range m.opts {
		if o.code != optIANA || len(o.data) < 12 || [4]byte(o.data[:4]) != id {
			continue
		}
		t1, t2 := seconds6(o.data[4:]), seconds6(o.data[8:])
		inner, err := parseOptions6(o.data[12:])
		if err != nil {
			return nil, err
		}
		if err := status6(inner); err != nil {
			return nil, err
		}
		for _, a := range inner {
			if a.code != optIAAddr || len(a.data) < 24 {
				continue
			}
			ip := netip.AddrFrom16([16]byte(a.data[:16]))
			pref, valid := seconds6(a.data[16:]), seconds6(a.data[20:])
			if more, err := parseOptions6(a.data[24:]); err != nil || status6(more) != nil {
				continue
			}
			if !ip.IsGlobalUnicast() || ip.Is4In6() || valid == 0 || pref > valid {
				continue
			}
			l.Address, l.preferred, l.Duration = netip.PrefixFrom(ip, 128), pref, max(valid, 10*time.Second)
			l.T1, l.T2 = t1, t2
			if l.T1 <= 0 || l.T2 < l.T1 || l.T2 > l.Duration {
				l.T1, l.T2 = l.Duration/2, l.Duration-l.Duration/5
			}
			if valid >= forever {
				l.Duration = 0
			}
			return l, nil
		}
	}
	return nil, errors.New("the server gave no address")
}

// stateless reads what is not about the address.
func (l *Lease) stateless(opts []option6) {
	for _, o := range opts {
		switch o.code {
		case optDNS:
			l.DNS = append(l.DNS, addrs6(o.data)...)
		case optDomains:
			l.Search = append(l.Search, domains(o.data)...)
		case optSNTP:
			l.NTP = append(l.NTP, addrs6(o.data)...)
		case optNTP:
			if sub, err := parseOptions6(o.data); err == nil {
				if a, ok := get6(sub, 1); ok {
					l.NTP = append(l.NTP, addrs6(a)...)
				}
			}
		case optBootFile:
			l.BootFile = string(o.data)
		}
	}
}

func addrs6(b []byte) []netip.Addr {
	var out []netip.Addr
	for ; len(b) >= 16; b = b[16:] {
		if a := netip.AddrFrom16([16]byte(b[:16])); !a.IsUnspecified() && !a.IsMulticast() {
			out = append(out, a)
		}
	}
	return out
}

// status6 is the refusal in a status option, if there is one.
func status6(opts []option6) error {
	v, ok := get6(opts, optStatus)
	if !ok || len(v) < 2 {
		return nil
	}
	code := binary.BigEndian.Uint16(v)
	if code == 0 {
		return nil
	}
	name := map[uint16]string{1: "failure", 2: "no addresses to give", 3: "no such lease", 4: "the address is not for this link", 5: "multicast is to be used"}[code]
	if name == "" {
		name = fmt.Sprintf("status %d", code)
	}
	return fmt.Errorf("%w: %s (%s)", errNAK, name, strings.Map(printable, string(v[2:])))
}

// printable keeps what a server says to one line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r == 0xfffd {
		return -1
	}
	return r
}

func seconds6(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

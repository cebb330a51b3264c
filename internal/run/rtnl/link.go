package rtnl

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// Link is a network interface.
type Link struct {
	Index  int
	Name   string
	Kind   string           // "bond", "bridge", "vlan", "veth", ...; "" for hardware
	MAC    net.HardwareAddr // as it is
	Perm   net.HardwareAddr // as it was made; may be unknown
	MTU    int
	Master int    // index of the bond or bridge that it belongs to
	Flags  uint32 // IFF_...
	Flips  uint32 // how often the carrier came or went
}

// Up says whether the link is switched on.
func (l Link) Up() bool { return l.Flags&unix.IFF_UP != 0 }

// Carrier says whether it is connected.
func (l Link) Carrier() bool { return l.Flags&unix.IFF_LOWER_UP != 0 }

// Permanent is the MAC that the link was made with, else the present one.
func (l Link) Permanent() net.HardwareAddr {
	if len(l.Perm) > 0 {
		return l.Perm
	}
	return l.MAC
}

// parseLink reads struct ifinfomsg and its attributes.
func parseLink(d []byte) (Link, bool) {
	if len(d) < unix.SizeofIfInfomsg {
		return Link{}, false
	}
	l := Link{Index: int(int32(binary.NativeEndian.Uint32(d[4:]))), Flags: binary.NativeEndian.Uint32(d[8:])}
	attrs(d[unix.SizeofIfInfomsg:], func(k uint16, v []byte) {
		switch {
		case k == unix.IFLA_IFNAME:
			l.Name = cstring(v)
		case k == unix.IFLA_ADDRESS:
			l.MAC = append(net.HardwareAddr(nil), v...)
		case k == unix.IFLA_PERM_ADDRESS:
			l.Perm = append(net.HardwareAddr(nil), v...)
		case k == unix.IFLA_MTU && len(v) == 4:
			l.MTU = int(binary.NativeEndian.Uint32(v))
		case k == unix.IFLA_MASTER && len(v) == 4:
			l.Master = int(binary.NativeEndian.Uint32(v))
		case k == unix.IFLA_CARRIER_CHANGES && len(v) == 4:
			l.Flips = binary.NativeEndian.Uint32(v)
		case k == unix.IFLA_LINKINFO:
			kind, _ := find(v, unix.IFLA_INFO_KIND)
			l.Kind = cstring(kind)
		}
	})
	return l, l.Name != ""
}

func cstring(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Links lists all.
func Links() ([]Link, error) {
	var out []Link
	m := message{kind: unix.RTM_GETLINK, body: make([]byte, unix.SizeofIfInfomsg)}
	err := m.dump(func(kind uint16, body []byte) {
		if l, ok := parseLink(body); ok && kind == unix.RTM_NEWLINK {
			out = append(out, l)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	return out, nil
}

// ByName finds one.
func ByName(name string) (Link, error) {
	m := message{kind: unix.RTM_GETLINK, body: make([]byte, unix.SizeofIfInfomsg)}
	m.attr(unix.IFLA_IFNAME, text(name))
	msgs, err := m.exchange(unix.NLM_F_REQUEST | unix.NLM_F_ACK)
	if err != nil {
		return Link{}, fmt.Errorf("find network interface %s: %w", name, err)
	}
	for _, r := range msgs {
		if l, ok := parseLink(r.Data); ok {
			return l, nil
		}
	}
	return Link{}, fmt.Errorf("find network interface %s: %w", name, unix.ENODEV)
}

// change is a request about a link; flags in mask get the values in set.
func change(kind uint16, index int, set, mask uint32) message {
	b := make([]byte, 4, unix.SizeofIfInfomsg)
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = binary.NativeEndian.AppendUint32(b, set)
	b = binary.NativeEndian.AppendUint32(b, mask)
	return message{kind: kind, body: b}
}

// Set switches a link on or off.
func Set(index int, up bool) error {
	on := uint32(0)
	if up {
		on = unix.IFF_UP
	}
	m := change(unix.RTM_NEWLINK, index, on, unix.IFF_UP)
	return m.do()
}

func set(index int, kind uint16, v []byte) error {
	m := change(unix.RTM_NEWLINK, index, 0, 0)
	m.attr(kind, v)
	return m.do()
}

// SetName renames a link that is down.
func SetName(index int, name string) error { return set(index, unix.IFLA_IFNAME, text(name)) }

// SetMTU sets the largest packet.
func SetMTU(index, mtu int) error { return set(index, unix.IFLA_MTU, u32(uint32(mtu))) }

// SetMAC sets the link's address.
func SetMAC(index int, mac net.HardwareAddr) error { return set(index, unix.IFLA_ADDRESS, mac) }

// SetMaster puts a link into a bond or bridge.
func SetMaster(index, master int) error { return set(index, unix.IFLA_MASTER, u32(uint32(master))) }

// Make makes a bond or a bridge; mtu may be 0.
func Make(kind, name string, mtu int) error { return add(kind, name, mtu, 0, nil) }

// MakeVLAN makes a VLAN (802.1Q) on a link.
func MakeVLAN(name string, parent, id, mtu int) error {
	data := appendAttr(nil, unix.IFLA_VLAN_ID, binary.NativeEndian.AppendUint16(nil, uint16(id)))
	return add("vlan", name, mtu, parent, data)
}

func add(kind, name string, mtu, parent int, data []byte) error {
	m := change(unix.RTM_NEWLINK, 0, 0, 0)
	m.flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	m.attr(unix.IFLA_IFNAME, text(name))
	if mtu > 0 {
		m.attr(unix.IFLA_MTU, u32(uint32(mtu)))
	}
	if parent > 0 {
		m.attr(unix.IFLA_LINK, u32(uint32(parent)))
	}
	info := appendAttr(nil, unix.IFLA_INFO_KIND, []byte(kind))
	if data != nil {
		info = appendAttr(info, unix.IFLA_INFO_DATA, data)
	}
	m.attr(unix.IFLA_LINKINFO, info)
	return m.do()
}

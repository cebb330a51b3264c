package netconf

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// message makes a message with what every one of ours says.
//
// The identifier (61) is the one of iPXE, NetworkManager and most servers'
// tables: type and MAC. A server that knew the firmware by the MAC alone, as
// UEFI's has it, finds the same lease by it; so does the root after us.
//
// The machine's UUID (97) is there for servers that keep an address for it: the
// firmware has shown it to them, too. What would make a server take us for
// firmware is left out: no "PXEClient" (60), no architecture (93) and no network
// interface (94), by which rules of servers choose a boot program, or answer only
// those who want one; and no user class (77), by which they tell iPXE from
// firmware, and which neither dracut's clients nor NetworkManager nor networkd send.
func (c *client4) message(kind byte, more ...option4) message4 {
	m := message4{op: ask4, hardware: 1, mac: c.mac}
	xid := rand.Uint32()
	m.xid = [4]byte{byte(xid >> 24), byte(xid >> 16), byte(xid >> 8), byte(xid)}
	id := append([]byte{m.hardware}, c.mac...)
	if len(c.mac) > 6 { // InfiniBand, RFC 4390: no address in chaddr, so answers must be broadcast
		m.hardware, m.mac, m.flags = hardwareIB, nil, flagBroadcast
		id = append(append([]byte{0xff}, c.mac[len(c.mac)-4:]...), duid("", c.mac)...)
	}
	m.opts = append([]option4{{optKind, []byte{kind}}, {optClient4, id}}, more...)
	if kind == decline4 {
		return m
	}
	m.opts = append(m.opts, option4{optParams, []byte{optMask, optRouter, optDNS4, optHost, optDomain, optRoot, optMTU, optBroadcast, optNTP4, optVendor,
		optTFTP, optFile, optSearch, optRoutes}}, option4{optMaxSize, []byte{1472 >> 8, 1472 & 0xff}}, option4{optClass, []byte(cmp.Or(c.class, "bareroot"))})
	if v := uuid16(c.uuid); v != nil {
		// As SMBIOS has it, and so firmware: the first three fields little-endian (RFC 4578 2.3).
		for _, f := range [][2]int{{0, 3}, {1, 2}, {4, 5}, {6, 7}} {
			v[f[0]], v[f[1]] = v[f[1]], v[f[0]]
		}
		m.opts = append(m.opts, option4{optUUID, append([]byte{0}, v...)})
	}
	if c.host != "" {
		m.opts = append(m.opts, option4{optHost, []byte(c.host)})
	}
	return m
}

// hardwareIB is InfiniBand by the numbers of ARP and DHCP.
const hardwareIB = 32

// hardware is the type of a link's address.
func hardware(mac net.HardwareAddr) byte {
	if len(mac) == 20 {
		return hardwareIB
	}
	return 1
}

// uuid16 are the bytes of a machine's UUID; nil if it is none, or one that a
// vendor has left empty.
func uuid16(s string) []byte {
	id, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(id) != 16 || (id[0] == 0 || id[0] == 0xff) && bytes.Count(id, id[:1]) == len(id) {
		return nil
	}
	return id
}

// jitter spreads many machines that start at once (RFC 2131 4.1).
func jitter(d time.Duration) time.Duration {
	return d - d/8 + time.Duration(rand.Int64N(int64(d)/4))
}

// sleep waits; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

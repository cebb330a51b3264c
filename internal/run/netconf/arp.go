package netconf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Two probes and this long for answers: a neighbour answers within a
// millisecond, RFC 5227's seconds are for networks slower than any that boots.
const (
	arpProbes = 2
	arpWait   = 50 * time.Millisecond
)

// inUse asks the link by ARP who has an address (RFC 5227 2.1.1). It returns
// the neighbour's MAC; "" if nobody answers in time, or it cannot be asked.
func inUse(ctx context.Context, ifname string, index int, mac net.HardwareAddr, a netip.Addr) string {
	if !a.Is4() || (len(mac) != 6 && len(mac) != 20) {
		return ""
	}
	s, err := openPacket(ifname, index, mac, unix.ETH_P_ARP, nil)
	if err != nil {
		return ""
	}
	defer s.close()
	buf := make([]byte, 256)
	for range arpProbes {
		if s.send(arpProbe(mac, a)) != nil || ctx.Err() != nil {
			return ""
		}
		s.deadline(time.Now().Add(arpWait))
		for {
			n, err := s.read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				// A busy machine may come to read only now what came in time.
				var more bool
				if n, more = s.waiting(buf); !more {
					break
				}
			} else if err != nil {
				return ""
			}
			if who, ok := arpClaims(buf[:n], mac, a); ok {
				return who.String()
			}
		}
	}
	return ""
}

// arpProbe asks for a without saying that we are it (RFC 826; the sender's
// address is 0.0.0.0).
func arpProbe(mac net.HardwareAddr, a netip.Addr) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(hardware(mac)))
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	b = append(b, byte(len(mac)), 4, 0, 1)
	b = append(b, mac...)
	b = append(b, 0, 0, 0, 0)
	b = append(b, make([]byte, len(mac))...)
	return append(b, a.AsSlice()...)
}

// arpClaims says whether an ARP packet of another NIC shows it to have, or to
// probe for, the address.
func arpClaims(b []byte, mac net.HardwareAddr, a netip.Addr) (net.HardwareAddr, bool) {
	if len(b) < 8 || binary.BigEndian.Uint16(b[2:]) != unix.ETH_P_IP || b[5] != 4 {
		return nil, false
	}
	h := int(b[4])
	if h == 0 || len(b) < 8+2*h+8 {
		return nil, false
	}
	op, sender, senderIP, targetIP := binary.BigEndian.Uint16(b[6:]), b[8:8+h], b[8+h:12+h], b[12+2*h:16+2*h]
	if bytes.Equal(sender, mac) {
		return nil, false
	}
	zero := bytes.Equal(senderIP, []byte{0, 0, 0, 0})
	claims := bytes.Equal(senderIP, a.AsSlice()) || op == 1 && zero && bytes.Equal(targetIP, a.AsSlice())
	return bytes.Clone(sender), claims
}

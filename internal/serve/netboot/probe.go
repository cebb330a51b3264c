package netboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
)

// ProbeTime is how long other DHCP servers get to answer.
const ProbeTime = 3 * time.Second

// OtherServers asks for an address on the interface and returns the servers
// that offer one, except own. It takes no lease. It needs CAP_NET_RAW: the
// socket must hear offers beside whatever DHCP client the machine runs.
func OtherServers(ctx context.Context, iface string, own []netip.Addr, wait time.Duration) ([]netip.Addr, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("look for DHCP servers: interface %s: %w", iface, err)
	}
	conn, err := nclient4.NewRawUDPConn(iface, 68)
	if err != nil {
		return nil, fmt.Errorf("look for DHCP servers on %s: %w (this needs root or CAP_NET_RAW)", iface, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()

	discover, err := dhcpv4.NewDiscovery(ifi.HardwareAddr, dhcpv4.WithBroadcast(true))
	if err != nil {
		return nil, fmt.Errorf("look for DHCP servers on %s: %w", iface, err)
	}
	var found []netip.Addr
	end := time.Now().Add(wait)
	// Ask three times: one broadcast may be lost.
	for i := range 3 {
		if _, err := conn.WriteTo(discover.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			return nil, fmt.Errorf("look for DHCP servers on %s: %w", iface, err)
		}
		until := end.Add(-wait * time.Duration(2-i) / 3)
		for {
			addr, err := nextOffer(conn, discover.TransactionID, until)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("look for DHCP servers on %s: %w", iface, err)
			}
			if addr.IsValid() && !slices.Contains(own, addr) && !slices.Contains(found, addr) {
				found = append(found, addr)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found, nil
}

// nextOffer reads one packet; the address is invalid if it was no offer of an
// address for xid.
func nextOffer(conn net.PacketConn, xid dhcpv4.TransactionID, until time.Time) (netip.Addr, error) {
	if err := conn.SetReadDeadline(until); err != nil {
		return netip.Addr{}, err
	}
	buf := make([]byte, 4096)
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		return netip.Addr{}, err
	}
	p, err := dhcpv4.FromBytes(buf[:n])
	if err != nil || p.OpCode != dhcpv4.OpcodeBootReply || p.TransactionID != xid || p.MessageType() != dhcpv4.MessageTypeOffer || !fromIP(p.YourIPAddr).IsValid() {
		return netip.Addr{}, nil
	}
	if a := fromIP(p.ServerIdentifier()); a.IsValid() {
		return a, nil
	}
	if u, ok := from.(*net.UDPAddr); ok {
		return fromIP(u.IP), nil
	}
	return netip.Addr{}, nil
}

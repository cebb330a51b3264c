package netboot

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv6"
)

// RA answers IPv6 router solicitations on one interface with an advertisement
// of router lifetime 0: there is no IPv6 router here, no need to wait for one.
// iPXE otherwise waits about 15 seconds at each boot.
type RA struct {
	Interface string
	Prefix    netip.Prefix // advertised on-link if valid, not for autoconfiguration
	Log       *slog.Logger
	Errors    *Tally

	conn *ipv6.PacketConn
	ifi  *net.Interface
}

// Listen opens the socket.
func (r *RA) Listen(ctx context.Context) error {
	ifi, err := net.InterfaceByName(r.Interface)
	if err != nil {
		return fmt.Errorf("answer router solicitations: interface %s: %w", r.Interface, err)
	}
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "ip6:ipv6-icmp", "::")
	if err != nil {
		return fmt.Errorf("answer router solicitations on %s: %w (this needs CAP_NET_RAW)", r.Interface, err)
	}
	p := ipv6.NewPacketConn(c)
	var f ipv6.ICMPFilter
	f.SetAll(true)
	f.Accept(ipv6.ICMPTypeRouterSolicitation)
	for _, step := range []func() error{
		func() error { return p.SetICMPFilter(&f) },
		func() error { return p.JoinGroup(ifi, &net.IPAddr{IP: net.IPv6linklocalallrouters}) },
		func() error { return p.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagInterface, true) },
		func() error { return p.SetMulticastHopLimit(255) },
		func() error { return p.SetMulticastInterface(ifi) },
		func() error { return p.SetChecksum(true, 2) },
	} {
		if err := step(); err != nil {
			c.Close()
			return fmt.Errorf("answer router solicitations on %s: %w; is IPv6 switched off on it?", r.Interface, err)
		}
	}
	r.conn, r.ifi = p, ifi
	return nil
}

// Serve answers until ctx ends. Answers go to all nodes and at most once in
// 50 ms (RFC 4861 says 3 s for routers; there is nothing to route here, and a
// machine that boots must not wait).
func (r *RA) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.conn.Close() })
	defer stop()
	defer r.conn.Close()
	msg := advertisement(r.ifi.HardwareAddr, r.Prefix)
	all := &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: r.Interface}
	buf := make([]byte, 2048)
	var last time.Time
	for {
		n, cm, from, err := r.conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read router solicitations on %s: %w", r.Interface, err)
		}
		if cm == nil || cm.IfIndex != r.ifi.Index {
			continue // the socket hears all interfaces
		}
		if !validSolicitation(buf[:n], cm.HopLimit) {
			r.Errors.Add(DoorRA)
			continue
		}
		if time.Since(last) < 50*time.Millisecond {
			continue
		}
		last = time.Now()
		if _, err := r.conn.WriteTo(msg, &ipv6.ControlMessage{HopLimit: 255, IfIndex: r.ifi.Index}, all); err != nil {
			r.Errors.Add(DoorRA)
			r.Log.Warn("router advertisement not sent", "if", r.Interface, "err", err)
			continue
		}
		r.Log.Debug("router solicitation answered", "if", r.Interface, "from", from.String())
	}
}

// validSolicitation checks RFC 4861, section 6.1.1: a packet from another
// link would have a lower hop limit.
func validSolicitation(b []byte, hopLimit int) bool {
	if hopLimit != 255 || len(b) < 8 || b[0] != 133 || b[1] != 0 {
		return false
	}
	for opts := b[8:]; len(opts) > 0; {
		if len(opts) < 8 || opts[1] == 0 || len(opts) < int(opts[1])*8 {
			return false
		}
		opts = opts[int(opts[1])*8:]
	}
	return true
}

// advertisement is the ICMPv6 message (RFC 4861, section 4.2): lifetime 0,
// nothing prescribed, our link-layer address; the kernel adds the checksum.
func advertisement(mac net.HardwareAddr, prefix netip.Prefix) []byte {
	b := make([]byte, 16)
	b[0] = 134
	if len(mac) == 6 {
		b = append(b, 1, 1)
		b = append(b, mac...)
	}
	if prefix.IsValid() {
		b = append(b, 3, 4, byte(prefix.Bits()), 0x80) // on-link, not autonomous
		b = binary.BigEndian.AppendUint32(b, 3600)     // valid
		b = binary.BigEndian.AppendUint32(b, 3600)     // preferred
		b = append(b, 0, 0, 0, 0)
		a := prefix.Masked().Addr().As16()
		b = append(b, a[:]...)
	}
	return b
}

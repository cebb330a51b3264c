package netboot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// DHCPHandler turns a request that arrived on port into an answer, or nil.
type DHCPHandler interface {
	Reply(req *dhcpv4.DHCPv4, port int) (*dhcpv4.DHCPv4, error)
}

// DHCP serves one interface on one port.
type DHCP struct {
	Interface string
	Addr      netip.Addr // source of the answers
	Port      int        // 67 or 4011
	Handler   DHCPHandler
	Log       *slog.Logger
	Errors    *Tally

	conn *net.UDPConn
}

// Listen opens the socket. It is bound to the interface, and shares its port
// with nobody on it: two DHCP servers on one port would each get half of the
// packets.
func (d *DHCP) Listen(ctx context.Context) error {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		e := c.Control(func(fd uintptr) {
			err = unix.BindToDevice(int(fd), d.Interface)
			if err == nil {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			}
		})
		return errors.Join(e, err)
	}}
	c, err := lc.ListenPacket(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", d.Port))
	if err != nil {
		hint := ""
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			hint = "; another DHCP server runs on this machine: stop it, or set dhcp: off for this interface"
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
			hint = "; run as root, or give the program CAP_NET_BIND_SERVICE and CAP_NET_RAW"
		}
		return fmt.Errorf("listen for DHCP on %s port %d: %w%s", d.Interface, d.Port, err, hint)
	}
	d.conn = c.(*net.UDPConn)
	return nil
}

// Serve answers packets until ctx ends. One packet at a time: an answer is
// microseconds of work, and nothing grows when somebody floods the port.
func (d *DHCP) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.conn.Close() })
	defer stop()
	defer d.conn.Close()
	pc := ipv4.NewPacketConn(d.conn)
	buf := make([]byte, 64<<10)
	for {
		n, peer, err := d.conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read DHCP packets on %s: %w", d.Interface, err)
		}
		if err := d.answer(pc, buf[:n], peer); err != nil {
			d.Errors.Add(DoorDHCP)
			what := "DHCP packet not answered"
			if errors.As(err, new(errPoolEmpty)) {
				what = "DHCP range used up" // not lost among lines about garbage
			}
			d.Log.Warn(what, "if", d.Interface, "from", peer, "err", err)
		}
	}
}

func (d *DHCP) answer(pc *ipv4.PacketConn, b []byte, peer netip.AddrPort) error {
	req, err := parse(b)
	if err != nil {
		return err
	}
	reply, err := d.Handler.Reply(req, d.Port)
	if err != nil || reply == nil {
		return err
	}
	to := destination(req, reply, peer)
	if _, err := pc.WriteTo(reply.ToBytes(), &ipv4.ControlMessage{Src: d.Addr.AsSlice()}, net.UDPAddrFromAddrPort(to)); err != nil {
		return fmt.Errorf("send %s to %s: %w", reply.MessageType(), to, err)
	}
	c := identify(req)
	d.Log.Info("DHCP answered", "if", d.Interface, "mac", req.ClientHWAddr.String(), "client", c.Kind.String(), "arch", int(c.Arch),
		"got", req.MessageType().String(), "sent", reply.MessageType().String(), "addr", reply.YourIPAddr.String(), "file", reply.BootFileName)
	return nil
}

// destination of an answer (RFC 2131, section 4.1). A client without an
// address is answered by broadcast, which every firmware takes.
func destination(req, reply *dhcpv4.DHCPv4, peer netip.AddrPort) netip.AddrPort {
	if relay := fromIP(req.GatewayIPAddr); relay.IsValid() {
		return netip.AddrPortFrom(relay, 67)
	}
	from := peer.Addr().Unmap()
	if reply.MessageType() != dhcpv4.MessageTypeNak && from.IsValid() && !from.IsUnspecified() {
		return netip.AddrPortFrom(from, peer.Port())
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 68)
}

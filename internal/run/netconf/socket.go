package netconf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// conn4 is the PacketConn of a real NIC: a packet socket, which works without
// an address, and for renewals a UDP socket, which lets the kernel find the
// server's MAC address.
type conn4 struct {
	ifname string
	raw    *packetSocket
	in     chan *dhcpv4.DHCPv4
	wg     sync.WaitGroup
	mu     sync.Mutex
	udp    net.PacketConn
}

func open4(ifname string, index int, mac net.HardwareAddr) (*conn4, error) {
	raw, err := openPacket(ifname, index, mac, unix.ETH_P_IP, portFilter)
	if err != nil {
		return nil, err
	}
	c := &conn4{ifname: ifname, raw: raw, in: make(chan *dhcpv4.DHCPv4, 16)}
	c.wg.Add(1)
	go c.read()
	return c, nil
}

func (c *conn4) read() {
	defer c.wg.Done()
	defer close(c.in)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.raw.read(buf)
		if err != nil {
			return
		}
		payload, ok := udpPayload(buf[:n])
		if !ok {
			continue
		}
		p, err := dhcpv4.FromBytes(payload)
		if err != nil {
			continue // garbage on the wire is not ours to complain about
		}
		select {
		case c.in <- p:
		default: // nobody waits for an answer now
		}
	}
}

func (c *conn4) Packets() <-chan *dhcpv4.DHCPv4 { return c.in }

func (c *conn4) Send(p *dhcpv4.DHCPv4, dst netip.Addr) error {
	if dst == broadcast {
		return c.raw.send(ipUDP(p.ToBytes()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.udp == nil {
		u, err := listenUDP(c.ifname, "udp4", "0.0.0.0:68")
		if err != nil {
			return fmt.Errorf("open a socket for renewals on %s: %w", c.ifname, err)
		}
		c.udp = u
	}
	_, err := c.udp.WriteTo(p.ToBytes(), &net.UDPAddr{IP: dst.AsSlice(), Port: 67})
	return err
}

// listenUDP opens a UDP socket of one NIC.
func listenUDP(ifname, network, addr string) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: bindTo(ifname, true)}
	return lc.ListenPacket(context.Background(), network, addr)
}

// bindTo makes a socket use one NIC, whatever the routes say.
func bindTo(ifname string, reuse bool) func(_, _ string, rc syscall.RawConn) error {
	return func(_, _ string, rc syscall.RawConn) error {
		var err error
		cerr := rc.Control(func(fd uintptr) {
			if reuse {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			}
			if err == nil {
				err = unix.BindToDevice(int(fd), ifname)
			}
		})
		if cerr != nil {
			return cerr
		}
		return err
	}
}

func (c *conn4) Close() {
	c.raw.close()
	c.mu.Lock()
	if c.udp != nil {
		c.udp.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

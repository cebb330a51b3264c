package netconf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"
)

// rawConn is the PacketConn of a real NIC: a packet socket, which works
// without an address, and for renewals a UDP socket, which lets the kernel
// find the server's MAC address.
type rawConn struct {
	ifname string
	raw    net.PacketConn
	in     chan *dhcpv4.DHCPv4
	wg     sync.WaitGroup
	mu     sync.Mutex
	udp    net.PacketConn
}

func openRaw(ifname string) (*rawConn, error) {
	raw, err := nclient4.NewRawUDPConn(ifname, 68)
	if err != nil {
		return nil, fmt.Errorf("open dhcp socket on %s: %w", ifname, err)
	}
	c := &rawConn{ifname: ifname, raw: raw, in: make(chan *dhcpv4.DHCPv4, 16)}
	c.wg.Add(1)
	go c.read()
	return c, nil
}

func (c *rawConn) read() {
	defer c.wg.Done()
	defer close(c.in)
	buf := make([]byte, 9216)
	for {
		n, _, err := c.raw.ReadFrom(buf)
		if err != nil {
			return
		}
		p, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			continue // garbage on the wire is not ours to complain about
		}
		select {
		case c.in <- p:
		default: // nobody waits for an answer now
		}
	}
}

func (c *rawConn) Packets() <-chan *dhcpv4.DHCPv4 { return c.in }

func (c *rawConn) Send(p *dhcpv4.DHCPv4, dst netip.Addr) error {
	to := &net.UDPAddr{IP: dst.AsSlice(), Port: 67}
	if dst == broadcast {
		_, err := c.raw.WriteTo(p.ToBytes(), to)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.udp == nil {
		lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
			var err error
			if cerr := rc.Control(func(fd uintptr) {
				if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
					err = unix.BindToDevice(int(fd), c.ifname)
				}
			}); cerr != nil {
				return cerr
			}
			return err
		}}
		var err error
		if c.udp, err = lc.ListenPacket(context.Background(), "udp4", "0.0.0.0:68"); err != nil {
			c.udp = nil
			return fmt.Errorf("open dhcp renewal socket on %s: %w", c.ifname, err)
		}
	}
	_, err := c.udp.WriteTo(p.ToBytes(), to)
	return err
}

func (c *rawConn) Close() {
	c.raw.Close()
	c.mu.Lock()
	if c.udp != nil {
		c.udp.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

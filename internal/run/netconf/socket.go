package netconf

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// conn4 is the packetConn4 of a real NIC: a packet socket, which works without
// an address, and for renewals a UDP socket, which lets the kernel find the
// server's MAC address.
type conn4 struct {
	ifname string
	raw    *packetSocket
	in     chan message4
	wg     sync.WaitGroup
	mu     sync.Mutex
	udp    net.PacketConn
}

func open4(ifname string, index int, mac net.HardwareAddr) (*conn4, error) {
	raw, err := openPacket(ifname, index, mac, unix.ETH_P_IP, portFilter)
	if err != nil {
		return nil, err
	}
	c := &conn4{ifname: ifname, raw: raw, in: make(chan message4, 16)}
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
		p, err := parse4(slices.Clone(payload))
		if err != nil {
			continue // garbage on the wire is not ours to complain about
		}
		select {
		case c.in <- p:
		default: // nobody waits for an answer now
		}
	}
}

func (c *conn4) packets() <-chan message4 { return c.in }

func (c *conn4) send(b []byte, dst netip.Addr) error {
	if dst == broadcast {
		// From the address that the message says we have, which may be none (ciaddr; RFC 2131 4.1).
		return c.raw.send(ipUDP(b, [4]byte(b[12:16])))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.udp == nil {
		u, err := listenUDP(c.ifname, netip.AddrPortFrom(netip.IPv4Unspecified(), 68))
		if err != nil {
			return fmt.Errorf("open a socket for renewals on %s: %w", c.ifname, err)
		}
		c.udp = u
	}
	_, err := c.udp.WriteTo(b, &net.UDPAddr{IP: dst.AsSlice(), Port: 67})
	return err
}

func (c *conn4) close() {
	c.raw.close()
	c.mu.Lock()
	if c.udp != nil {
		c.udp.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// conn6 is the packetConn6 of a real NIC.
type conn6 struct {
	udp net.PacketConn
	to  *net.UDPAddr
	in  chan packet6
	wg  sync.WaitGroup
}

// open6 opens the client's port. The NIC must have its link-local address.
func open6(ifname string, index int) (*conn6, error) {
	udp, err := listenUDP(ifname, netip.AddrPortFrom(netip.IPv6Unspecified(), 546))
	if err != nil {
		return nil, fmt.Errorf("open a DHCPv6 socket on %s: %w", ifname, err)
	}
	// By number: names are cached for a minute by Go, and this one may be new.
	zone := strconv.Itoa(index)
	c := &conn6{udp: udp, to: &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547, Zone: zone}, in: make(chan packet6, 16)}
	c.wg.Add(1)
	go c.read()
	return c, nil
}

func (c *conn6) read() {
	defer c.wg.Done()
	defer close(c.in)
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		m, err := parse6(slices.Clone(buf[:n]))
		ua, ok := from.(*net.UDPAddr)
		if err != nil || !ok {
			continue
		}
		a, _ := netip.AddrFromSlice(ua.IP)
		select {
		case c.in <- packet6{m, a}:
		default: // nobody waits for an answer now
		}
	}
}

func (c *conn6) send(b []byte) error {
	_, err := c.udp.WriteTo(b, c.to)
	return err
}

func (c *conn6) packets() <-chan packet6 { return c.in }

func (c *conn6) close() {
	c.udp.Close()
	c.wg.Wait()
}

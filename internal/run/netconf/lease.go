package netconf

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Lease is what a DHCP server gave.
type Lease struct {
	Address  netip.Prefix
	Server   netip.Addr
	Gateway  netip.Addr
	Routes   []LeaseRoute // classless routes (option 121); they replace Gateway
	DNS      []netip.Addr
	Domain   string
	Host     string
	MTU      int
	RootPath string
	NextServ netip.Addr
	Duration time.Duration
	T1, T2   time.Duration
	Obtained time.Time
}

// LeaseRoute is one classless route.
type LeaseRoute struct {
	Dest netip.Prefix
	Via  netip.Addr // 0.0.0.0: on link
}

// PacketConn carries DHCP messages of one NIC.
type PacketConn interface {
	// Send sends to dst; the limited broadcast address goes to everyone.
	Send(p *dhcpv4.DHCPv4, dst netip.Addr) error
	// Packets delivers what arrives for port 68, until Close.
	Packets() <-chan *dhcpv4.DHCPv4
}

// Client gets and keeps a DHCPv4 lease on one NIC (RFC 2131).
type Client struct {
	Conn PacketConn
	MAC  net.HardwareAddr
	// OnLease is told of each new or renewed lease, and of its loss (nil).
	OnLease func(*Lease)
	Debugf  func(format string, a ...any)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// errNAK is a server's refusal of an address.
var errNAK = errors.New("the server refused the address")

// Run gets a lease, keeps it, and gets a new one when it is lost. It returns
// only when ctx ends.
func (c *Client) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		offer, err := c.discover(ctx)
		if err != nil {
			return err
		}
		l, err := c.request(ctx, offer)
		if err != nil {
			c.Debugf("dhcp: %v", err)
			if !errors.Is(err, errNAK) {
				continue
			}
			// A refusing server may do so for long: not more than one round a second.
			if !sleep(ctx, time.Second) {
				break
			}
			continue
		}
		c.OnLease(l)
		c.keep(ctx, l)
		if ctx.Err() == nil {
			c.OnLease(nil)
		}
	}
	return ctx.Err()
}

// discover asks until someone offers an address.
func (c *Client) discover(ctx context.Context) (*dhcpv4.DHCPv4, error) {
	p, err := dhcpv4.NewDiscovery(c.MAC, c.options()...)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	start := time.Now()
	for wait := time.Second; ; wait = min(2*wait, 16*time.Second) {
		p.NumSeconds = uint16(min(time.Since(start).Seconds(), 65535))
		if err := c.Conn.Send(p, broadcast); err != nil {
			c.Debugf("dhcp: send discover: %v", err)
		}
		reply, err := c.reply(ctx, p.TransactionID, jitter(wait), func(r *dhcpv4.DHCPv4) bool {
			return r.MessageType() == dhcpv4.MessageTypeOffer && usable(r.YourIPAddr) && r.ServerIdentifier() != nil
		})
		if reply != nil || err != nil {
			return reply, err
		}
	}
}

// request takes an offer.
func (c *Client) request(ctx context.Context, offer *dhcpv4.DHCPv4) (*Lease, error) {
	p, err := dhcpv4.NewRequestFromOffer(offer, c.options()...)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	for wait := time.Second; wait <= 4*time.Second; wait *= 2 {
		if err := c.Conn.Send(p, broadcast); err != nil {
			c.Debugf("dhcp: send request: %v", err)
		}
		reply, err := c.reply(ctx, p.TransactionID, jitter(wait), func(r *dhcpv4.DHCPv4) bool { return fromServer(r, offer.ServerIdentifier()) })
		if err != nil {
			return nil, err
		}
		if reply != nil {
			return c.accept(reply)
		}
	}
	return nil, fmt.Errorf("dhcp: server %s offered %s but did not acknowledge it", offer.ServerIdentifier(), offer.YourIPAddr)
}

func fromServer(r *dhcpv4.DHCPv4, id net.IP) bool {
	t := r.MessageType()
	return (t == dhcpv4.MessageTypeAck || t == dhcpv4.MessageTypeNak) && (id == nil || r.ServerIdentifier() == nil || r.ServerIdentifier().Equal(id))
}

func (c *Client) accept(r *dhcpv4.DHCPv4) (*Lease, error) {
	if r.MessageType() == dhcpv4.MessageTypeNak {
		return nil, fmt.Errorf("dhcp: %w: %s", errNAK, r.Message())
	}
	return leaseOf(r, time.Now())
}

// keep renews the lease at T1 with its server, from T2 on with any; it
// returns when the lease has ended.
func (c *Client) keep(ctx context.Context, l *Lease) {
	for {
		if !sleep(ctx, time.Until(l.Obtained.Add(l.T1))) {
			return
		}
		next := c.renew(ctx, l)
		if next == nil {
			return
		}
		l = next
		c.OnLease(l)
	}
}

func (c *Client) renew(ctx context.Context, l *Lease) *Lease {
	end := l.Obtained.Add(l.Duration)
	for time.Now().Before(end) && ctx.Err() == nil {
		now := time.Now()
		dst, until := l.Server, l.Obtained.Add(l.T2)
		if !now.Before(until) {
			dst, until = broadcast, end
		}
		p, err := dhcpv4.New(append(c.options(), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithHwAddr(c.MAC),
			dhcpv4.WithClientIP(l.Address.Addr().AsSlice()))...)
		if err != nil {
			return nil
		}
		if err := c.Conn.Send(p, dst); err != nil {
			c.Debugf("dhcp: renew: %v", err)
		}
		// RFC 2131 4.4.5: half of the time that remains, not below a minute, not
		// past the phase's end.
		wait := min(max(until.Sub(now)/2, time.Minute), until.Sub(now))
		reply, err := c.reply(ctx, p.TransactionID, wait, func(r *dhcpv4.DHCPv4) bool { return fromServer(r, nil) })
		if err != nil {
			return nil
		}
		if reply == nil {
			continue
		}
		next, err := c.accept(reply)
		if errors.Is(err, errNAK) {
			return nil
		}
		if err == nil {
			return next
		}
	}
	return nil
}

// reply waits for an answer to xid that ok accepts; nil after the wait.
func (c *Client) reply(ctx context.Context, xid dhcpv4.TransactionID, wait time.Duration, ok func(*dhcpv4.DHCPv4) bool) (*dhcpv4.DHCPv4, error) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			return nil, nil
		case r, open := <-c.Conn.Packets():
			if !open {
				return nil, errors.New("dhcp: the socket was closed")
			}
			if r.OpCode == dhcpv4.OpcodeBootReply && r.TransactionID == xid && ok(r) {
				return r, nil
			}
		}
	}
}

func (c *Client) options() []dhcpv4.Modifier {
	mods := []dhcpv4.Modifier{
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName,
			dhcpv4.OptionDomainName, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionRootPath, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionNTPServers),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("bareroot")),
	}
	if len(c.MAC) > 6 {
		mods = append(mods, dhcpv4.WithBroadcast(true))
	}
	return mods
}

// leaseOf reads an acknowledgement.
func leaseOf(r *dhcpv4.DHCPv4, now time.Time) (*Lease, error) {
	addr, ok := netip.AddrFromSlice(r.YourIPAddr.To4())
	if !ok || !usable(r.YourIPAddr) {
		return nil, fmt.Errorf("dhcp: the server acknowledged no usable address (%s)", r.YourIPAddr)
	}
	l := &Lease{Domain: r.DomainName(), Host: r.HostName(), RootPath: r.RootPath(), Obtained: now}
	bits := 0
	if m := r.SubnetMask(); m != nil {
		bits, _ = m.Size()
	}
	if bits == 0 {
		d, _ := net.IP(addr.AsSlice()).DefaultMask().Size()
		bits = d
	}
	l.Address = netip.PrefixFrom(addr, bits)
	l.Server, _ = netip.AddrFromSlice(r.ServerIdentifier().To4())
	if !l.Server.IsValid() {
		l.Server = broadcast
	}
	l.NextServ, _ = netip.AddrFromSlice(r.ServerIPAddr.To4())
	if gs := r.Router(); len(gs) > 0 {
		l.Gateway, _ = netip.AddrFromSlice(gs[0].To4())
	}
	for _, rt := range r.ClasslessStaticRoute() {
		a, ok1 := netip.AddrFromSlice(rt.Dest.IP.To4())
		ones, _ := rt.Dest.Mask.Size()
		via, ok2 := netip.AddrFromSlice(rt.Router.To4())
		if ok1 && ok2 {
			l.Routes = append(l.Routes, LeaseRoute{netip.PrefixFrom(a, ones).Masked(), via})
		}
	}
	for _, d := range r.DNS() {
		if a, ok := netip.AddrFromSlice(d.To4()); ok {
			l.DNS = append(l.DNS, a)
		}
	}
	// RFC 2131's minimum is 68; dracut ignores values up to 576, which come from
	// broken servers.
	if b := r.Options.Get(dhcpv4.OptionInterfaceMTU); len(b) == 2 {
		if mtu := int(b[0])<<8 | int(b[1]); mtu > 576 {
			l.MTU = mtu
		}
	}
	l.Duration = max(r.IPAddressLeaseTime(time.Hour), 10*time.Second)
	l.T1, l.T2 = r.IPAddressRenewalTime(l.Duration/2), r.IPAddressRebindingTime(l.Duration*7/8)
	if l.T1 <= 0 || l.T2 <= l.T1 || l.T2 >= l.Duration {
		l.T1, l.T2 = l.Duration/2, l.Duration*7/8
	}
	return l, nil
}

func usable(ip net.IP) bool {
	v4 := ip.To4()
	return v4 != nil && !v4.IsUnspecified() && !v4.IsMulticast() && !v4.Equal(net.IPv4bcast) && !v4.IsLoopback()
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

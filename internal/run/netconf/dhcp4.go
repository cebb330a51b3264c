package netconf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// PacketConn carries DHCP messages of one NIC.
type PacketConn interface {
	// Send sends to dst; the limited broadcast address goes to everyone.
	Send(p *dhcpv4.DHCPv4, dst netip.Addr) error
	// Packets delivers what arrives for port 68, until Close.
	Packets() <-chan *dhcpv4.DHCPv4
}

// Client gets and keeps a DHCPv4 lease on one NIC (RFC 2131).
type Client struct {
	Conn  PacketConn
	MAC   net.HardwareAddr
	Host  string // our name, if we have one
	Class string // vendor class; "" = "bareroot"
	// Check says who has the address already; "" if nobody. nil: not checked.
	Check func(ctx context.Context, a netip.Addr) string
	// OnLease is told of each new or renewed lease, and of its loss (nil).
	OnLease func(*Lease)
	// Note is told what the client waits for.
	Note func(text func() string)
	// Verify has a value when the cable was out: the lease may be one of another network.
	Verify <-chan struct{}
	Debugf func(format string, a ...any)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// errNAK is a server's refusal of an address.
var errNAK = errors.New("the server refused the address")

// declinePause is the least time between a decline and the next discover
// (RFC 2131 3.1).
const declinePause = 10 * time.Second

// Run gets a lease, keeps it, and gets a new one when it is lost. It returns
// only when ctx ends.
func (c *Client) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		l, pause, err := c.obtain(ctx)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			c.Debugf("dhcp: %v", err)
			c.Note(func() string { return err.Error() })
			if !sleep(ctx, pause) {
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

// obtain goes from discover to a lease; pause is for after an error.
func (c *Client) obtain(ctx context.Context) (l *Lease, pause time.Duration, err error) {
	offer, err := c.discover(ctx)
	if err != nil {
		return nil, time.Second, err
	}
	l, err = c.request(ctx, offer)
	if errors.Is(err, errNAK) {
		return nil, time.Second, err // a refusing server may do so for long
	}
	if err != nil {
		return nil, 0, err
	}
	if c.Check == nil {
		return l, 0, nil
	}
	if who := c.Check(ctx, l.Address.Addr()); who != "" {
		c.decline(l)
		return nil, declinePause, fmt.Errorf("server %s gave %s, which %s already uses; declined", l.Server, l.Address.Addr(), who)
	}
	return l, 0, ctx.Err()
}

// discover asks until someone offers an address.
func (c *Client) discover(ctx context.Context) (*dhcpv4.DHCPv4, error) {
	p, err := c.message(dhcpv4.MessageTypeDiscover)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	// A switch's port may not pass packets yet though the carrier is there, so the
	// first repetitions come soon.
	for sent, wait := 1, time.Second/4; ; sent, wait = sent+1, min(2*wait, 16*time.Second) {
		p.NumSeconds = uint16(min(time.Since(start).Seconds(), 65535))
		if err := c.Conn.Send(p, broadcast); err != nil {
			c.Debugf("dhcp: send discover: %v", err)
		}
		n := sent
		c.Note(func() string {
			return fmt.Sprintf("no answer to %d DHCP discovers in %.0f s", n, time.Since(start).Seconds())
		})
		reply, err := c.reply(ctx, p, jitter(wait), func(r *dhcpv4.DHCPv4) bool {
			return r.MessageType() == dhcpv4.MessageTypeOffer && usable(r.YourIPAddr) && r.ServerIdentifier() != nil
		})
		if reply != nil || err != nil {
			return reply, err
		}
	}
}

// request takes an offer.
func (c *Client) request(ctx context.Context, offer *dhcpv4.DHCPv4) (*Lease, error) {
	p, err := c.message(dhcpv4.MessageTypeRequest, dhcpv4.WithTransactionID(offer.TransactionID),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))
	if err != nil {
		return nil, err
	}
	c.Note(func() string {
		return fmt.Sprintf("server %s offers %s and does not acknowledge it", offer.ServerIdentifier(), offer.YourIPAddr)
	})
	for wait := time.Second; wait <= 4*time.Second; wait *= 2 {
		if err := c.Conn.Send(p, broadcast); err != nil {
			c.Debugf("dhcp: send request: %v", err)
		}
		reply, err := c.reply(ctx, p, jitter(wait), func(r *dhcpv4.DHCPv4) bool { return fromServer(r, offer.ServerIdentifier()) })
		if err != nil {
			return nil, err
		}
		if reply != nil {
			return c.accept(reply)
		}
	}
	return nil, fmt.Errorf("server %s offered %s but did not acknowledge it", offer.ServerIdentifier(), offer.YourIPAddr)
}

func (c *Client) decline(l *Lease) {
	p, err := c.message(dhcpv4.MessageTypeDecline, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(l.Address.Addr().AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(l.Server.AsSlice())), dhcpv4.WithOption(dhcpv4.OptMessage("address in use")))
	if err == nil {
		err = c.Conn.Send(p, broadcast)
	}
	if err != nil {
		c.Debugf("dhcp: decline %s: %v", l.Address, err)
	}
}

func fromServer(r *dhcpv4.DHCPv4, id net.IP) bool {
	t := r.MessageType()
	return (t == dhcpv4.MessageTypeAck || t == dhcpv4.MessageTypeNak) && (id == nil || r.ServerIdentifier() == nil || r.ServerIdentifier().Equal(id))
}

func (c *Client) accept(r *dhcpv4.DHCPv4) (*Lease, error) {
	if r.MessageType() == dhcpv4.MessageTypeNak {
		return nil, fmt.Errorf("%w: %s (server %s)", errNAK, r.Message(), r.ServerIdentifier())
	}
	return leaseOf(r, time.Now())
}

// keep renews the lease at T1 with its server, from T2 on with any; it
// returns when the lease has ended.
func (c *Client) keep(ctx context.Context, l *Lease) {
	for {
		next, err := c.renewed(ctx, l)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.Debugf("dhcp: %v", err)
			return
		}
		l = next
		c.OnLease(l)
	}
}

// renewed waits for T1, or for the cable, and renews the lease. An error is
// the end of the lease.
func (c *Client) renewed(ctx context.Context, l *Lease) (*Lease, error) {
	var t1 <-chan time.Time
	if l.Duration > 0 {
		t := time.NewTimer(time.Until(l.Obtained.Add(l.T1)))
		defer t.Stop()
		t1 = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t1:
			return c.renew(ctx, l)
		case <-c.Verify:
			next, err := c.ask(ctx, l, broadcast, 5*time.Second)
			if next != nil || errors.Is(err, errNAK) {
				return next, err
			}
			// Nobody answers: the lease is good until it ends.
		}
	}
}

func (c *Client) renew(ctx context.Context, l *Lease) (*Lease, error) {
	end := l.Obtained.Add(l.Duration)
	for time.Now().Before(end) && ctx.Err() == nil {
		now := time.Now()
		dst, until := l.Server, l.Obtained.Add(l.T2)
		if !now.Before(until) {
			dst, until = broadcast, end
		}
		// RFC 2131 4.4.5: half of the time that remains, not below a minute, not
		// past the phase's end.
		next, err := c.ask(ctx, l, dst, min(max(until.Sub(now)/2, time.Minute), until.Sub(now)))
		if next != nil || errors.Is(err, errNAK) {
			return next, err
		}
		if err != nil {
			c.Debugf("dhcp: renew: %v", err)
		}
	}
	return nil, fmt.Errorf("no server renewed the lease of %s", l.Address)
}

// ask asks once for the lease to go on; nil without an answer.
func (c *Client) ask(ctx context.Context, l *Lease, dst netip.Addr, wait time.Duration) (*Lease, error) {
	p, err := c.message(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(l.Address.Addr().AsSlice()))
	if err != nil {
		return nil, err
	}
	if err := c.Conn.Send(p, dst); err != nil {
		c.Debugf("dhcp: renew: %v", err)
	}
	reply, err := c.reply(ctx, p, wait, func(r *dhcpv4.DHCPv4) bool { return fromServer(r, nil) })
	if reply == nil || err != nil {
		return nil, err
	}
	return c.accept(reply)
}

// reply waits for an answer to p that ok accepts; nil after the wait.
func (c *Client) reply(ctx context.Context, p *dhcpv4.DHCPv4, wait time.Duration, ok func(*dhcpv4.DHCPv4) bool) (*dhcpv4.DHCPv4, error) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			return nil, nil
		case <-c.Verify:
			return nil, nil // the cable is back: ask again at once
		case r, open := <-c.Conn.Packets():
			if !open {
				return nil, errors.New("the DHCP socket was closed")
			}
			if r.OpCode == dhcpv4.OpcodeBootReply && r.TransactionID == p.TransactionID && (len(p.ClientHWAddr) == 0 || slices.Equal(r.ClientHWAddr, p.ClientHWAddr)) && ok(r) {
				return r, nil
			}
		}
	}
}

package netconf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// packetConn4 carries DHCP messages of one NIC.
type packetConn4 interface {
	// send sends to dst; the limited broadcast address goes to everyone.
	send(b []byte, dst netip.Addr) error
	// packets delivers what arrives for port 68, until the connection is closed.
	packets() <-chan message4
}

// client4 gets and keeps a DHCPv4 lease on one NIC (RFC 2131).
type client4 struct {
	conn  packetConn4
	mac   net.HardwareAddr
	host  string // our name, if we have one
	class string // vendor class; "" = "bareroot"
	uuid  string // of the machine, if it has one
	// check says who has the address already; "" if nobody. nil: not checked.
	check func(ctx context.Context, a netip.Addr) string
	// onLease is told of each new or renewed lease, and of its loss (nil).
	onLease func(*Lease)
	// note is told what the client waits for.
	note func(text func() string)
	// verify has a value when the cable was out: the lease may be one of another network.
	verify <-chan struct{}
	debugf func(format string, a ...any)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// errNAK is a server's refusal of an address.
var errNAK = errors.New("the server refused the address")

// declinePause is the least time between a decline and the next discover
// (RFC 2131 3.1).
const declinePause = 10 * time.Second

// run gets a lease, keeps it, and gets a new one when it is lost. It returns
// only when ctx ends.
func (c *client4) run(ctx context.Context) {
	for ctx.Err() == nil {
		l, pause, err := c.obtain(ctx)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			c.debugf("dhcp: %v", err)
			c.note(func() string { return err.Error() })
			if !sleep(ctx, pause) {
				break
			}
			continue
		}
		c.onLease(l)
		keep(ctx, l, c.renewed, c.onLease, c.debugf)
		if ctx.Err() == nil {
			c.onLease(nil)
		}
	}
}

// obtain goes from discover to a lease; pause is for after an error.
func (c *client4) obtain(ctx context.Context) (l *Lease, pause time.Duration, err error) {
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
	if c.check == nil {
		return l, 0, nil
	}
	if who := c.check(ctx, l.Address.Addr()); who != "" {
		c.decline(l)
		return nil, declinePause, fmt.Errorf("server %s gave %s, which %s already uses; declined", l.Server, l.Address.Addr(), who)
	}
	return l, 0, ctx.Err()
}

// discover asks until someone offers an address.
func (c *client4) discover(ctx context.Context) (*message4, error) {
	p := c.message(discover4)
	start := time.Now()
	// A switch's port may not pass packets yet though the carrier is there, so the
	// first repetitions come soon.
	for sent, wait := 1, time.Second/4; ; sent, wait = sent+1, min(2*wait, 16*time.Second) {
		p.secs = uint16(min(time.Since(start).Seconds(), 65535))
		if err := c.conn.send(p.bytes(), broadcast); err != nil {
			c.debugf("dhcp: send discover: %v", err)
		}
		n := sent
		c.note(func() string {
			return fmt.Sprintf("no answer to %d DHCP discovers in %.0f s", n, time.Since(start).Seconds())
		})
		reply, err := c.reply(ctx, p, jitter(wait), func(r message4) bool {
			return r.kind() == offer4 && usable(r.yours) && r.server().IsValid()
		})
		if reply != nil || err != nil {
			return reply, err
		}
	}
}

// request takes an offer.
func (c *client4) request(ctx context.Context, offer *message4) (*Lease, error) {
	server := offer.server()
	p := c.message(request4, option4{optRequested, offer.yours.AsSlice()}, option4{optServer4, server.AsSlice()})
	p.xid = offer.xid
	c.note(func() string {
		return fmt.Sprintf("server %s offers %s and does not acknowledge it", server, offer.yours)
	})
	for wait := time.Second; wait <= 4*time.Second; wait *= 2 {
		if err := c.conn.send(p.bytes(), broadcast); err != nil {
			c.debugf("dhcp: send request: %v", err)
		}
		reply, err := c.reply(ctx, p, jitter(wait), func(r message4) bool { return fromServer(r, server) })
		if err != nil {
			return nil, err
		}
		if reply != nil {
			return c.accept(reply)
		}
	}
	return nil, fmt.Errorf("server %s offered %s but did not acknowledge it", server, offer.yours)
}

func (c *client4) decline(l *Lease) {
	p := c.message(decline4, option4{optRequested, l.Address.Addr().AsSlice()}, option4{optServer4, l.Server.AsSlice()}, option4{optMessage, []byte("address in use")})
	if err := c.conn.send(p.bytes(), broadcast); err != nil {
		c.debugf("dhcp: decline %s: %v", l.Address, err)
	}
}

// fromServer says whether a message is a server's last word: of the one asked, if it is
// known. One that acknowledges no address has said nothing: asking it again at once
// would go on for ever.
func fromServer(r message4, id netip.Addr) bool {
	return (r.kind() == ack4 && usable(r.yours) || r.kind() == nak4) && (!id.IsValid() || !r.server().IsValid() || r.server() == id)
}

func (c *client4) accept(r *message4) (*Lease, error) {
	if r.kind() == nak4 {
		return nil, fmt.Errorf("%w: %s (server %s)", errNAK, strings.Map(printable, string(r.get(optMessage))), r.server())
	}
	return leaseOf(*r, time.Now())
}

// renewed waits for T1, or for the cable, and renews the lease: at T1 with its
// server, from T2 on with any. An error is the end of the lease.
func (c *client4) renewed(ctx context.Context, l *Lease) (*Lease, error) {
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
		case <-c.verify:
			next, err := c.confirm(ctx, l)
			if next != nil || err != nil {
				return next, err
			}
			// Nobody answers: the lease is good until it ends.
		}
	}
}

// confirm asks all servers whether the lease is good where the cable is now; nil
// if nobody answers. It asks as after a reboot (RFC 2131 3.2): what is asked as a
// renewal, servers refuse only if they know the lease. It asks for half a minute: a
// switch's port may take that long until it passes packets.
func (c *client4) confirm(ctx context.Context, l *Lease) (*Lease, error) {
	for wait := time.Second / 4; wait <= 16*time.Second; wait *= 2 {
		p := c.message(request4, option4{optRequested, l.Address.Addr().AsSlice()})
		next, err := c.ask(ctx, p, broadcast, jitter(wait))
		if next != nil || errors.Is(err, errNAK) || ctx.Err() != nil {
			return next, err
		}
		if l.Duration > 0 && time.Since(l.Obtained) > l.T1 {
			break
		}
	}
	return nil, nil
}

func (c *client4) renew(ctx context.Context, l *Lease) (*Lease, error) {
	end := l.Obtained.Add(l.Duration)
	for time.Now().Before(end) && ctx.Err() == nil {
		now := time.Now()
		dst, until := l.Server, l.Obtained.Add(l.T2)
		if !now.Before(until) {
			dst, until = broadcast, end
		}
		// RFC 2131 4.4.5: half of the time that remains, not below a minute, not
		// past the phase's end.
		p := c.message(request4)
		p.client = l.Address.Addr()
		next, err := c.ask(ctx, p, dst, min(max(until.Sub(now)/2, time.Minute), until.Sub(now)))
		if next != nil || errors.Is(err, errNAK) {
			return next, err
		}
		if err != nil {
			c.debugf("dhcp: renew: %v", err)
		}
	}
	return nil, fmt.Errorf("no server renewed the lease of %s", l.Address)
}

// ask asks once for a lease to go on; nil without an answer.
func (c *client4) ask(ctx context.Context, p message4, dst netip.Addr, wait time.Duration) (*Lease, error) {
	if err := c.conn.send(p.bytes(), dst); err != nil {
		c.debugf("dhcp: renew: %v", err)
	}
	reply, err := c.reply(ctx, p, wait, func(r message4) bool { return fromServer(r, netip.Addr{}) })
	if reply == nil || err != nil {
		return nil, err
	}
	return c.accept(reply)
}

// reply waits for an answer to p that ok accepts; nil after the wait.
func (c *client4) reply(ctx context.Context, p message4, wait time.Duration, ok func(message4) bool) (*message4, error) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			return nil, nil
		case <-c.verify:
			return nil, nil // the cable is back: ask again at once
		case r, open := <-c.conn.packets():
			if !open {
				return nil, errors.New("the DHCP socket was closed")
			}
			if r.op == answer4 && r.xid == p.xid && (len(p.mac) == 0 || slices.Equal(r.mac, p.mac)) && ok(r) {
				return &r, nil
			}
		}
	}
}

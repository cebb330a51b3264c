package netconf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// packetConn6 carries DHCPv6 messages of one NIC to all servers of its link.
type packetConn6 interface {
	send(b []byte) error
	packets() <-chan packet6
}

type packet6 struct {
	message6
	from netip.Addr
}

// client6 gets and keeps one address by DHCPv6 (RFC 8415). It takes the first
// advertisement that has an address, where the RFC collects them for a second:
// a machine that boots is better off with any server now.
type client6 struct {
	conn    packetConn6
	duid    []byte
	iaid    [4]byte
	onLease func(*lease6) (used bool) // true: somebody else has the address
	note    func(text func() string)
	verify  <-chan struct{} // the cable was out
	debugf  func(format string, a ...any)
}

// run gets an address, keeps it, and gets another when it is lost. It returns
// only when ctx ends.
func (c *client6) run(ctx context.Context) {
	for ctx.Err() == nil {
		l, err := c.obtain(ctx)
		if err != nil {
			c.debugf("dhcp6: %v", err)
			if ctx.Err() == nil {
				c.note(func() string { return "DHCPv6: " + err.Error() })
			}
			sleep(ctx, time.Second)
			continue
		}
		if c.onLease(l) {
			c.decline(l)
			sleep(ctx, declinePause)
			continue
		}
		keep(ctx, l, c.renewed, func(l *lease6) { c.onLease(l) }, c.debugf)
		if ctx.Err() == nil {
			c.onLease(nil)
		}
	}
}

func (c *client6) obtain(ctx context.Context) (*lease6, error) {
	start := time.Now()
	for sent, wait := 1, time.Second; ; sent, wait = sent+1, min(2*wait, 16*time.Second) {
		m := c.message(solicit6, option6{optRapidCommit, nil}, option6{optIANA, association6(c.iaid, netip.Addr{})})
		n := sent
		c.note(func() string {
			return fmt.Sprintf("no answer to %d DHCPv6 solicits in %.0f s", n, time.Since(start).Seconds())
		})
		var got *lease6
		var refused error
		r, err := c.exchange(ctx, m, start, jitter(wait), func(r message6) bool {
			_, rapid := get6(r.opts, optRapidCommit)
			if r.kind != advertise6 && !(r.kind == reply6 && rapid) {
				return false
			}
			got, refused = leaseOf6(r, c.iaid, time.Now())
			return refused == nil
		})
		if err != nil {
			return nil, err
		}
		if r == nil {
			if refused != nil {
				why := refused
				c.note(func() string { return "DHCPv6: " + why.Error() })
			}
			continue
		}
		got.Server = r.from
		if r.kind == reply6 {
			return got, nil
		}
		return c.request(ctx, got)
	}
}

// request takes an advertised address.
func (c *client6) request(ctx context.Context, offer *lease6) (*lease6, error) {
	start := time.Now()
	for wait := time.Second; wait <= 4*time.Second; wait *= 2 {
		m := c.message(request6, option6{optServerID, offer.server}, option6{optIANA, association6(c.iaid, offer.Address.Addr())})
		r, err := c.exchange(ctx, m, start, jitter(wait), func(r message6) bool { return r.kind == reply6 })
		if err != nil {
			return nil, err
		}
		if r != nil {
			l, err := leaseOf6(r.message6, c.iaid, time.Now())
			if err == nil {
				l.Server = r.from
			}
			return l, err
		}
	}
	return nil, fmt.Errorf("server %s advertised %s but did not confirm it", offer.Server, offer.Address.Addr())
}

func (c *client6) decline(l *lease6) {
	m := c.message(decline6, option6{optServerID, l.server}, option6{optIANA, association6(c.iaid, l.Address.Addr())})
	if err := c.conn.send(m.bytes()); err != nil {
		c.debugf("dhcp6: decline %s: %v", l.Address.Addr(), err)
	}
}

// renewed waits for T1 and renews the address: with its server, from T2 on with
// any. An error is the end of the address.
func (c *client6) renewed(ctx context.Context, l *lease6) (*lease6, error) {
	var t1 <-chan time.Time
	if l.Duration > 0 {
		t := time.NewTimer(time.Until(l.Obtained.Add(l.T1)))
		defer t.Stop()
		t1 = t.C
	}
	for waiting := true; waiting; {
		select {
		case <-t1:
			waiting = false
		case <-c.verify:
			if err := c.confirm(ctx, l); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	start, end := time.Now(), l.Obtained.Add(l.Duration)
	for wait := 10 * time.Second; time.Now().Before(end) && ctx.Err() == nil; wait = min(2*wait, 10*time.Minute) {
		kind, until := byte(renew6), l.Obtained.Add(l.T2)
		opts := []option6{{optServerID, l.server}, {optIANA, association6(c.iaid, l.Address.Addr())}}
		if !time.Now().Before(until) {
			kind, until, opts = rebind6, end, opts[1:]
		}
		var next *lease6
		var refused error
		r, err := c.exchange(ctx, c.message(kind, opts...), start, min(jitter(wait), time.Until(until)), func(r message6) bool {
			if r.kind != reply6 {
				return false
			}
			// What says nothing of the address is no answer: it is waited on.
			next, refused = leaseOf6(r, c.iaid, time.Now())
			return errors.Is(refused, errNAK) || refused == nil && next.Address == l.Address
		})
		switch {
		case err != nil:
			return nil, err
		case r == nil:
		case refused != nil:
			return nil, refused
		default:
			next.Server = r.from
			return next, nil
		}
	}
	return nil, fmt.Errorf("no server renewed %s", l.Address.Addr())
}

// confirm asks all servers whether the address is one of the link where the
// cable is now. An error says that it is not; no answer is none.
func (c *client6) confirm(ctx context.Context, l *lease6) error {
	start := time.Now()
	for wait := time.Second; wait <= 4*time.Second; wait *= 2 {
		m := c.message(confirm6, option6{optIANA, association6(c.iaid, l.Address.Addr())})
		r, err := c.exchange(ctx, m, start, jitter(wait), func(r message6) bool { return r.kind == reply6 })
		if err != nil {
			return err
		}
		if r != nil {
			return status6(r.opts)
		}
	}
	return nil
}

// inform asks for what DHCPv6 knows beside addresses.
func (c *client6) inform(ctx context.Context) (*Lease, error) {
	start := time.Now()
	for wait := time.Second; wait <= 8*time.Second; wait *= 2 {
		r, err := c.exchange(ctx, c.message(inform6), start, jitter(wait), func(r message6) bool { return r.kind == reply6 && status6(r.opts) == nil })
		if err != nil {
			return nil, err
		}
		if r != nil {
			l := &Lease{}
			l.stateless(r.opts)
			return l, nil
		}
	}
	return nil, errors.New("no server answers an information request")
}

// exchange sends m and waits for an answer that ok accepts; nil after the wait.
func (c *client6) exchange(ctx context.Context, m message6, start time.Time, wait time.Duration, ok func(message6) bool) (*packet6, error) {
	elapsed := uint16(min(time.Since(start).Milliseconds()/10, 0xffff))
	m.opts = append(m.opts, option6{optElapsed, binary.BigEndian.AppendUint16(nil, elapsed)})
	if err := c.conn.send(m.bytes()); err != nil {
		c.debugf("dhcp6: send: %v", err)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			return nil, nil
		case r, open := <-c.conn.packets():
			if !open {
				return nil, errors.New("the DHCPv6 socket was closed")
			}
			id, _ := get6(r.opts, optClientID)
			_, server := get6(r.opts, optServerID)
			if r.xid == m.xid && server && slices.Equal(id, c.duid) && ok(r.message6) {
				return &r, nil
			}
		}
	}
}

func (c *client6) message(kind byte, more ...option6) message6 {
	xid := rand.Uint32()
	m := message6{kind: kind, xid: [3]byte{byte(xid >> 16), byte(xid >> 8), byte(xid)}}
	m.opts = append([]option6{{optClientID, c.duid}}, more...)
	if kind != decline6 && kind != confirm6 {
		var oro []byte
		for _, o := range []uint16{optDNS, optDomains, optSNTP, optNTP, optBootFile} {
			oro = binary.BigEndian.AppendUint16(oro, o)
		}
		m.opts = append(m.opts, option6{optORO, oro})
	}
	return m
}

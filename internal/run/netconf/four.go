package netconf

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"bareroot/internal/cmdline"
)

// dhcp4 asks for a lease and, once there is one, keeps it in the background. A
// limit of 0 is none.
func (n *nic) dhcp4(ctx context.Context, ip cmdline.IP, limit time.Duration) bool {
	l := n.fresh()
	conn, err := open4(l.Name, l.Index, l.MAC)
	if err != nil {
		n.say("%v", err)
		return false
	}
	got := make(chan bool, 1)
	cctx, stop := context.WithCancel(ctx)
	c := client4{conn: conn, mac: l.MAC, host: ip.Host, class: n.m.cfg.Class, uuid: n.m.cfg.UUID, debugf: n.m.cfg.Log.Debugf, note: n.note, verify: n.cable(),
		check: func(ctx context.Context, a netip.Addr) string {
			return inUse(ctx, l.Name, l.Index, l.MAC, a)
		},
		onLease: func(lease *Lease) {
			ok := n.leased(ctx, ip, lease)
			select {
			case got <- ok:
			default:
			}
		}}
	n.m.wg.Add(1)
	go func() {
		defer n.m.wg.Done()
		defer stop()
		defer conn.close()
		c.run(cctx)
	}()
	return n.await(ctx, got, limit, stop, "DHCP")
}

// static puts the address of an ip= word on the NIC.
func (n *nic) static(ctx context.Context, ip cmdline.IP) {
	link := n.now()
	name := link.Name
	if who := inUse(ctx, name, link.Index, link.MAC, ip.Client); who != "" {
		// The operator said so; two machines with one address are his to find.
		n.m.cfg.Log.Errorf("%s: the address %s is already used by %s", name, ip.Client, who)
	}
	l := &Lease{Method: "static", Address: netip.PrefixFrom(ip.Client, ip.Bits), Gateway: ip.Gateway, DNS: ip.DNS, Host: ip.Host, Obtained: time.Now()}
	if ip.NTP.IsValid() {
		l.NTP = []netip.Addr{ip.NTP}
	}
	// The second field is a server, or with a length the other end of the link.
	if server, err := netip.ParseAddr(ip.Peer); err == nil {
		l.NextServ = server
	} else if peer, err := netip.ParsePrefix(ip.Peer); err == nil && peer.Addr().Is4() == ip.Client.Is4() {
		l.Peer, l.Address = peer, netip.PrefixFrom(ip.Client, peer.Bits())
	}
	c := config{addr: l.Address, peer: l.Peer, gateway: ip.Gateway, routes: n.extra(), metric: metricBase + link.Index}
	if err := apply(link, c, n.m.cfg.Log.Warnf); err != nil {
		n.say("%v", err)
		n.m.cfg.Log.Errorf("%v", err)
		return
	}
	if ip.Client.Is6() && !n.settled(ctx, ip.Client) {
		return
	}
	n.m.cfg.Log.Infof("address %s on %s %.2f s after start", l.Address, name, time.Since(n.m.cfg.Start).Seconds())
	n.offer(ctx, l)
}

// extra is rd.route= for the NIC.
func (n *nic) extra() []LeaseRoute { return n.m.plan.routes(n.called()) }

// leased puts a DHCPv4 lease on the NIC, or takes it off. It says whether the NIC
// has the address.
func (n *nic) leased(ctx context.Context, ip cmdline.IP, l *Lease) bool {
	link := n.now()
	name := link.Name
	n.m.mu.Lock()
	old := n.leases[false]
	n.m.mu.Unlock()
	if l == nil || old != nil && old.Address != l.Address {
		if old != nil {
			n.m.cfg.Log.Warnf("the lease of %s on %s has ended", old.Address, name)
			flush(link, old.Address)
		}
	}
	if l == nil {
		n.m.mu.Lock()
		delete(n.leases, false)
		n.m.mu.Unlock()
		n.say("lost its lease")
		return false
	}
	if ip.Host != "" {
		l.Host = ip.Host
	}
	c := config{addr: l.Address, lifetime: l.Duration, gateway: l.Gateway, mtu: l.MTU, metric: metricBase + link.Index}
	c.routes = slices.Concat(l.Routes, n.extra())
	if len(l.Routes) > 0 {
		c.gateway = netip.Addr{} // RFC 3442: then option 3 is ignored
	}
	if ip.MTU > 0 {
		c.mtu = 0
	}
	if err := apply(link, c, n.m.cfg.Log.Warnf); err != nil {
		n.say("%v", err)
		n.m.cfg.Log.Errorf("%v", err)
		return false
	}
	if old != nil && old.Address == l.Address {
		n.m.cfg.Log.Debugf("lease %s on %s renewed", l.Address, name)
		n.m.mu.Lock()
		n.leases[false] = l
		n.m.mu.Unlock()
		return true
	}
	n.m.cfg.Log.Infof("lease %s on %s %.2f s after start", l.Address.Addr(), name, time.Since(n.m.cfg.Start).Seconds())
	n.offer(ctx, l)
	return true
}

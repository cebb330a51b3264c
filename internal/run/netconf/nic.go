package netconf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/rtnl"
)

// nic is one interface that the boot uses.
type nic struct {
	m      *Manager
	kernel string // the name it had first
	made   bool   // by us: a bond, bridge or VLAN
	named  bool   // by the command line
	cancel context.CancelFunc

	// Guarded by m.mu.
	link    rtnl.Link
	addrs   map[netip.Addr]rtnl.Addr6
	went    map[netip.Addr]bool // addresses that the kernel took away
	flags   uint32              // of IPv6
	ra      raOptions
	leases  map[bool]*Lease // by Is6
	state   func() string   // what it waits for
	changed chan struct{}   // closed and replaced at every change
	cables  []chan struct{} // each gets a value when the cable comes back
}

func (n *nic) name() string { return n.link.Name }

func (n *nic) mac() net.HardwareAddr { return n.link.MAC }

func (n *nic) names() names { return names{n.name(), n.kernel, n.mac().String()} }

// called is names for those who do not hold m.mu.
func (n *nic) called() names {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	return n.names()
}

func (n *nic) carrier() bool { return n.link.Carrier() }

// now is the link as the kernel last reported it.
func (n *nic) now() rtnl.Link {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	return n.link
}

// cable returns a channel that has a value whenever the cable came back.
func (n *nic) cable() <-chan struct{} {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	c := make(chan struct{}, 1)
	n.cables = append(n.cables, c)
	return c
}

// notify wakes those who wait for a change. m.mu is held.
func (n *nic) notify() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// say notes what the NIC is at.
func (n *nic) say(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	n.note(func() string { return text })
}

func (n *nic) note(f func() string) {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	n.state = func() string {
		if n.carrier() || !n.link.Up() {
			return f()
		}
		return "no carrier (cable?)"
	}
}

// until waits until ok, which is called with m.mu held. A limit of 0 is none.
func (n *nic) until(ctx context.Context, limit time.Duration, ok func() bool) bool {
	var end <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		end = t.C
	}
	for {
		n.m.mu.Lock()
		good, changed := ok(), n.changed
		n.m.mu.Unlock()
		if good {
			return true
		}
		select {
		case <-changed:
		case <-end:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// run brings one interface up and keeps it.
func (n *nic) run(ctx context.Context, j job) {
	l, cfg := n.now(), n.m.cfg
	name := l.Name
	if j.ip.MAC != "" {
		if mac, err := net.ParseMAC(strings.ReplaceAll(j.ip.MAC, "-", ":")); err == nil {
			if err := rtnl.SetMAC(l.Index, mac); err != nil {
				cfg.Log.Warnf("set MAC %s on %s: %v", mac, name, err)
			}
		}
	}
	if j.ip.MTU > 0 {
		if err := rtnl.SetMTU(l.Index, j.ip.MTU); err != nil {
			cfg.Log.Warnf("set MTU %d on %s: %v", j.ip.MTU, name, err)
		}
	}
	if j.master != nil {
		n.join(ctx, j.master)
		return
	}
	n.prepare6(j)
	if err := rtnl.Set(l.Index, true); err != nil {
		n.say("cannot be brought up: %v", err)
		cfg.Log.Warnf("bring %s up: %v", name, err)
		return
	}
	for _, v := range n.m.plan.vlansOf(n.called()) {
		if err := n.m.makeVirtual(&v, l.Index); err != nil {
			cfg.Log.Errorf("%v", err)
		}
	}
	if j.bare {
		n.say("carries other interfaces")
		return
	}
	n.say("no carrier (cable?)")
	if !n.until(ctx, 0, n.carrier) {
		return
	}
	cfg.Log.Debugf("%s: carrier %.3f s after start", name, time.Since(cfg.Start).Seconds())
	if !j.named && cfg.BootMAC != "" && !n.called().has(cfg.BootMAC) {
		n.say("waits for the NIC that netbooted (%s)", cfg.BootMAC)
		if !sleep(ctx, headStart) {
			return
		}
	}
	n.methods(ctx, j.ip)
}

// methods tries the methods of an ip= word in their order, as dracut does: each
// is carried out, so that "dhcp,dhcp6" is both families; a static address after
// dhcp is for the case that dhcp failed.
func (n *nic) methods(ctx context.Context, ip cmdline.IP) {
	for ctx.Err() == nil {
		begin := time.Now()
		for _, method := range ip.Methods {
			limit := time.Duration(0) // the only method is tried until the boot gives up
			if len(ip.Methods) > 1 {
				limit = n.m.cfg.Limits.DHCP * time.Duration(max(n.m.cfg.Limits.Retries, 1))
			}
			switch method {
			case "dhcp", "on", "any", "single-dhcp":
				n.dhcp4(ctx, ip, limit)
			case "none", "off":
				if !n.has(ip.Client.Is6()) {
					n.static(ctx, ip)
				}
			case "auto6":
				if len(ip.Methods) > 1 {
					limit = n.m.cfg.Limits.Auto
				}
				n.auto6(ctx, limit)
			case "dhcp6":
				n.dhcp6(ctx, ip, limit)
			case "either6":
				if !n.auto6(ctx, n.m.cfg.Limits.Auto) {
					n.dhcp6(ctx, ip, limit)
				}
			case "link6":
				n.link6(ctx)
			}
		}
		if n.has(false) || n.has(true) {
			return
		}
		// Methods that fail at once must not make a loop that runs hot.
		if !sleep(ctx, max(0, 5*time.Second-time.Since(begin))) {
			return
		}
	}
}

func (n *nic) has(six bool) bool {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	return n.leases[six] != nil
}

// dhcp4 asks for a lease and, once there is one, keeps it in the background. A
// limit of 0 is none.
func (n *nic) dhcp4(ctx context.Context, ip cmdline.IP, limit time.Duration) bool {
	l := n.now()
	conn, err := open4(l.Name, l.Index, l.MAC)
	if err != nil {
		n.say("%v", err)
		return false
	}
	got := make(chan struct{}, 1)
	cctx, stop := context.WithCancel(ctx)
	c := Client{Conn: conn, MAC: l.MAC, Host: ip.Host, Class: n.m.cfg.Class, Debugf: n.m.cfg.Log.Debugf, Note: n.note, Verify: n.cable(),
		Check: func(ctx context.Context, a netip.Addr) string {
			return inUse(ctx, l.Name, l.Index, l.MAC, a)
		},
		OnLease: func(lease *Lease) {
			n.leased(ctx, ip, lease)
			select {
			case got <- struct{}{}:
			default:
			}
		}}
	n.m.wg.Add(1)
	go func() {
		defer n.m.wg.Done()
		defer stop()
		defer conn.Close()
		_ = c.Run(cctx) // it ends with its context
	}()
	var end <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		end = t.C
	}
	select {
	case <-got:
		return true
	case <-end:
		stop()
		n.gaveUp("DHCP")
	case <-ctx.Done():
	}
	return false
}

// gaveUp says what a method came to after which another is tried.
func (n *nic) gaveUp(method string) {
	n.m.mu.Lock()
	why := n.state()
	n.m.mu.Unlock()
	n.m.cfg.Log.Warnf("%s: %s; %s is given up for now", n.now().Name, why, method)
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
	if peer, err := netip.ParseAddr(ip.Peer); err == nil {
		l.NextServ = peer
	}
	c := config{addr: l.Address, gateway: ip.Gateway, routes: n.extra(), metric: metricBase + link.Index}
	if err := apply(link, c); err != nil {
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

// leased puts a DHCPv4 lease on the NIC, or takes it off.
func (n *nic) leased(ctx context.Context, ip cmdline.IP, l *Lease) {
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
		return
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
	if err := apply(link, c); err != nil {
		n.say("%v", err)
		n.m.cfg.Log.Errorf("%v", err)
		return
	}
	if old != nil && old.Address == l.Address {
		n.m.cfg.Log.Debugf("lease %s on %s renewed", l.Address, name)
		n.m.mu.Lock()
		n.leases[false] = l
		n.m.mu.Unlock()
		return
	}
	n.m.cfg.Log.Infof("lease %s on %s %.2f s after start", l.Address.Addr(), name, time.Since(n.m.cfg.Start).Seconds())
	n.offer(ctx, l)
}

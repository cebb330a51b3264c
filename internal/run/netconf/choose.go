package netconf

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/rtnl"
)

// offer notes an address of the NIC, and makes the NIC the boot's network if it
// is the first from which the server answers.
func (n *nic) offer(ctx context.Context, l *Lease) {
	n.m.mu.Lock()
	if ctx.Err() != nil { // it gave way meanwhile
		n.m.mu.Unlock()
		flush(n.now(), l.Address)
		return
	}
	n.leases[l.Address.Addr().Is6()] = l
	n.notify()
	n.m.notify()
	n.m.mu.Unlock()
	n.m.resolver() // the server may be given by name
	n.m.wg.Add(1)
	go func() {
		defer n.m.wg.Done()
		n.say("has %s", l.Address)
		if n.m.decided() || !n.reach(ctx) {
			return
		}
		n.m.yield(ctx, n)
		n.win(ctx, l)
	}()
}

// reach waits until the server answers by way of this NIC.
func (n *nic) reach(ctx context.Context) bool {
	if n.m.cfg.Probe == "" {
		return true
	}
	name := n.now().Name
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := n.m.connect(ctx, name, n.m.cfg.Probe)
		if err == nil {
			return true
		}
		n.say("has %s but %s does not answer: %v", n.addresses(), n.m.cfg.Probe, err)
		if !sleep(ctx, wait) || n.m.decided() {
			return false
		}
	}
}

func (n *nic) addresses() string {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	var out []string
	for _, six := range []bool{false, true} {
		if l := n.leases[six]; l != nil {
			out = append(out, l.Address.String())
		}
	}
	return strings.Join(out, " and ")
}

// yield lets the NIC that the boot prefers be first: for as long as it may
// still come up, and has a cable.
func (m *Manager) yield(ctx context.Context, n *nic) {
	dev := m.cfg.BootMAC
	if dev == "" {
		dev = m.cfg.Net.BootDev
	}
	if dev == "" || n.called().has(dev) || n.made {
		return
	}
	end := time.NewTimer(m.cfg.Limits.Up)
	defer end.Stop()
	short := time.NewTimer(time.Until(m.begin.Add(headStart)))
	defer short.Stop()
	late := false
	for {
		m.mu.Lock()
		p, changed, done := m.find(dev), m.changed, m.won != nil
		cable := p != nil && p.carrier()
		m.mu.Unlock()
		if done || late && !cable {
			return
		}
		select {
		case <-changed:
		case <-short.C:
			late = true
		case <-end.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// win makes the NIC the boot's network, unless another is.
func (n *nic) win(ctx context.Context, l *Lease) {
	m := n.m
	m.mu.Lock()
	if m.won != nil || ctx.Err() != nil {
		m.mu.Unlock()
		return
	}
	m.won = n
	m.notify()
	var losers []*nic
	for _, o := range m.nics {
		if o != n && !o.named {
			losers = append(losers, o)
		}
	}
	r := Result{Device: n.name(), MAC: n.mac().String(), Lease: *l, Static: l.Method == "static"}
	m.mu.Unlock()
	// The others give way: two default routes would make chance decide.
	for _, o := range losers {
		o.giveWay(r.Device)
	}
	m.resolver()
	if h := l.Host; h != "" {
		if err := m.cfg.host([]byte(h)); err != nil {
			m.cfg.Log.Warnf("set host name %q: %v", h, err)
		}
	}
	if err := rdconf.WriteFile(filepath.Join(m.cfg.root, "run/bareroot/net", r.Device+".json"), r); err != nil {
		m.cfg.Log.Warnf("%v", err)
	}
	n.say("up with %s", n.addresses())
	m.up <- r
}

// giveWay leaves the NIC as it was found.
func (n *nic) giveWay(to string) {
	n.letGo()
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	// Whatever its cable is at: the kernel has yet to tell us that it is off.
	n.state = func() string { return "gave way to " + to }
}

// letGo ends what is done with the NIC, takes its addresses off and switches it off.
func (n *nic) letGo() {
	n.cancel()
	n.m.mu.Lock()
	n.over = true
	link, addrs := n.link, []netip.Prefix(nil)
	for _, l := range n.leases {
		addrs = append(addrs, l.Address)
	}
	clear(n.leases)
	n.m.mu.Unlock()
	flush(link, addrs...)
	if err := rtnl.Set(link.Index, false); err != nil {
		n.m.cfg.Log.Debugf("set %s down: %v", link.Name, err)
	}
}

func (m *Manager) decided() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.won != nil
}

// resolver writes /etc/resolv.conf from the command line and what the NICs
// learned, the winner's first.
func (m *Manager) resolver() {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := m.resolvConf()
	if text == m.resolv {
		return
	}
	if err := writeResolv(m.cfg.root, text); err != nil {
		m.cfg.Log.Warnf("%v", err)
		return
	}
	m.resolv = text
}

// resolvConf is resolv.conf(5). m.mu is held.
func (m *Manager) resolvConf() string {
	nics := make([]*nic, 0, 4)
	for _, n := range m.nics {
		if len(n.leases) > 0 {
			nics = append(nics, n)
		}
	}
	slices.SortFunc(nics, func(a, b *nic) int {
		if a == m.won || b == m.won {
			return map[bool]int{true: -1, false: 1}[a == m.won]
		}
		return a.link.Index - b.link.Index
	})
	servers := slices.Clone(m.cfg.Net.DNS)
	var search []string
	for _, n := range nics {
		for _, six := range []bool{false, true} {
			l := n.leases[six]
			if l == nil {
				continue
			}
			if l.Method == "static" || m.cfg.Net.PeerDNS {
				servers = append(servers, l.DNS...)
			}
			if l.Domain != "" {
				search = append(search, l.Domain)
			}
			search = append(search, l.Search...)
			if six && m.cfg.Net.PeerDNS {
				servers = append(servers, n.ra.dns...)
				search = append(search, n.ra.search...)
			}
		}
	}
	return resolvConf(servers, search)
}

func resolvConf(servers []netip.Addr, search []string) string {
	var b strings.Builder
	if search = unique(search); len(search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search[:min(len(search), 6)], " "))
	}
	servers = unique(servers)
	for _, s := range servers[:min(len(servers), 3)] { // the resolver reads no more
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	return b.String()
}

// unique drops what was there before; the order stays.
func unique[T comparable](in []T) []T {
	var out []T
	for _, v := range in {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

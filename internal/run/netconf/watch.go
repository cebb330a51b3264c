package netconf

import (
	"context"
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// watch follows the kernel's reports until ctx ends. What was lost is made up
// for by looking at everything once.
func (m *Manager) watch(ctx context.Context) {
	m.resync(ctx)
	buf := make([]byte, 256<<10)
	for {
		events, err := m.sock.read(ctx, buf)
		if errors.Is(err, errLost) {
			m.cfg.Log.Debugf("%v; all are looked at again", err)
			m.resync(ctx)
			continue
		}
		if err != nil {
			if ctx.Err() == nil {
				m.cfg.Log.Errorf("%v", err)
			}
			return
		}
		for _, e := range events {
			m.handle(ctx, e)
		}
	}
}

// resync takes stock of all links and their IPv6 addresses.
func (m *Manager) resync(ctx context.Context) {
	links, err := retry(netlink.LinkList)
	if err != nil {
		m.cfg.Log.Errorf("list network interfaces: %v", err)
		return
	}
	there := map[int]bool{}
	for _, l := range links {
		there[l.Attrs().Index] = true
		m.handle(ctx, event{index: l.Attrs().Index, link: l})
	}
	m.mu.Lock()
	var gone []int
	for i := range m.nics {
		if !there[i] {
			gone = append(gone, i)
		}
	}
	m.mu.Unlock()
	for _, i := range gone {
		m.handle(ctx, event{index: i, gone: true})
	}
	addrs, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V6) })
	if err != nil {
		return // a kernel without IPv6
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP.To16()); ok {
			bits, _ := a.Mask.Size()
			m.handle(ctx, event{index: a.LinkIndex, addr: &addr6{netip.PrefixFrom(ip, bits), uint32(a.Flags)}})
		}
	}
}

// handle takes one report in.
func (m *Manager) handle(ctx context.Context, e event) {
	m.mu.Lock()
	n := m.nics[e.index]
	if n == nil {
		m.mu.Unlock()
		if e.link != nil {
			m.appeared(ctx, e.link)
		}
		return
	}
	switch {
	case e.gone:
		n.cancel()
		delete(m.nics, e.index)
		m.cfg.Log.Debugf("%s is gone", n.name())
	case e.link != nil:
		had := n.carrier()
		n.link = e.link
		if now := n.carrier(); now != had {
			m.cfg.Log.Debugf("%s: carrier %v", n.name(), now)
			for _, c := range n.cables {
				if now {
					select {
					case c <- struct{}{}: // it may be in another network now
					default:
					}
				}
			}
		}
	case e.addr != nil:
		n.addrs[e.addr.prefix.Addr()] = *e.addr
	case e.lost.IsValid():
		delete(n.addrs, e.lost)
	case e.flags != nil:
		n.flags = *e.flags
	case e.ra != nil:
		n.ra.merge(*e.ra)
	}
	n.notify()
	m.notify()
	dns := e.ra != nil && n.leases[true] != nil
	m.mu.Unlock()
	if dns {
		m.resolver()
	}
}

// appeared is for a link that was not known yet.
func (m *Manager) appeared(ctx context.Context, l netlink.Link) {
	name, index := l.Attrs().Name, l.Attrs().Index
	n := &nic{m: m, link: l, kernel: name, addrs: map[netip.Addr]addr6{}, leases: map[bool]*Lease{}, changed: make(chan struct{})}
	for i := range m.plan.virts {
		if v := &m.plan.virts[i]; v.name == name && v.kind == l.Type() {
			n.made = true
		}
	}
	if !n.made {
		if !m.cfg.nic(l) {
			return
		}
		m.rename(l)
	}
	j, ok := m.plan.job(n.names(), n.made)
	if !ok {
		m.cfg.Log.Debugf("%s (%s): the command line does not ask for it", l.Attrs().Name, l.Attrs().HardwareAddr)
		return
	}
	var nctx context.Context
	nctx, n.cancel = context.WithCancel(ctx)
	n.named = j.named
	m.mu.Lock()
	m.nics[index] = n
	m.notify()
	m.mu.Unlock()
	m.wg.Add(1)
	go func() { defer m.wg.Done(); n.run(nctx, j) }()
}

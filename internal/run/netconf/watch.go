package netconf

import (
	"context"
	"errors"
	"net/netip"

	"bareroot/internal/run/rtnl"
)

// watch follows the kernel's reports until ctx ends. What was lost is made up
// for by looking at everything once.
func (m *Manager) watch(ctx context.Context) {
	m.resync(ctx)
	buf := make([]byte, 256<<10)
	for {
		events, err := m.sock.Read(ctx, buf)
		if errors.Is(err, rtnl.ErrLost) {
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
	links, err := rtnl.Links()
	if err != nil {
		m.cfg.Log.Errorf("%v", err)
		return
	}
	there := map[int]bool{}
	for _, l := range links {
		there[l.Index] = true
		m.handle(ctx, rtnl.Event{Index: l.Index, Link: &l})
	}
	addrs, err := rtnl.Addrs6()
	has := map[int]map[netip.Addr]bool{}
	for _, a := range addrs {
		m.handle(ctx, rtnl.Event{Index: a.Index, Addr: &a})
		if has[a.Index] == nil {
			has[a.Index] = map[netip.Addr]bool{}
		}
		has[a.Index][a.Prefix.Addr()] = true
	}
	if err != nil {
		m.cfg.Log.Debugf("%v", err) // a kernel without IPv6
	}
	var gone []rtnl.Event
	m.mu.Lock()
	for i, n := range m.nics {
		if !there[i] {
			gone = append(gone, rtnl.Event{Index: i, Gone: true})
			continue
		}
		for a := range n.addrs {
			if !has[i][a] && err == nil {
				gone = append(gone, rtnl.Event{Index: i, Lost: a})
			}
		}
	}
	m.mu.Unlock()
	for _, e := range gone {
		m.handle(ctx, e)
	}
}

// handle takes one report in.
func (m *Manager) handle(ctx context.Context, e rtnl.Event) {
	m.mu.Lock()
	n := m.nics[e.Index]
	if n == nil {
		m.mu.Unlock()
		if e.Link != nil {
			m.appeared(ctx, *e.Link)
		}
		return
	}
	switch {
	case e.Gone:
		n.cancel()
		delete(m.nics, e.Index)
		m.cfg.Log.Debugf("%s is gone", n.name())
	case e.Link != nil:
		had, flips := n.carrier(), n.link.Flips
		n.link = *e.Link
		now := n.carrier()
		if now != had {
			m.cfg.Log.Debugf("%s: carrier %v", n.name(), now)
		}
		// Out and in again within a second is one report of the kernel's.
		if now && (!had || n.link.Flips != flips) {
			for _, c := range n.cables {
				select {
				case c <- struct{}{}: // it may be in another network now
				default:
				}
			}
		}
	case e.Addr != nil:
		n.addrs[e.Addr.Prefix.Addr()] = *e.Addr
	case e.Lost.IsValid():
		delete(n.addrs, e.Lost)
		n.went[e.Lost] = true
	case e.Flags != nil:
		n.flags = *e.Flags
	case e.ND != nil:
		n.ra.merge(parseRA(e.ND))
	}
	n.notify()
	m.notify()
	dns := e.ND != nil && n.leases[true] != nil
	m.mu.Unlock()
	if dns {
		m.resolver()
	}
}

// appeared is for a link that was not known yet.
func (m *Manager) appeared(ctx context.Context, l rtnl.Link) {
	name, index := l.Name, l.Index
	n := &nic{m: m, link: l, kernel: name, addrs: map[netip.Addr]rtnl.Addr6{}, went: map[netip.Addr]bool{}, leases: map[bool]*Lease{}, changed: make(chan struct{})}
	for _, v := range m.plan.virts {
		if v.name == name && v.kind == l.Kind {
			n.made = true
		}
	}
	if !n.made {
		if !m.cfg.nic(l) {
			return
		}
		l.Name = m.rename(l)
		n.link = l
	}
	j, ok := m.plan.job(n.names(), n.made)
	if !ok {
		m.cfg.Log.Debugf("%s (%s): the command line does not ask for it", l.Name, l.MAC)
		return
	}
	var nctx context.Context
	nctx, n.cancel = context.WithCancel(ctx)
	n.named = j.named
	m.mu.Lock()
	m.nics[index] = n
	if won := m.won; won != nil && m.nics[won.link.Index] == won && !j.named { // it cannot win any more
		n.over = true
		n.state = func() string { return "gave way to " + won.name() }
	}
	late := n.over
	m.notify()
	m.mu.Unlock()
	if late {
		return
	}
	m.wg.Add(1)
	go func() { defer m.wg.Done(); n.run(nctx, j) }()
}

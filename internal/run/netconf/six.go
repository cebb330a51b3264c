package netconf

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/rtnl"
)

// prepare6 sets how the kernel does IPv6 on the NIC, before it is up.
func (n *nic) prepare6(j job) {
	has := func(m ...string) bool {
		return slices.ContainsFunc(j.ip.Methods, func(s string) bool { return slices.Contains(m, s) })
	}
	if !has("auto6", "either6", "dhcp6", "link6") {
		return
	}
	// The first solicitation goes out at once and is soon repeated: a switch's
	// port may not pass packets yet.
	set := map[string]string{"disable_ipv6": "0", "accept_ra": "1", "autoconf": "1", "router_solicitation_delay": "0", "router_solicitation_interval": "1"}
	switch {
	case has("auto6", "either6"):
	case has("dhcp6"):
		set["autoconf"] = "0" // the route comes from the router, the address does not
	default:
		set["accept_ra"] = "0"
	}
	dir := filepath.Join("/proc/sys/net/ipv6/conf", n.now().Name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		n.m.cfg.Load("ipv6")
	}
	for _, key := range []string{"router_solicitation_delay", "router_solicitation_interval", "autoconf", "accept_ra", "disable_ipv6"} {
		if err := os.WriteFile(filepath.Join(dir, key), []byte(set[key]), 0o644); err != nil {
			n.m.cfg.Log.Warnf("set up IPv6: %v", err)
			return
		}
	}
}

// settled waits until the kernel has found that nobody else has an address.
func (n *nic) settled(ctx context.Context, a netip.Addr) bool {
	var state rtnl.Addr6
	used := false
	ok := n.until(ctx, n.m.cfg.Limits.DAD, func() bool {
		var there bool
		state, there = n.addrs[a]
		// The kernel takes an address with a lifetime away, others it marks.
		used = !there && n.went[a] || state.Flags&unix.IFA_F_DADFAILED != 0
		return used || there && state.Flags&unix.IFA_F_TENTATIVE == 0
	})
	switch {
	case !ok && ctx.Err() == nil:
		n.say("%s was not usable after %s", a, n.m.cfg.Limits.DAD)
		return false
	case ok && used:
		n.inUse6(a)
		return false
	}
	return ok
}

// inUse6 says that somebody else has an address.
func (n *nic) inUse6(a netip.Addr) {
	n.say("the address %s is already used by somebody else", a)
	n.m.cfg.Log.Errorf("%s: the address %s is already used by somebody else", n.now().Name, a)
}

// linkLocal waits for the link-local address, without which nothing else goes.
func (n *nic) linkLocal(ctx context.Context) (netip.Prefix, bool) {
	var got, used netip.Prefix
	n.say("no link-local IPv6 address yet")
	ok := n.until(ctx, n.m.cfg.Limits.DAD, func() bool {
		for a, s := range n.addrs {
			switch {
			case !a.IsLinkLocalUnicast():
			case s.Flags&unix.IFA_F_DADFAILED != 0:
				used = s.Prefix
			case s.Flags&unix.IFA_F_TENTATIVE == 0:
				got = s.Prefix
			}
		}
		return got.IsValid() || used.IsValid()
	})
	if ok && !got.IsValid() {
		n.inUse6(used.Addr()) // two NICs with one MAC?
		return got, false
	}
	return got, ok
}

// link6 is content with the link-local address.
func (n *nic) link6(ctx context.Context) bool {
	a, ok := n.linkLocal(ctx)
	if ok {
		n.came(ctx, &Lease{Method: "link6", Address: a, Obtained: time.Now()})
	}
	return ok
}

// auto6 waits for an address that the kernel makes from a router's
// advertisement. A limit of 0 is none.
func (n *nic) auto6(ctx context.Context, limit time.Duration) bool {
	n.say("no router has advertised an IPv6 prefix yet")
	n.m.mu.Lock()
	clear(n.went)
	n.m.mu.Unlock()
	var got netip.Prefix
	var used netip.Addr
	// What the kernel makes it tells of when nobody else has it. If somebody has, it
	// only tells that it is gone.
	taken := func() bool {
		for a := range n.went {
			if _, there := n.addrs[a]; !there && a.IsGlobalUnicast() {
				used = a
			}
		}
		return used.IsValid()
	}
	// A router that says "addresses are by DHCPv6" may still have a prefix for us,
	// which then is there within the same instant.
	if !n.until(ctx, limit, func() bool { return n.auto(0).IsValid() || taken() || n.flags&ifRAManaged != 0 }) {
		return false
	}
	if !n.until(ctx, time.Second, func() bool { return n.auto(0).IsValid() || taken() }) && limit > 0 {
		n.say("the router leaves IPv6 addresses to DHCPv6")
		return false
	}
	if !n.until(ctx, n.m.cfg.Limits.DAD, func() bool { got = n.auto(unix.IFA_F_TENTATIVE); return got.IsValid() || taken() }) {
		n.say("no IPv6 address was usable after %s", n.m.cfg.Limits.DAD)
		return false
	}
	if !got.IsValid() {
		n.inUse6(used)
		return false
	}
	l := &Lease{Method: "auto6", Address: got, Obtained: time.Now()}
	n.m.mu.Lock()
	other := n.flags&(ifRAOther|ifRAManaged) != 0
	n.m.mu.Unlock()
	if other {
		n.more(ctx, l)
	}
	n.came(ctx, l)
	return true
}

// auto is an address of the kernel's making that has none of the flags. m.mu is held.
func (n *nic) auto(not uint32) netip.Prefix {
	for a, s := range n.addrs {
		if a.IsGlobalUnicast() && s.Prefix.Bits() < 128 && s.Flags&(not|unix.IFA_F_PERMANENT|unix.IFA_F_TEMPORARY|unix.IFA_F_DADFAILED|unix.IFA_F_DEPRECATED) == 0 {
			return s.Prefix
		}
	}
	return netip.Prefix{}
}

// more asks DHCPv6, in the background, for name servers and the like.
func (n *nic) more(ctx context.Context, l *Lease) {
	n.m.wg.Add(1)
	go func() {
		defer n.m.wg.Done()
		c, done, err := n.client6()
		if err != nil {
			n.m.cfg.Log.Debugf("%v", err)
			return
		}
		defer done()
		more, err := c.inform(ctx)
		if err != nil {
			n.m.cfg.Log.Debugf("%s: %v", n.now().Name, err)
			return
		}
		n.m.mu.Lock()
		l.DNS, l.Search, l.NTP, l.BootFile = more.DNS, more.Search, more.NTP, more.BootFile
		n.m.mu.Unlock()
		n.m.resolver()
	}()
}

func (n *nic) client6() (*client6, func(), error) {
	l := n.fresh()
	conn, err := open6(l.Name, l.Index)
	if err != nil {
		return nil, nil, err
	}
	c := &client6{conn: conn, duid: duid(n.m.cfg.UUID, l.MAC), note: n.note, verify: n.cable(), debugf: n.m.cfg.Log.Debugf}
	if mac := l.MAC; len(mac) >= 4 {
		c.iaid = [4]byte(mac[len(mac)-4:])
	}
	return c, conn.close, nil
}

// dhcp6 asks for an address and, once there is one, keeps it in the background.
func (n *nic) dhcp6(ctx context.Context, ip cmdline.IP, limit time.Duration) bool {
	if _, ok := n.linkLocal(ctx); !ok {
		return false
	}
	c, done, err := n.client6()
	if err != nil {
		n.say("%v", err)
		return false
	}
	got := make(chan bool, 1)
	cctx, stop := context.WithCancel(ctx)
	c.onLease = func(l *lease6) (used bool) {
		used, err := n.leased6(ctx, ip, l)
		if l != nil && !used {
			select {
			case got <- err == nil:
			default:
			}
		}
		return used
	}
	n.m.wg.Add(1)
	go func() {
		defer n.m.wg.Done()
		defer stop()
		defer done()
		c.run(cctx)
	}()
	return n.await(ctx, got, limit, stop, "DHCPv6")
}

// leased6 puts a DHCPv6 address on the NIC, or takes it off. It says whether
// somebody else has the address.
func (n *nic) leased6(ctx context.Context, ip cmdline.IP, l *lease6) (used bool, err error) {
	link := n.now()
	name := link.Name
	n.m.mu.Lock()
	old := n.leases[true]
	n.m.mu.Unlock()
	if old != nil && old.Method == "dhcp6" && (l == nil || old.Address != l.Address) {
		n.m.cfg.Log.Warnf("the lease of %s on %s has ended", old.Address, name)
		flush(link, old.Address)
		n.m.mu.Lock()
		delete(n.leases, true)
		n.m.mu.Unlock()
	}
	if l == nil {
		n.say("lost its DHCPv6 lease")
		return false, nil
	}
	n.m.mu.Lock()
	delete(n.went, l.Address.Addr())
	n.m.mu.Unlock()
	if err := rtnl.SetAddr(link.Index, l.Address, l.preferred, l.Duration); err != nil {
		n.say("set address %s: %v", l.Address, err)
		n.m.cfg.Log.Errorf("set address %s on %s: %v", l.Address, name, err)
		return false, err
	}
	if !n.settled(ctx, l.Address.Addr()) {
		flush(link, l.Address)
		return ctx.Err() == nil, nil
	}
	if old != nil && old.Address == l.Address {
		n.m.cfg.Log.Debugf("lease %s on %s renewed", l.Address, name)
		n.m.mu.Lock()
		n.leases[true] = &l.Lease
		n.m.mu.Unlock()
		return false, nil
	}
	if ip.Host != "" {
		l.Host = ip.Host
	}
	n.came(ctx, &l.Lease)
	return false, nil
}

// came tells of an IPv6 address and makes it known, with the routes of rd.route=.
func (n *nic) came(ctx context.Context, l *Lease) {
	link := n.now()
	n.m.cfg.Log.Infof("address %s (%s) on %s %.2f s after start", l.Address, l.Method, link.Name, time.Since(n.m.cfg.Start).Seconds())
	for _, r := range n.extra() {
		if r.Dest.Addr().Is6() {
			if err := route(link, l.Address, r, metricBase+link.Index); err != nil {
				n.m.cfg.Log.Warnf("%v", err)
			}
		}
	}
	n.offer(ctx, l)
}

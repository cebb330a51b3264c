package netconf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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
	over    bool            // it was given back
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

// fresh is the link as it is now, whatever the kernel has yet to report.
func (n *nic) fresh() rtnl.Link {
	l := n.now()
	if now, err := rtnl.ByName(l.Name); err == nil && now.Index == l.Index {
		return now
	}
	return l
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
	if n.over {
		return
	}
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
	if !n.member(ctx) {
		return
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
	n.m.mu.Lock()
	over := n.over
	n.m.mu.Unlock()
	if over { // meanwhile, and is on again now
		_ = rtnl.Set(l.Index, false)
		return
	}
	for _, v := range n.m.plan.vlansOf(n.called()) {
		if err := n.m.makeVirtual(v, l.Index); err != nil {
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

// await waits for the first address of a method that runs in the background,
// at most limit (0 = without end). It stops the method then, and if the address
// cannot be used.
func (n *nic) await(ctx context.Context, got <-chan bool, limit time.Duration, stop func(), method string) bool {
	var end <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		end = t.C
	}
	select {
	case ok := <-got:
		if !ok {
			stop()
		}
		return ok
	case <-end:
		stop()
		n.gaveUp(method)
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

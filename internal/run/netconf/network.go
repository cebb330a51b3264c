// Package netconf brings the network of the ramdisk up as the command line
// says: which NICs, bonds, bridges and VLANs; static addresses, DHCPv4
// (RFC 2131), SLAAC and DHCPv6 (RFC 4862, 8415); routes and name servers.
// Every candidate NIC is tried at once, as soon as it exists and has a
// carrier; the first one from which the boot's server can be reached wins.
// Leases are renewed while the ramdisk lives, and handed to the root at its end.
//
// It waits for what the kernel reports and never looks again and again.
// Wireless networks are not for it.
package netconf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/run/rtnl"
)

// Config says what to bring up.
type Config struct {
	Net     cmdline.Network
	BootMAC string // the NIC that netbooted gets a head start
	Probe   string // host:port that the winning NIC must reach; "" = any address wins
	// Lookup finds the addresses of a name, for Probe.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Limits Limits
	Class  string              // vendor class for DHCP; "" = ours
	UUID   string              // of the machine, for DHCPv6
	Load   func(module string) // loads a kernel module; nil: all are in the kernel
	Log    *console.Log
	Start  time.Time // of PID 1, for messages

	Predictable bool // rename NICs as systemd's udev does

	root string                  // "/", where etc/resolv.conf and run are
	host func(name []byte) error // sets the host name
	nic  func(l rtnl.Link) bool  // which interfaces are hardware to use
}

// Limits are the words rd.net.timeout.* and rd.net.dhcp.retry.
type Limits struct {
	Carrier time.Duration // after which a missing carrier is said, and no longer waited for on a NIC that is not needed
	Up      time.Duration // for further NICs of ip= once the first is up
	DAD     time.Duration // duplicate address detection of IPv6
	Auto    time.Duration // a router's advertisement
	DHCP    time.Duration // DHCP, when something else is to be tried after it
	Retries int           // of DHCP in that case
}

// DefaultLimits are those of dracut, and 20 s for DHCP, where dracut leaves it to
// the client.
func DefaultLimits() Limits {
	return Limits{Carrier: 10 * time.Second, Up: 20 * time.Second, DAD: 50 * time.Second, Auto: 40 * time.Second, DHCP: 20 * time.Second, Retries: 1}
}

// Result is the network that came up.
type Result struct {
	Device string
	MAC    string
	Lease  Lease // also for static addresses
	Static bool
}

// metricBase keeps our routes behind those that a root's own network setup adds.
const metricBase = 1024

// headStart is how long the NIC that netbooted is tried alone.
const headStart = 5 * time.Second

// Manager keeps the network until Close.
type Manager struct {
	cfg    Config
	plan   *plan
	sock   *rtnl.Watch
	begin  time.Time
	cancel context.CancelFunc
	wg     sync.WaitGroup
	up     chan Result // the winner

	mu      sync.Mutex
	nics    map[int]*nic
	won     *nic
	resolv  string        // the resolv.conf that was written
	changed chan struct{} // closed and replaced when a NIC came or got an address
}

// Start begins to watch for NICs. It returns at once.
func Start(ctx context.Context, cfg Config) (*Manager, error) {
	if cfg.root == "" {
		cfg.root = "/"
	}
	if cfg.host == nil {
		cfg.host = unix.Sethostname
	}
	if cfg.nic == nil {
		cfg.nic = usableNIC
	}
	if cfg.Load == nil {
		cfg.Load = func(string) {}
	}
	m := &Manager{cfg: cfg, begin: time.Now(), up: make(chan Result, 1), nics: map[int]*nic{}, changed: make(chan struct{})}
	var notices []string
	m.plan, notices = newPlan(cfg.Net)
	for _, n := range notices {
		cfg.Log.Warnf("%s", n)
	}
	var err error
	if m.sock, err = rtnl.Open(); err != nil {
		return nil, err
	}
	if lo, err := rtnl.ByName("lo"); err == nil {
		_ = rtnl.Set(lo.Index, true) // a kernel without loopback boots, too
	}
	ctx, m.cancel = context.WithCancel(ctx)
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer m.sock.Close()
		for _, v := range m.plan.virts {
			if err := m.makeVirtual(v, 0); err != nil {
				cfg.Log.Errorf("%v", err)
			}
		}
		m.watch(ctx)
	}()
	return m, nil
}

// Close stops DHCP. Addresses stay for the root.
func (m *Manager) Close() {
	m.cancel()
	m.wg.Wait()
}

// Wait waits for the network at most limit. The error says what each NIC
// came to.
func (m *Manager) Wait(ctx context.Context, limit time.Duration) (Result, error) {
	t := time.NewTimer(limit)
	defer t.Stop()
	remind := time.NewTicker(max(m.cfg.Limits.Carrier, time.Second))
	defer remind.Stop()
	for {
		select {
		case r := <-m.up:
			m.others(ctx)
			return r, nil
		case <-ctx.Done():
			return Result{}, ctx.Err()
		case <-remind.C:
			m.cfg.Log.Infof("waiting for the network: %s", m.State())
		case <-t.C:
			select {
			case r := <-m.up: // in this very moment, or this program had to stand still
				return r, nil
			default:
			}
			return Result{}, fmt.Errorf("no network within %s: %s", limit, m.State())
		}
	}
}

// others waits a little for further interfaces that have an ip= of their own.
// One without a carrier is not worth it.
func (m *Manager) others(ctx context.Context) {
	t := time.NewTimer(m.cfg.Limits.Up)
	defer t.Stop()
	cable := time.NewTimer(time.Until(m.begin.Add(m.cfg.Limits.Carrier)))
	defer cable.Stop()
	patient := true
	for {
		m.mu.Lock()
		changed, missing := m.changed, m.missing(patient)
		m.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		select {
		case <-changed:
		case <-cable.C:
			patient = false
		case <-t.C:
			m.cfg.Log.Warnf("the boot goes on without %s: %s", strings.Join(missing, ", "), m.State())
			return
		case <-ctx.Done():
			return
		}
	}
}

// missing lists the interfaces of ip= words without an address; when not patient,
// only those with a carrier. m.mu is held.
func (m *Manager) missing(patient bool) []string {
	var out []string
	for _, ip := range m.cfg.Net.IPs {
		if ip.Device == "" {
			continue
		}
		n := m.find(ip.Device)
		switch {
		case n == nil && patient:
			out = append(out, ip.Device)
		case n != nil && len(n.leases) == 0 && (patient || n.carrier()):
			out = append(out, n.name())
		}
	}
	return out
}

// find is the interface that a name or MAC on the command line means. m.mu is held.
func (m *Manager) find(dev string) *nic {
	var best *nic
	for _, n := range m.nics {
		// A bond has the MAC of a member: the member is the one that was named.
		if n.names().has(dev) && (best == nil || !n.made) {
			best = n
		}
	}
	return best
}

// State says what each NIC is at.
func (m *Manager) State() string {
	m.mu.Lock()
	var out []string
	for _, n := range m.nics {
		if n.state != nil {
			out = append(out, n.name()+": "+n.state())
		}
	}
	for _, d := range m.plan.expected() {
		if m.find(d) == nil {
			out = append(out, d+": no such interface appeared")
		}
	}
	m.mu.Unlock()
	slices.Sort(out)
	if len(out) == 0 {
		return "no network interface was found (no driver in the ramdisk?)"
	}
	const most = 16
	if n := len(out) - most; n > 0 {
		out = append(out[:most], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, "; ")
}

// notify wakes those who wait for a change of any interface. m.mu is held.
func (m *Manager) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}

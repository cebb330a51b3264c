// Package netconf brings the network of the ramdisk up as the command line
// says: which NICs, static addresses or DHCPv4, routes, name servers. Every
// candidate NIC is tried at once, as soon as it exists and has a carrier; the
// first one from which the boot's server can be reached wins. The lease is
// renewed while the ramdisk lives. IPv6, bonds, bridges and VLANs are parsed
// by package cmdline but not configured here.
package netconf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Config says what to bring up.
type Config struct {
	Net     cmdline.Network
	BootMAC string        // the NIC that netbooted gets a head start
	Probe   string        // host:port that the winning NIC must reach; "" = any lease wins
	Carrier time.Duration // after which a missing carrier is said
	Log     *console.Log
	Start   time.Time // of PID 1, for messages

	Predictable bool // rename NICs as systemd's udev does
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
	cancel context.CancelFunc
	wg     sync.WaitGroup
	up     chan Result // the winner

	mu     sync.Mutex
	nics   map[int]*nic
	won    int // ifindex, 0 = none
	reason map[string]string
}

type nic struct {
	link    netlink.Link
	cancel  context.CancelFunc
	carrier chan struct{} // closed once there is one
	has     bool
}

// Start begins to watch for NICs. It returns at once.
func Start(ctx context.Context, cfg Config) (*Manager, error) {
	m := &Manager{cfg: cfg, up: make(chan Result, 1), nics: map[int]*nic{}, reason: map[string]string{}}
	ctx, m.cancel = context.WithCancel(ctx)
	updates := make(chan netlink.LinkUpdate, 64)
	done := make(chan struct{})
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		_ = netlink.LinkSetUp(lo)
	}
	opts := netlink.LinkSubscribeOptions{ListExisting: true, ErrorCallback: func(err error) { cfg.Log.Debugf("network events: %v", err) }}
	if err := netlink.LinkSubscribeWithOptions(updates, done, opts); err != nil {
		m.cancel()
		return nil, fmt.Errorf("watch network interfaces: %w", err)
	}
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case u, ok := <-updates:
				if !ok {
					return
				}
				m.update(ctx, u)
			}
		}
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
	remind := time.NewTicker(m.cfg.Carrier)
	defer remind.Stop()
	for {
		select {
		case r := <-m.up:
			return r, nil
		case <-ctx.Done():
			return Result{}, ctx.Err()
		case <-remind.C:
			m.cfg.Log.Infof("waiting for the network: %s", m.State())
		case <-t.C:
			return Result{}, fmt.Errorf("no network within %s: %s", limit, m.State())
		}
	}
}

// State says what each NIC is at.
func (m *Manager) State() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for n, r := range m.reason {
		out = append(out, n+": "+r)
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "no network interface was found (no driver in the ramdisk?)"
	}
	return strings.Join(out, "; ")
}

func (m *Manager) note(name, format string, a ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reason[name] = fmt.Sprintf(format, a...)
}

func (m *Manager) update(ctx context.Context, u netlink.LinkUpdate) {
	idx := int(u.Index)
	m.mu.Lock()
	n := m.nics[idx]
	if u.Header.Type == unix.RTM_DELLINK {
		if n != nil {
			n.cancel()
			delete(m.nics, idx)
		}
		m.mu.Unlock()
		return
	}
	carrier := u.IfInfomsg.Flags&unix.IFF_LOWER_UP != 0
	if n != nil {
		if carrier && !n.has {
			n.has = true
			close(n.carrier)
		}
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	if !usableNIC(u.Link) {
		return
	}
	m.rename(u.Link)
	ip, wanted := m.wanted(u.Link)
	if !wanted {
		m.cfg.Log.Debugf("%s (%s): the command line does not ask for it", u.Attrs().Name, u.Attrs().HardwareAddr)
		return
	}
	nctx, cancel := context.WithCancel(ctx)
	n = &nic{link: u.Link, cancel: cancel, carrier: make(chan struct{})}
	if carrier {
		n.has = true
		close(n.carrier)
	}
	m.mu.Lock()
	m.nics[idx] = n
	m.mu.Unlock()
	m.wg.Add(1)
	go func() { defer m.wg.Done(); m.run(nctx, n, ip) }()
}

// wanted finds the ip= word of a NIC; dhcp where none applies.
func (m *Manager) wanted(l netlink.Link) (cmdline.IP, bool) {
	dhcp := cmdline.IP{Methods: []string{"dhcp"}}
	var open *cmdline.IP
	for i, ip := range m.cfg.Net.IPs {
		if ip.Device == "" {
			open = &m.cfg.Net.IPs[i]
		} else if Is(l, ip.Device) {
			return ip, true
		}
	}
	if len(m.cfg.Net.Ifaces) == 0 {
		if open != nil {
			return *open, true
		}
		return dhcp, true
	}
	for _, d := range m.cfg.Net.Ifaces {
		if Is(l, d) {
			if open != nil {
				return *open, true
			}
			return dhcp, true
		}
	}
	return cmdline.IP{}, false
}

// Is says whether dev, a name or a MAC with colons or dashes, names the link.
func Is(l netlink.Link, dev string) bool {
	return l.Attrs().Name == dev || strings.EqualFold(l.Attrs().HardwareAddr.String(), strings.ReplaceAll(dev, "-", ":"))
}

// run brings one NIC up and keeps it.
func (m *Manager) run(ctx context.Context, n *nic, ip cmdline.IP) {
	name := n.link.Attrs().Name
	if ip.MAC != "" {
		if mac, err := net.ParseMAC(strings.ReplaceAll(ip.MAC, "-", ":")); err == nil {
			if err := netlink.LinkSetHardwareAddr(n.link, mac); err != nil {
				m.cfg.Log.Warnf("set MAC %s on %s: %v", mac, name, err)
			}
		}
	}
	if ip.MTU > 0 {
		if err := netlink.LinkSetMTU(n.link, ip.MTU); err != nil {
			m.cfg.Log.Warnf("set MTU %d on %s: %v", ip.MTU, name, err)
		}
	}
	if err := netlink.LinkSetUp(n.link); err != nil {
		m.note(name, "cannot be brought up: %v", err)
		m.cfg.Log.Warnf("bring %s up: %v", name, err)
		return
	}
	m.note(name, "no carrier (cable?)")
	select {
	case <-n.carrier:
	case <-ctx.Done():
		return
	}
	m.cfg.Log.Debugf("%s: carrier %.3f s after start", name, time.Since(m.cfg.Start).Seconds())
	if boot := m.cfg.BootMAC; boot != "" && !strings.EqualFold(boot, n.link.Attrs().HardwareAddr.String()) {
		m.note(name, "waits for the NIC that netbooted (%s)", boot)
		if !sleep(ctx, headStart) {
			return
		}
	}
	if ip.Static() {
		m.static(ctx, n, ip)
		return
	}
	if !slices.ContainsFunc(ip.Methods, func(s string) bool { return slices.Contains([]string{"dhcp", "on", "any", "single-dhcp"}, s) }) {
		m.note(name, "method %s is not carried out by this version", strings.Join(ip.Methods, ","))
		return
	}
	m.note(name, "no DHCP answer yet")
	conn, err := openRaw(name)
	if err != nil {
		m.note(name, "%v", err)
		return
	}
	defer conn.Close()
	c := Client{Conn: conn, MAC: n.link.Attrs().HardwareAddr, Debugf: m.cfg.Log.Debugf}
	c.OnLease = func(l *Lease) { m.leased(ctx, n, ip, l) }
	_ = c.Run(ctx)
}

func (m *Manager) static(ctx context.Context, n *nic, ip cmdline.IP) {
	l := &Lease{Address: netip.PrefixFrom(ip.Client, ip.Bits), Gateway: ip.Gateway, DNS: ip.DNS, Host: ip.Host, Obtained: time.Now()}
	if err := apply(n.link, config{addr: l.Address, gateway: ip.Gateway, routes: m.extra(n), metric: metricBase + n.link.Attrs().Index}); err != nil {
		m.note(n.link.Attrs().Name, "%v", err)
		m.cfg.Log.Errorf("%v", err)
		return
	}
	m.cfg.Log.Infof("address %s on %s %.2f s after start", l.Address, n.link.Attrs().Name, time.Since(m.cfg.Start).Seconds())
	m.offer(ctx, n, l, true)
}

// extra is rd.route= for the NIC.
func (m *Manager) extra(n *nic) []LeaseRoute {
	var out []LeaseRoute
	for _, r := range m.cfg.Net.Routes {
		if r.Device == "" || Is(n.link, r.Device) {
			out = append(out, LeaseRoute{r.Dest, r.Via})
		}
	}
	return out
}

// leased puts a lease on the NIC.
func (m *Manager) leased(ctx context.Context, n *nic, ip cmdline.IP, l *Lease) {
	name := n.link.Attrs().Name
	if l == nil {
		m.cfg.Log.Warnf("the lease on %s has ended; asking for a new one", name)
		flush(n.link)
		m.note(name, "lost its lease")
		return
	}
	m.mu.Lock()
	first := m.won != n.link.Attrs().Index
	m.mu.Unlock()
	c := config{addr: l.Address, lifetime: l.Duration, gateway: l.Gateway, routes: l.Routes, mtu: l.MTU}
	if len(l.Routes) > 0 {
		c.gateway = netip.Addr{} // RFC 3442: then option 3 is ignored
	}
	if ip.MTU > 0 {
		c.mtu = 0
	}
	c.metric = metricBase + n.link.Attrs().Index // several NICs may hold leases until one has won
	c.routes = append(c.routes, m.extra(n)...)
	if err := apply(n.link, c); err != nil {
		m.note(name, "%v", err)
		m.cfg.Log.Errorf("%v", err)
		return
	}
	if !first {
		m.cfg.Log.Debugf("lease %s on %s renewed", l.Address, name)
		return
	}
	m.cfg.Log.Infof("lease %s on %s %.2f s after start", l.Address.Addr(), name, time.Since(m.cfg.Start).Seconds())
	m.wg.Add(1)
	go func() { defer m.wg.Done(); m.offer(ctx, n, l, false) }()
}

// offer makes the NIC the boot's network if it is the first from which the
// server answers.
func (m *Manager) offer(ctx context.Context, n *nic, l *Lease, static bool) {
	name := n.link.Attrs().Name
	dns := slices.Clone(m.cfg.Net.DNS)
	if static || m.cfg.Net.PeerDNS {
		dns = append(dns, l.DNS...)
	}
	m.resolver(dns, l.Domain) // the server may be given by name
	for wait := 250 * time.Millisecond; m.cfg.Probe != ""; wait = min(2*wait, 5*time.Second) {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: l.Address.Addr().AsSlice()}}
		c, err := d.DialContext(ctx, "tcp", m.cfg.Probe)
		if err == nil {
			c.Close()
			break
		}
		m.note(name, "has %s but %s does not answer: %v", l.Address, m.cfg.Probe, err)
		if !sleep(ctx, wait) || m.decided() {
			break
		}
	}
	m.mu.Lock()
	if m.won != 0 || ctx.Err() != nil {
		m.mu.Unlock()
		return
	}
	m.won = n.link.Attrs().Index
	var losers []*nic
	if len(m.cfg.Net.IPs) < 2 {
		for _, o := range m.nics {
			if o != n {
				losers = append(losers, o)
			}
		}
	}
	m.mu.Unlock()
	// The others give way: two default routes would make chance decide.
	for _, o := range losers {
		o.cancel()
		flush(o.link)
	}
	m.resolver(dns, l.Domain)
	if h := l.Host; h != "" {
		if err := unix.Sethostname([]byte(h)); err != nil {
			m.cfg.Log.Warnf("set host name %q: %v", h, err)
		}
	}
	r := Result{Device: name, MAC: n.link.Attrs().HardwareAddr.String(), Lease: *l, Static: static}
	if err := rdconf.WriteFile("/run/bareroot/net/"+name+".json", r); err != nil {
		m.cfg.Log.Warnf("%v", err)
	}
	m.note(name, "up with %s", l.Address)
	m.up <- r
}

func (m *Manager) resolver(dns []netip.Addr, domain string) {
	if err := writeResolv("/", dns, domain); err != nil {
		m.cfg.Log.Warnf("%v", err)
	}
}

func (m *Manager) decided() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.won != 0
}

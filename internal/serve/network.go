package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"bareroot/internal/serve/config"
	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/netboot"
)

// network is a configured interface as found on this machine.
type network struct {
	config.Interface
	addr   netip.Addr   // ours
	prefix netip.Prefix // of addr
}

// findNetworks looks the configured interfaces up.
func findNetworks(cfg *Config) ([]network, error) {
	var out []network
	for _, c := range cfg.Interfaces {
		n, err := findNetwork(c)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func findNetwork(c config.Interface) (network, error) {
	ifi, err := net.InterfaceByName(c.Name)
	if err != nil {
		return network{}, fmt.Errorf("interface %s: there is none; this machine has %s", c.Name, interfaceNames())
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return network{}, fmt.Errorf("interface %s: %w", c.Name, err)
	}
	if ifi.Flags&net.FlagUp == 0 {
		return network{}, fmt.Errorf("interface %s is down; bring it up with: ip link set %s up", c.Name, c.Name)
	}
	n := network{Interface: c}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if c.Address == "" || c.Address == p.Addr().String() {
			n.addr, n.prefix = p.Addr(), p
			break
		}
	}
	if !n.addr.IsValid() {
		if c.Address != "" {
			return network{}, fmt.Errorf("interface %s has no address %s", c.Name, c.Address)
		}
		return network{}, fmt.Errorf("interface %s has no IPv4 address; give it one first", c.Name)
	}
	if c.DHCP == config.DHCPAuthoritative {
		first, last, err := c.Addrs()
		if err != nil {
			return network{}, fmt.Errorf("interface %s: %w", c.Name, err)
		}
		if !n.prefix.Contains(first) || !n.prefix.Contains(last) {
			return network{}, fmt.Errorf("interface %s: the range %s is not within its network %s", c.Name, c.Range, n.prefix.Masked())
		}
	}
	return n, nil
}

func interfaceNames() string {
	ifs, err := net.Interfaces()
	if err != nil {
		return "none that can be listed"
	}
	var names []string
	for _, i := range ifs {
		names = append(names, i.Name)
	}
	return strings.Join(names, ", ")
}

// startNetworks opens DHCP, TFTP and router advertisement on every network.
// Where it is to be the only DHCP server, others are looked for first.
func (s *server) startNetworks(ctx context.Context, g *errgroup.Group, nets []network, doors []net.Listener) error {
	if len(nets) == 0 {
		return nil
	}
	programs, err := netboot.FindPrograms(s.cfg.BootPrograms)
	if err != nil {
		return err
	}
	if err := s.refuseOthers(ctx, nets); err != nil {
		return err
	}
	for _, n := range nets {
		if err := s.startNetwork(ctx, g, n, programs, doors); err != nil {
			return err
		}
	}
	return nil
}

// refuseOthers probes all authoritative networks at once.
func (s *server) refuseOthers(ctx context.Context, nets []network) error {
	errs := make([]error, len(nets))
	var g errgroup.Group
	for i, n := range nets {
		if n.DHCP != config.DHCPAuthoritative {
			continue
		}
		g.Go(func() error {
			found, err := netboot.OtherServers(ctx, n.Name, []netip.Addr{n.addr}, netboot.ProbeTime)
			switch {
			case err != nil:
				errs[i] = err
			case len(found) > 0:
				errs[i] = fmt.Errorf("interface %s: another DHCP server answers there (%s); two servers would give machines contradicting addresses: set dhcp: proxy, or stop the other one", n.Name, join(found))
			}
			return nil
		})
	}
	_ = g.Wait() // the functions above return nil
	return errors.Join(errs...)
}

func join(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}

func (s *server) startNetwork(ctx context.Context, g *errgroup.Group, n network, programs netboot.Programs, doors []net.Listener) error {
	log := s.log.With("part", "netboot")
	if n.ServesTFTP() {
		t := &netboot.TFTP{Addr: netip.AddrPortFrom(n.addr, 69), Files: programs.Files, Log: log, Errors: s.tally}
		if err := t.Listen(ctx); err != nil {
			return err
		}
		s.listening(netboot.DoorTFTP, t.Addr.String())
		g.Go(func() error { return t.Serve(ctx, grace) })
	}
	if n.RA {
		r := &netboot.RA{Interface: n.Name, Log: log, Errors: s.tally}
		if err := r.Listen(ctx); err != nil {
			return err
		}
		s.listening(netboot.DoorRA, n.Name)
		g.Go(func() error { return r.Serve(ctx) })
	}
	if n.DHCP == config.DHCPOff {
		return nil
	}
	h, err := s.dhcpHandler(n, programs, doors)
	if err != nil {
		return err
	}
	for _, port := range []int{67, 4011} {
		d := &netboot.DHCP{Interface: n.Name, Addr: n.addr, Port: port, Handler: h, Log: log, Errors: s.tally}
		if err := d.Listen(ctx); err != nil {
			return err
		}
		s.listening(netboot.DoorDHCP, fmt.Sprintf("%s:%d (%s, %s)", n.addr, port, n.Name, n.DHCP))
		g.Go(func() error { return d.Serve(ctx) })
	}
	return nil
}

func (s *server) dhcpHandler(n network, programs netboot.Programs, doors []net.Listener) (netboot.DHCPHandler, error) {
	base := s.cfg.BaseURL
	if base == "" {
		for _, l := range doors {
			if a, ok := l.Addr().(*net.TCPAddr); ok && (a.IP.IsUnspecified() || a.IP.Equal(n.addr.AsSlice())) {
				base = fmt.Sprintf("http://%s:%d", n.addr, a.Port)
			}
		}
	}
	if base == "" {
		return nil, fmt.Errorf("interface %s: the provisioning door (http: %s) does not listen on its address %s; set base_url if machines there reach it by another", n.Name, s.cfg.HTTP, n.addr)
	}
	ptr := netboot.Pointers{Addr: n.addr, Script: base + "/boot/ipxe", Programs: programs.Names}
	if n.DHCP == config.DHCPProxy {
		return &netboot.Proxy{Pointers: ptr}, nil
	}
	first, last, err := n.Addrs()
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", n.Name, err)
	}
	a := &netboot.Authoritative{Pointers: ptr, Prefix: n.prefix}
	reserved := []netip.Addr{n.addr, n.prefix.Masked().Addr()}
	if n.Router != "" {
		a.Router = netip.MustParseAddr(n.Router) // checked with the configuration
		reserved = append(reserved, a.Router)
	}
	for _, d := range n.DNS {
		a.DNS = append(a.DNS, netip.MustParseAddr(d))
		reserved = append(reserved, netip.MustParseAddr(d))
	}
	reserved = append(reserved, broadcast(n.prefix))
	a.Pool, err = netboot.NewPool(netboot.PoolConfig{First: first, Last: last, TTL: n.Lease, File: leaseFile(s.cfg, n.Name), Reserved: reserved})
	return a, err
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// provisioningListeners opens the HTTP door: on the networks' addresses if
// the configuration names no host.
func (s *server) provisioningListeners(ctx context.Context, given []net.Listener, nets []network, open *closers) ([]net.Listener, error) {
	if len(given) > 0 {
		return given, nil
	}
	host, port, err := net.SplitHostPort(s.cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	addrs := []string{s.cfg.HTTP}
	if host == "" && len(nets) > 0 {
		addrs = nil
		for _, n := range nets {
			addrs = append(addrs, net.JoinHostPort(n.addr.String(), port))
		}
	}
	var out []net.Listener
	for _, a := range addrs {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", a)
		if err != nil {
			hint := ""
			if errors.Is(err, syscall.EADDRINUSE) {
				hint = "; another program has the port: stop it or set http"
			}
			return nil, fmt.Errorf("listen for HTTP on %s: %w%s", a, err, hint)
		}
		open.add(l)
		out = append(out, l)
	}
	return out, nil
}

func subnetsOf(cfg *config.Config) ([]inventory.Subnet, error) {
	var out []inventory.Subnet
	for _, n := range cfg.Subnets {
		p, err := n.Net()
		if err != nil {
			return nil, err
		}
		out = append(out, inventory.Subnet{Prefix: p, Cmdline: n.Cmdline, Locked: n.Locked, Modules: n.Modules, SSHKeys: n.SSHKeys})
	}
	return out, nil
}

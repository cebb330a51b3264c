package netconf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// retry repeats a netlink dump that the kernel interrupted because the table
// changed meanwhile.
func retry[T any](list func() (T, error)) (T, error) {
	var v T
	var err error
	for range 10 {
		v, err = list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
	return v, err
}

// NICs lists the interfaces that a ramdisk may use: Ethernet and InfiniBand
// hardware, no wireless.
func NICs() ([]netlink.Link, error) {
	links, err := retry(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []netlink.Link
	for _, l := range links {
		if usableNIC(l) {
			out = append(out, l)
		}
	}
	return out, nil
}

func usableNIC(l netlink.Link) bool {
	a := l.Attrs()
	if a.Flags&net.FlagLoopback != 0 || len(a.HardwareAddr) == 0 || a.MasterIndex != 0 {
		return false
	}
	dir := "/sys/class/net/" + a.Name
	if _, err := os.Stat(dir + "/device"); err != nil {
		return false
	}
	if _, err := os.Stat(dir + "/phy80211"); err == nil {
		return false
	}
	return !strings.HasPrefix(a.Name, "wwan")
}

// MACs lists the MAC addresses of the machine's NICs, first first.
func MACs(first string) []string {
	links, err := NICs()
	if err != nil {
		return nil
	}
	var out []string
	for _, l := range links {
		mac := l.Attrs().HardwareAddr.String()
		if mac == first {
			out = append([]string{mac}, out...)
		} else {
			out = append(out, mac)
		}
	}
	return out
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// config is what is put on a NIC.
type config struct {
	addr     netip.Prefix
	peer     netip.Prefix
	lifetime time.Duration // 0 = for ever
	gateway  netip.Addr
	routes   []LeaseRoute
	mtu      int
	metric   int
}

// apply configures a link. What is there already is replaced.
func apply(l netlink.Link, c config) error {
	name := l.Attrs().Name
	if c.mtu > 0 && c.mtu != l.Attrs().MTU {
		if err := netlink.LinkSetMTU(l, c.mtu); err != nil {
			return fmt.Errorf("set MTU %d on %s: %w", c.mtu, name, err)
		}
	}
	a := &netlink.Addr{IPNet: ipNet(c.addr), ValidLft: int(c.lifetime.Seconds()), PreferedLft: int(c.lifetime.Seconds())}
	if c.peer.IsValid() {
		a.Peer = ipNet(c.peer)
	}
	if err := netlink.AddrReplace(l, a); err != nil {
		return fmt.Errorf("set address %s on %s: %w", c.addr, name, err)
	}
	add := func(dest netip.Prefix, via netip.Addr) error {
		r := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(dest), Priority: c.metric}
		if via.IsValid() && !via.IsUnspecified() {
			r.Gw = via.AsSlice()
			if !c.addr.Contains(via) {
				r.Flags = int(netlink.FLAG_ONLINK)
			}
		} else {
			r.Scope = netlink.SCOPE_LINK
		}
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("set route %s via %s on %s: %w", dest, via, name, err)
		}
		return nil
	}
	if c.gateway.IsValid() && !c.gateway.IsUnspecified() {
		any4 := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if c.gateway.Is6() {
			any4 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := add(any4, c.gateway); err != nil {
			return err
		}
	}
	for _, r := range c.routes {
		if err := add(r.Dest, r.Via); err != nil {
			return err
		}
	}
	return nil
}

// flush takes the addresses off a link, and with them its routes.
func flush(l netlink.Link) {
	addrs, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) })
	if err != nil {
		return
	}
	for _, a := range addrs {
		_ = netlink.AddrDel(l, &a)
	}
}

// writeResolv makes /etc/resolv.conf below root.
func writeResolv(root string, servers []netip.Addr, domain string) error {
	var b strings.Builder
	if domain != "" {
		fmt.Fprintf(&b, "search %s\n", domain)
	}
	for i, s := range servers {
		if i < 3 { // the resolver reads no more
			fmt.Fprintf(&b, "nameserver %s\n", s)
		}
	}
	p := filepath.Join(root, "etc/resolv.conf")
	if err := os.WriteFile(p, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write name servers: %w", err)
	}
	return nil
}

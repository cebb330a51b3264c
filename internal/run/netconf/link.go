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
	if a.Flags&net.FlagLoopback != 0 || len(a.HardwareAddr) == 0 {
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
		if p := l.Attrs().PermHWAddr; len(p) > 0 {
			mac = p.String() // a member of a bond may have the bond's
		}
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
	life := int(min(c.lifetime, forever).Seconds())
	a := &netlink.Addr{IPNet: ipNet(c.addr), ValidLft: life, PreferedLft: life}
	if err := netlink.AddrReplace(l, a); err != nil {
		return fmt.Errorf("set address %s on %s: %w", c.addr, name, err)
	}
	if gw := c.gateway; gw.IsValid() && !gw.IsUnspecified() {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gw.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := route(l, c.addr, LeaseRoute{all, gw}, c.metric); err != nil {
			return err
		}
	}
	for _, r := range c.routes {
		// rd.route= may have both families; an address carries its own.
		if r.Dest.Addr().Is4() != c.addr.Addr().Is4() {
			continue
		}
		if err := route(l, c.addr, r, c.metric); err != nil {
			return err
		}
	}
	return nil
}

// route adds a route; own is an address of the link.
func route(l netlink.Link, own netip.Prefix, to LeaseRoute, metric int) error {
	r := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(to.Dest), Priority: metric}
	if to.Via.IsValid() && !to.Via.IsUnspecified() {
		r.Gw = to.Via.AsSlice()
		if !own.Contains(to.Via) && !to.Via.IsLinkLocalUnicast() {
			r.Flags = int(netlink.FLAG_ONLINK)
		}
	} else if to.Dest.Addr().Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("set route %s via %s on %s: %w", to.Dest, to.Via, l.Attrs().Name, err)
	}
	return nil
}

// flush takes addresses off a link, and with them their routes.
func flush(l netlink.Link, addrs ...netip.Prefix) {
	for _, a := range addrs {
		_ = netlink.AddrDel(l, &netlink.Addr{IPNet: ipNet(a)}) // it may have expired
	}
}

// writeResolv makes /etc/resolv.conf below root.
func writeResolv(root, text string) error {
	if err := os.WriteFile(filepath.Join(root, "etc/resolv.conf"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write name servers: %w", err)
	}
	return nil
}

package netconf

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/run/rtnl"
)

// NICs lists the interfaces that a ramdisk may use: Ethernet and InfiniBand
// hardware, no wireless.
func NICs() ([]rtnl.Link, error) {
	links, err := rtnl.Links()
	return slices.DeleteFunc(links, func(l rtnl.Link) bool { return !usableNIC(l) }), err
}

func usableNIC(l rtnl.Link) bool {
	if l.Flags&unix.IFF_LOOPBACK != 0 || len(l.MAC) == 0 {
		return false
	}
	dir := "/sys/class/net/" + l.Name
	if _, err := os.Stat(dir + "/device"); err != nil {
		return false
	}
	if _, err := os.Stat(dir + "/phy80211"); err == nil {
		return false
	}
	return !strings.HasPrefix(l.Name, "wwan")
}

// MACs lists the MAC addresses of the machine's NICs, first first. A member of
// a bond may have the bond's, so those that the NICs were made with count.
func MACs(first string) []string {
	links, err := NICs()
	if err != nil {
		return nil
	}
	var out []string
	for _, l := range links {
		mac := l.Permanent().String()
		if mac == first {
			out = append([]string{mac}, out...)
		} else {
			out = append(out, mac)
		}
	}
	return out
}

// config is what is put on a NIC.
type config struct {
	addr     netip.Prefix
	peer     netip.Prefix  // of a link to one machine; then addr has its length
	lifetime time.Duration // 0 = for ever
	gateway  netip.Addr
	routes   []LeaseRoute
	mtu      int
	metric   int
}

// apply configures a link. What is there already is replaced. Only without the
// address it has failed: a server's odd route or MTU must not end the boot.
func apply(l rtnl.Link, c config, warnf func(string, ...any)) error {
	if c.mtu > 0 && c.mtu != l.MTU {
		if err := rtnl.SetMTU(l.Index, c.mtu); err != nil {
			warnf("set MTU %d on %s: %v", c.mtu, l.Name, err)
		}
	}
	err := error(nil)
	if c.peer.IsValid() {
		err = rtnl.SetPeer(l.Index, c.addr.Addr(), c.peer)
	} else {
		err = rtnl.SetAddr(l.Index, c.addr, c.lifetime, c.lifetime)
	}
	if err != nil {
		return fmt.Errorf("set address %s on %s: %w", c.addr, l.Name, err)
	}
	routes := c.routes
	if gw := c.gateway; gw.IsValid() && !gw.IsUnspecified() {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gw.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		routes = append([]LeaseRoute{{all, gw}}, routes...)
	}
	for _, r := range routes {
		// rd.route= may have both families; an address carries its own.
		if r.Dest.Addr().Is4() != c.addr.Addr().Is4() {
			continue
		}
		if err := route(l, c.addr, r, c.metric); err != nil {
			warnf("%v", err)
		}
	}
	return nil
}

// route adds a route; own is an address of the link.
func route(l rtnl.Link, own netip.Prefix, to LeaseRoute, metric int) error {
	r := rtnl.Route{Index: l.Index, Dest: to.Dest, Via: to.Via, Metric: metric, OnLink: !own.Contains(to.Via) && !to.Via.IsLinkLocalUnicast()}
	if err := rtnl.SetRoute(r); err != nil {
		return fmt.Errorf("set route %s via %s on %s: %w", to.Dest, to.Via, l.Name, err)
	}
	return nil
}

// flush takes addresses off a link, and with them their routes.
func flush(l rtnl.Link, addrs ...netip.Prefix) {
	for _, a := range addrs {
		_ = rtnl.DelAddr(l.Index, a) // it may have expired
	}
}

// writeResolv makes /etc/resolv.conf below root.
func writeResolv(root, text string) error {
	if err := os.WriteFile(filepath.Join(root, "etc/resolv.conf"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write name servers: %w", err)
	}
	return nil
}

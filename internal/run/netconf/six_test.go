package netconf

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bareroot/internal/run/rtnl"
)

// TestIPv6 brings the network up by each method of IPv6 alone.
func TestIPv6(t *testing.T) {
	t.Parallel()
	const dns = "--dhcp-option=option6:dns-server,[fd01::53]"
	const search = "--dhcp-option=option6:domain-search,six.example"
	for name, c := range map[string]struct {
		line    string
		server  []string // dnsmasq's words; nil: no server
		address string   // or its beginning
		method  string
		resolv  string
	}{
		"auto6, name servers by the router": {"ip=eth0:auto6", []string{"--enable-ra", "--dhcp-range=fd01::,ra-only,64,1h", dns, search},
			"fd01::ff:fe00:10/64", "auto6", "search six.example\nnameserver fd01::53\n"},
		"auto6, the rest by DHCPv6": {"ip=eth0:auto6", []string{"--enable-ra", "--dhcp-range=fd01::,ra-stateless,64,1h", dns, search},
			"fd01::ff:fe00:10/64", "auto6", "search six.example\nnameserver fd01::53\n"},
		"dhcp6": {"ip=eth0:dhcp6", []string{"--enable-ra", "--dhcp-range=fd01::100,fd01::1ff,64,1h", dns, search},
			"fd01::1", "dhcp6", "search six.example\nnameserver fd01::53\n"},
		"either6 where the router leaves addresses to DHCPv6": {"ip=eth0:either6", []string{"--enable-ra", "--dhcp-range=fd01::100,fd01::1ff,64,1h", dns},
			"fd01::1", "dhcp6", "nameserver fd01::53\n"},
		"either6 where there are prefixes": {"ip=eth0:either6", []string{"--enable-ra", "--dhcp-range=fd01::,ra-only,64,1h"}, "fd01::ff:fe00:10/64", "auto6", ""},
		"link6":                            {"ip=link6 rd.neednet=1", nil, "fe80::", "link6", ""},
		"static":                           {"ip=[fd01::9]::[fd01::1]:64::eth0:none:[fd01::53]", nil, "fd01::9/64", "static", "nameserver fd01::53\n"},
		"rd.peerdns=0":                     {"ip=eth0:auto6 rd.peerdns=0", []string{"--enable-ra", "--dhcp-range=fd01::,ra-only,64,1h", dns}, "fd01::ff:fe00:10/64", "auto6", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if elsewhere(t) {
				return
			}
			w := wire(t)
			w.plug("eth0", mac0, "sw0")
			if c.server != nil {
				w.dnsmasq("sw0", "fd01::1/64", c.server...)
			}
			r := w.up(w.boot(c.line, func(c *Config) { c.UUID = "4c4c4544-0051-3510-8052-c4c04f4d3532" }))
			if got := r.Lease.Address.String(); !strings.HasPrefix(got, c.address) || r.Lease.Method != c.method {
				t.Errorf("%s by %s", got, r.Lease.Method)
			}
			if c.resolv != "" {
				w.eventually("resolv.conf", func() bool { return w.resolv() == c.resolv })
			} else if strings.Contains(w.log.String(), "53") {
				t.Log(w.log.String())
			}
		})
	}
}

// TestDualStack: both families on one NIC.
func TestDualStack(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.dnsmasq("sw0", "10.1.0.1/24 fd01::1/64", "--enable-ra", "--dhcp-range=10.1.0.50,10.1.0.50,255.255.255.0,1h", "--dhcp-range=fd01::100,fd01::100,64,1h")
	w.up(w.boot("ip=:::::eth0:dhcp,dhcp6"))
	w.eventually("both addresses", func() bool {
		return cmp.Equal(w.addresses("eth0"), []string{"10.1.0.50/24", "fd01::100/128"})
	})
}

// TestCable6: after the cable was out the address is confirmed; in another
// network it is given up for one of there.
func TestCable6(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw1")
	w.plug("spare", mac1, "sw2")
	first := w.dnsmasq("sw1", "fd01::1/64", "--enable-ra", "--dhcp-range=fd01::100,fd01::1ff,64,1h", "--dhcp-authoritative")
	w.dnsmasq("sw2", "fd02::1/64", "--enable-ra", "--dhcp-range=fd02::100,fd02::1ff,64,1h", "--dhcp-authoritative")
	m := w.boot("ip=eth0:dhcp6")
	w.up(m)
	before := w.addresses("eth0")
	w.unplug("eth0", true)
	w.eventually("the state says so", func() bool { return strings.Contains(m.State(), "eth0: no carrier (cable?)") })
	w.unplug("eth0", false)
	w.eventually("it was confirmed", func() bool { return strings.Contains(first.out.String(), "DHCPCONFIRM") })
	if d := cmp.Diff(before, w.addresses("eth0")); d != "" {
		t.Error(d)
	}
	w.unplug("eth0", true)
	w.there("ip link set p-eth0 master sw2")
	w.unplug("eth0", false)
	w.eventually("an address of the other network", func() bool {
		a := w.addresses("eth0")
		return len(a) == 1 && strings.HasPrefix(a[0], "fd02::")
	})
	if !w.said("the lease of " + before[0] + " on eth0 has ended") {
		t.Error("the end of the lease was not said")
	}
}

// TestResync: that an address went is seen though the report of it was lost.
func TestResync(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	m := w.boot("ip=link6 rd.neednet=1")
	r := w.up(m)
	gone := netip.MustParseAddr("fd01::9")
	m.mu.Lock()
	n := m.find("eth0")
	n.addrs[gone] = rtnl.Addr6{Index: n.link.Index, Prefix: netip.PrefixFrom(gone, 64)}
	m.mu.Unlock()
	m.resync(t.Context())
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := n.addrs[gone]; there || !n.went[gone] {
		t.Errorf("there %v, went %v", n.addrs, n.went)
	}
	if _, there := n.addrs[r.Lease.Address.Addr()]; !there {
		t.Errorf("%s is not there any more: %v", r.Lease.Address, n.addrs)
	}
}

// TestAddressInUse6: duplicate address detection declines what DHCPv6 gave.
func TestAddressInUse6(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.plug("other", mac1, "sw0")
	other, err := netlink.LinkByName("other")
	if err != nil {
		t.Fatal(err)
	}
	used := &netlink.Addr{IPNet: netlink.NewIPNet(net.ParseIP("fd01::100")), Flags: unix.IFA_F_NODAD}
	w.ready("other")
	if err := netlink.AddrAdd(other, used); err != nil {
		t.Fatal(err)
	}
	s := w.dnsmasq("sw0", "fd01::1/64", "--enable-ra", "--dhcp-range=fd01::100,fd01::100,64,1h")
	w.boot("ip=eth0:dhcp6")
	w.eventually("the address was declined", func() bool { return strings.Contains(s.out.String(), "DHCPDECLINE") })
	if !w.said("eth0: the address fd01::100 is already used by somebody else") {
		t.Error("it was not said")
	}
	if a := w.addresses("eth0"); len(a) > 0 {
		t.Errorf("eth0 keeps %q", a)
	}
}

// TestSilent6: each wait of IPv6 says what it is for.
func TestSilent6(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"ip=eth0:auto6": "eth0: no router has advertised an IPv6 prefix yet",
		"ip=eth0:dhcp6": "eth0: no answer to ",
	} {
		t.Run(line, func(t *testing.T) {
			if elsewhere(t) {
				return
			}
			w := wire(t)
			w.plug("eth0", mac0, "sw0")
			m := w.boot(line)
			w.eventually(want, func() bool { return strings.Contains(m.State(), want) })
		})
	}
}

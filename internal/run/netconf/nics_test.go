package netconf

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func lan(i int) (address, pool string) {
	return fmt.Sprintf("10.%d.0.1/24", i), fmt.Sprintf("--dhcp-range=10.%d.0.50,10.%d.0.60,255.255.255.0,1h", i, i)
}

// isUp says whether one of our links is switched on.
func isUp(t *testing.T, name string) bool {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Flags&net.FlagUp != 0
}

// TestOneCable: of several NICs one has a cable. Nothing is waited for.
func TestOneCable(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	for i, mac := range []string{mac0, mac1, mac2} {
		w.plug(fmt.Sprintf("eth%d", i), mac, "sw0")
	}
	w.unplug("eth0", true)
	w.unplug("eth2", true)
	address, pool := lan(1)
	w.dnsmasq("sw0", address, pool)
	m := w.boot("rd.neednet=1")
	begin := time.Now()
	if r := w.up(m); r.Device != "eth1" {
		t.Errorf("%s won", r.Device)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("it took %s", d)
	}
	if got := m.State(); got != "eth0: gave way to eth1; eth1: up with "+w.addresses("eth1")[0]+"; eth2: gave way to eth1" {
		t.Errorf("state: %s", got)
	}
	if isUp(t, "eth0") || isUp(t, "eth2") {
		t.Error("a NIC that gave way is still on")
	}
	w.plug("eth3", "02:00:00:00:00:13", "sw0")
	w.eventually("one that comes late gives way, too", func() bool { return strings.Contains(m.State(), "eth3: gave way to eth1") })
	if isUp(t, "eth3") {
		t.Error("the NIC that came late was switched on")
	}
	w.there("ip link del p-eth1")
	w.plug("eth4", "02:00:00:00:00:14", "sw0")
	w.eventually("without the one that won, one that comes late is used", func() bool { return len(w.addresses("eth4")) == 1 })
}

// TestServerDecides: both NICs have a lease, the server is behind one.
func TestServerDecides(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw1")
	w.plug("eth1", mac1, "sw2")
	for i := 1; i <= 2; i++ {
		address, pool := lan(i)
		w.dnsmasq(fmt.Sprintf("sw%d", i), address, pool, fmt.Sprintf("--dhcp-option=option:dns-server,10.%d.0.1", i))
	}
	m := w.boot("rd.neednet=1", func(c *Config) { c.Probe = "10.2.0.1:8080" })
	w.eventually("both have asked the server", func() bool { return strings.Count(m.State(), "but 10.2.0.1:8080 does not answer") == 2 })
	w.listen("sw2", "10.2.0.1:8080")
	if r := w.up(m); r.Device != "eth1" {
		t.Errorf("%s won", r.Device)
	}
	if a := w.addresses("eth0"); len(a) > 0 {
		t.Errorf("the other NIC keeps %q", a)
	}
	if got := w.file("etc/resolv.conf"); strings.Contains(got, "10.1.") || !strings.Contains(got, "10.2.0.1") {
		t.Errorf("resolv.conf: %q", got)
	}
}

// TestNamed: words name the NICs; both stay, the one without a cable does not
// hold the boot up longer than rd.net.timeout.carrier.
func TestNamed(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw1")
	w.plug("eth1", mac1, "sw2")
	w.plug("eth2", mac2, "sw2")
	w.unplug("eth2", true)
	address, pool := lan(1)
	w.dnsmasq("sw1", address, pool)
	m := w.boot("ip=eth0:dhcp ip=10.2.0.9::10.2.0.1:24:node:eth1:none:1400 ip=eth2:dhcp rd.route=172.16.0.0/12:10.2.0.7:eth1", func(c *Config) { c.Limits.Carrier = 2 * time.Second })
	begin := time.Now()
	w.up(m)
	if d := time.Since(begin); d > 15*time.Second {
		t.Errorf("it took %s", d)
	}
	if d := cmp.Diff([]string{"10.2.0.9/24"}, w.addresses("eth1")); d != "" {
		t.Error(d)
	}
	if a := w.addresses("eth0"); len(a) != 1 {
		t.Errorf("eth0 has %q", a)
	}
	if d := cmp.Diff([]string{"10.2.0.0/24", "172.16.0.0/12 via 10.2.0.7", "default via 10.2.0.1"}, w.routes("eth1")); d != "" {
		t.Error(d)
	}
	if l, err := netlink.LinkByName("eth1"); err != nil || l.Attrs().MTU != 1400 {
		t.Errorf("MTU of eth1: %v, %v", l.Attrs().MTU, err)
	}
}

// TestPreferred: the NIC that netbooted, or bootdev=, is waited for though
// another is faster; not for ever.
func TestPreferred(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line   string
		change func(*Config)
		late   bool // the preferred one's DHCP server comes after a while
		want   string
	}{
		"bootdev= is slower":         {line: "ip=eth0:dhcp ip=eth1:dhcp bootdev=eth1", late: true, want: "eth1"},
		"netbooted NIC is slower":    {line: "rd.neednet=1", change: func(c *Config) { c.BootMAC = mac1 }, late: true, want: "eth1"},
		"netbooted NIC has no cable": {line: "rd.neednet=1", change: func(c *Config) { c.BootMAC = mac1 }, want: "eth0"},
		"BOOTIF= alone is tried":     {line: "ip=dhcp BOOTIF=01-02-00-00-00-00-11", late: true, want: "eth1"},
	} {
		t.Run(name, func(t *testing.T) {
			if elsewhere(t) {
				return
			}
			w := wire(t)
			w.plug("eth0", mac0, "sw1")
			w.plug("eth1", mac1, "sw2")
			address, pool := lan(1)
			w.dnsmasq("sw1", address, pool)
			if !c.late {
				w.unplug("eth1", true)
			}
			var change []func(*Config)
			if c.change != nil {
				change = append(change, c.change)
			}
			m := w.boot(c.line, change...)
			if c.late {
				if r, err := m.Wait(t.Context(), 2*time.Second); err == nil {
					t.Errorf("%s won too early", r.Device)
				}
				address, pool := lan(2)
				w.dnsmasq("sw2", address, pool)
			}
			if r := w.up(m); r.Device != c.want {
				t.Errorf("%s won", r.Device)
			}
		})
	}
}

// TestFallback: an address for the case that DHCP is silent.
func TestFallback(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	m := w.boot("ip=10.1.0.9::10.1.0.1:255.255.255.0::eth0:dhcp,none", func(c *Config) { c.Limits.DHCP = 2 * time.Second })
	if r := w.up(m); !r.Static || r.Lease.Address != prefix("10.1.0.9/24") {
		t.Errorf("%+v", r)
	}
	if !w.said("eth0: no answer to ") || !w.said("DHCP is given up for now") {
		t.Error("that DHCP failed is not said")
	}
}

// TestCable: the cable goes into another network while the ramdisk lives.
func TestCable(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw1")
	for i := 1; i <= 2; i++ {
		address, pool := lan(i)
		w.dnsmasq(fmt.Sprintf("sw%d", i), address, pool, "--dhcp-authoritative")
		if i == 1 {
			w.plug("spare", mac1, "sw2")
		}
	}
	m := w.boot("ip=dhcp rd.neednet=1")
	w.up(m)
	before := w.addresses("eth0")
	w.unplug("eth0", true)
	w.eventually("the state says so", func() bool { return strings.Contains(m.State(), "eth0: no carrier (cable?)") })
	if d := cmp.Diff(before, w.addresses("eth0")); d != "" {
		t.Errorf("the address went with the cable: %s", d)
	}
	w.there("ip link set p-eth0 master sw2")
	w.unplug("eth0", false)
	w.eventually("an address of the other network", func() bool {
		a := w.addresses("eth0")
		return len(a) == 1 && strings.HasPrefix(a[0], "10.2.0.")
	})
}

// TestLate: a NIC that appears after the wait began.
func TestLate(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth9", mac1, "sw0")
	address, pool := lan(1)
	w.dnsmasq("sw0", address, pool)
	m := w.boot("ip=eth0:dhcp rd.neednet=1")
	if _, err := m.Wait(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), "eth0: no such interface appeared") {
		t.Errorf("without the NIC: %v", err)
	}
	w.plug("eth0", mac0, "sw0")
	if r := w.up(m); r.Device != "eth0" {
		t.Errorf("%s won", r.Device)
	}
}

// TestRename: ifname= names the NIC before it is used.
func TestRename(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	address, pool := lan(1)
	w.dnsmasq("sw0", address, pool)
	if r := w.up(w.boot("ifname=bootnet:" + mac0 + " ip=bootnet:dhcp::02:00:00:00:00:77")); r.Device != "bootnet" || r.MAC != "02:00:00:00:00:77" {
		t.Errorf("%s with %s won", r.Device, r.MAC)
	}
}

// TestStaticInUse: a static address that a neighbour has is used, and said.
func TestStaticInUse(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.there("ip addr add 10.1.0.9/24 dev sw0")
	w.ready("eth0")
	r := w.up(w.boot("ip=10.1.0.9:10.1.0.5::24::eth0:none nameserver=10.1.0.3"))
	if !w.said("eth0: the address 10.1.0.9 is already used by ") {
		t.Error("it was not said")
	}
	if r.Lease.NextServ.String() != "10.1.0.5" || w.file("etc/resolv.conf") != "nameserver 10.1.0.3\n" {
		t.Errorf("%+v, %q", r.Lease, w.file("etc/resolv.conf"))
	}
}

// TestPeer: an address of a link to one other machine, which is the gateway.
func TestPeer(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.up(w.boot("ip=10.1.0.9:10.2.0.1/32:10.2.0.1:32::eth0:none"))
	l, err := netlink.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) })
	if err != nil || len(a) != 1 || a[0].IP.String() != "10.1.0.9" || a[0].Peer == nil || a[0].Peer.String() != "10.2.0.1/32" {
		t.Errorf("address %+v, %v", a, err)
	}
	if d := cmp.Diff([]string{"10.2.0.1/32", "default via 10.2.0.1"}, w.routes("eth0")); d != "" {
		t.Error(d)
	}
}

package netconf

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

const mac0, mac1, mac2 = "02:00:00:00:00:10", "02:00:00:00:00:11", "02:00:00:00:00:12"

// TestDHCP gets a lease from dnsmasq with all that it says.
func TestDHCP(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.dnsmasq("sw0", "10.1.0.1/24", "--dhcp-range=10.1.0.50,10.1.0.60,255.255.255.0,1h", "--dhcp-host="+mac0+",10.1.0.55,node7",
		"--dhcp-option=option:router,10.1.0.254", "--dhcp-option=option:dns-server,10.1.0.2,10.1.0.3", "--dhcp-option=option:domain-name,one.example",
		"--dhcp-option=option:domain-search,one.example,two.example", "--dhcp-option=option:ntp-server,10.1.0.4", "--dhcp-option=option:root-path,nfs:10.1.0.9:/srv",
		"--dhcp-option=option:mtu,1400", "--dhcp-option=66,boot.example", "--dhcp-option-force=67,boot.img", "--dhcp-option=121,0.0.0.0/0,10.1.0.253,10.9.0.0/16,10.1.0.252",
		"--dhcp-option=encap:43,6,text")
	r := w.up(w.boot("rd.neednet=1 nameserver=192.0.2.53 rd.route=172.16.0.0/12:10.1.0.251"))
	l := r.Lease
	if len(l.Packet) == 0 || time.Since(l.Obtained) > time.Minute {
		t.Errorf("packet of %d bytes, obtained %s", len(l.Packet), l.Obtained)
	}
	if l.BootFile != "boot.img" || l.RootPath != "nfs:10.1.0.9:/srv" || l.TFTPServer != "boot.example" || l.Host != "node7" || l.Domain != "one.example" ||
		l.MTU != 1400 || l.Duration != time.Hour || l.T1 != 30*time.Minute || l.Server.String() != "10.1.0.1" || len(l.NTP) != 1 || string(l.Vendor[2:6]) != "text" {
		t.Errorf("lease %+v", l)
	}
	if d := cmp.Diff([]string{"10.1.0.55/24"}, w.addresses("eth0")); d != "" {
		t.Error(d)
	}
	if l, err := netlink.LinkByName("eth0"); err != nil {
		t.Error(err)
	} else if a, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) }); err != nil || len(a) != 1 || a[0].Broadcast.String() != "10.1.0.255" || a[0].ValidLft < 3500 || a[0].ValidLft > 3600 {
		t.Errorf("address %+v, %v", a, err)
	}
	want := []string{"10.1.0.0/24", "10.9.0.0/16 via 10.1.0.252", "172.16.0.0/12 via 10.1.0.251", "default via 10.1.0.253"}
	if d := cmp.Diff(want, w.routes("eth0")); d != "" {
		t.Error(d)
	}
	if got, want := w.file("etc/resolv.conf"), "search one.example two.example\nnameserver 192.0.2.53\nnameserver 10.1.0.2\nnameserver 10.1.0.3\n"; got != want {
		t.Errorf("resolv.conf: %q", got)
	}
	if !strings.Contains(w.file("run/bareroot/net/eth0.json"), `"10.1.0.55/24"`) {
		t.Error("the result was not kept")
	}
}

// TestOddRoute: a route that cannot be is said, and left out.
func TestOddRoute(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	address, pool := lan(1)
	w.dnsmasq("sw0", address, pool, "--dhcp-host="+mac0+",10.1.0.55", "--dhcp-option=121,10.8.0.0/16,224.0.0.9,10.9.0.0/16,10.1.0.252")
	w.up(w.boot("ip=dhcp rd.neednet=1"))
	if d := cmp.Diff([]string{"10.1.0.0/24", "10.9.0.0/16 via 10.1.0.252"}, w.routes("eth0")); d != "" {
		t.Error(d)
	}
	if !w.said("set route 10.8.0.0/16 via 224.0.0.9 on eth0") {
		t.Error("it was not said")
	}
}

// TestSilentServer: the message says how long nobody answered; a server that
// comes late is found.
func TestSilentServer(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.plug("eth1", mac1, "sw0")
	w.unplug("eth1", true)
	m := w.boot("ip=dhcp rd.neednet=1")
	_, err := m.Wait(t.Context(), 2500*time.Millisecond)
	if err == nil || !regexp.MustCompile(`no network within 2\.5s: eth0: no answer to \d DHCP discovers in [0-3] s; eth1: no carrier \(cable\?\)`).MatchString(err.Error()) {
		t.Errorf("error: %v", err)
	}
	w.dnsmasq("sw0", "10.1.0.1/24", "--dhcp-range=10.1.0.50,10.1.0.60,255.255.255.0,1h")
	if r := w.up(m); r.Device != "eth0" {
		t.Errorf("%s won", r.Device)
	}
}

// TestRenewal: the lease is renewed by unicast at T1, which the server made
// short. The server goes, the next one refuses the address, and gives its own.
func TestRenewal(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	first := w.dnsmasq("sw0", "10.1.0.1/24", "--dhcp-range=10.1.0.50,10.1.0.50,255.255.255.0,2m", "--dhcp-option=option:T1,3", "--dhcp-option=option:T2,6")
	m := w.boot("ip=dhcp rd.neednet=1")
	w.up(m)
	w.eventually("it was renewed", func() bool { return strings.Count(first.out.String(), "DHCPACK") >= 2 })
	if strings.Count(first.out.String(), "DHCPDISCOVER") != 1 {
		t.Error("a renewal began with a discover")
	}
	first.stop()
	// The next server does not know the address and says so, which ends it.
	w.there("ip addr flush dev sw0")
	w.dnsmasq("sw0", "10.2.0.1/24", "--dhcp-authoritative", "--dhcp-range=10.2.0.50,10.2.0.60,255.255.255.0,1h")
	w.eventually("the new server's address", func() bool {
		a := w.addresses("eth0")
		return len(a) == 1 && strings.HasPrefix(a[0], "10.2.0.")
	})
	if !w.said("the lease of 10.1.0.50/24 on eth0 has ended") {
		t.Error("the end of the lease was not said")
	}
}

// TestTwoServers: the first offer is taken, the other server hears so.
func TestTwoServers(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.there("ip link add va type veth peer name vb")
	w.there("ip link set va master sw0 up")
	w.there("ip link set vb up")
	w.dnsmasq("sw0", "10.1.0.1/24", "--dhcp-range=10.1.0.50,10.1.0.60,255.255.255.0,1h")
	w.dnsmasq("vb", "10.1.0.2/24", "--dhcp-range=10.1.0.80,10.1.0.90,255.255.255.0,1h")
	if r := w.up(w.boot("ip=dhcp rd.neednet=1")); r.Lease.Server.String() != "10.1.0.1" && r.Lease.Server.String() != "10.1.0.2" {
		t.Errorf("lease of %s", r.Lease.Server)
	}
	if a := w.addresses("eth0"); len(a) != 1 {
		t.Errorf("addresses %q", a)
	}
}

// TestAddressInUse: the server gives an address that a neighbour has; it is
// declined and another is asked for.
func TestAddressInUse(t *testing.T) {
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
	if err := netlink.AddrAdd(other, &netlink.Addr{IPNet: netlink.NewIPNet(net.IP{10, 1, 0, 50})}); err != nil {
		t.Fatal(err)
	}
	w.ready("other")
	s := w.dnsmasq("sw0", "10.1.0.1/24", "--dhcp-range=10.1.0.50,10.1.0.51,255.255.255.0,1h", "--dhcp-sequential-ip")
	m := w.boot("ip=dhcp rd.neednet=1")
	w.eventually("the address was declined", func() bool { return strings.Contains(s.out.String(), "DHCPDECLINE") })
	w.eventually("the state says why", func() bool {
		return strings.Contains(m.State(), "eth0: server 10.1.0.1 gave 10.1.0.50, which "+mac1+" already uses; declined")
	})
	if r := w.up(m); r.Lease.Address != prefix("10.1.0.51/24") {
		t.Errorf("lease %s", r.Lease.Address)
	}
}

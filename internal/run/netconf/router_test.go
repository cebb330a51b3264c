package netconf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// router advertises itself on a link of the switches' namespace whenever it is
// told to (RFC 4861 4.2).
type router struct {
	w   *wires
	dev string
	f   net.PacketConn
	to  *net.IPAddr
}

func (w *wires) router(dev string) *router {
	w.t.Helper()
	r := &router{w: w, dev: dev}
	w.eventually(dev+" has a link-local address", func() bool {
		return strings.Contains(w.there("ip -6 addr show dev "+dev+" scope link -tentative"), "fe80")
	})
	w.over(func() error {
		i, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		r.to = &net.IPAddr{IP: net.ParseIP("ff02::1"), Zone: fmt.Sprint(i.Index)}
		lc := net.ListenConfig{Control: bindTo(dev, false)}
		if r.f, err = lc.ListenPacket(w.t.Context(), "ip6:ipv6-icmp", "::"); err != nil {
			return err
		}
		rc, err := r.f.(*net.IPConn).SyscallConn()
		if err != nil {
			return err
		}
		var serr error
		return errors.Join(rc.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255) }), serr)
	})
	w.t.Cleanup(func() { r.f.Close() })
	return r
}

// advert is one advertisement.
type advert struct {
	flags  byte // 0x80: addresses by DHCPv6, 0x40: other things
	life   uint16
	prefix string // of 64 bits; "" is none
	dns    string
	mtu    uint32
}

func (a advert) bytes() []byte {
	b := []byte{routerAdvertisement, 0, 0, 0, 64, a.flags}
	b = binary.BigEndian.AppendUint16(b, a.life)
	b = append(b, make([]byte, 8)...)
	if a.prefix != "" {
		b = append(b, 3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0)
		b = append(b, netip.MustParseAddr(a.prefix).AsSlice()...)
	}
	if a.mtu > 0 {
		b = binary.BigEndian.AppendUint32(append(b, 5, 1, 0, 0), a.mtu)
	}
	if a.dns != "" {
		b = append(append(b, 25, 3, 0, 0, 0, 0, 0x0e, 0x10), netip.MustParseAddr(a.dns).AsSlice()...)
	}
	return b
}

const routerAdvertisement = 134

func (r *router) say(a advert) {
	r.w.t.Helper()
	if _, err := r.f.WriteTo(a.bytes(), r.to); err != nil {
		r.w.t.Fatal(err)
	}
}

// until says it again until it has worked: the NIC may not listen yet.
func (r *router) until(what string, a advert, ok func() bool) {
	r.w.t.Helper()
	r.say(a)
	next := time.Now().Add(time.Second)
	r.w.eventually(what, func() bool {
		if time.Now().After(next) {
			r.say(a)
			next = time.Now().Add(time.Second)
		}
		return ok()
	})
}

// resolv is resolv.conf, which is written when there is something to say.
func (w *wires) resolv() string {
	b, _ := os.ReadFile(filepath.Join(w.root, "etc/resolv.conf"))
	return string(b)
}

// defaults are the routers that one of our NICs uses.
func (w *wires) defaults(nic string) (out []string) {
	w.t.Helper()
	l, err := netlink.LinkByName(nic)
	if err != nil {
		w.t.Fatal(err)
	}
	rs, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(l, netlink.FAMILY_V6) })
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rs {
		if r.Dst == nil || r.Dst.String() == "::/0" {
			if r.Gw != nil {
				out = append(out, r.Gw.String())
			}
			for _, p := range r.MultiPath {
				out = append(out, p.Gw.String())
			}
		}
	}
	return out
}

// TestStateless: a network with IPv6 only, where the router has prefixes and no
// name server, and DHCPv6 the name server and no addresses.
func TestStateless(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.dnsmasq("sw0", "fd01::1/64", "--dhcp-range=fd01::,static,64", "--dhcp-option=option6:dns-server,[fd01::53]", "--dhcp-option=option6:domain-search,six.example")
	m := w.boot("ip=eth0:auto6", func(c *Config) { c.UUID = someUUID })
	r := w.router("sw0")
	r.until("an address", advert{flags: 0x40, life: 1800, prefix: "fd01::", mtu: 1400}, func() bool { return len(w.addresses("eth0")) == 1 })
	if res := w.up(m); res.Lease.Method != "auto6" || res.Lease.Address != prefix("fd01::ff:fe00:10/64") {
		t.Errorf("%+v", res)
	}
	w.eventually("the name server is known", func() bool { return w.resolv() == "search six.example\nnameserver fd01::53\n" })
	if len(w.defaults("eth0")) != 1 {
		t.Errorf("routers %v", w.defaults("eth0"))
	}
	if mtu, err := os.ReadFile("/proc/sys/net/ipv6/conf/eth0/mtu"); err != nil || string(mtu) != "1400\n" {
		t.Errorf("MTU of IPv6 %s, %v", mtu, err)
	}
}

// TestNoRoute: who advertises a prefix with a lifetime of 0 is no router; the
// address is good all the same.
func TestNoRoute(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	m := w.boot("ip=eth0:auto6")
	w.router("sw0").until("an address", advert{prefix: "fd01::", dns: "fd01::53"}, func() bool { return len(w.addresses("eth0")) == 1 })
	w.up(m)
	if d := w.defaults("eth0"); len(d) > 0 {
		t.Errorf("routers %v", d)
	}
	w.eventually("the name server is known", func() bool { return w.resolv() == "nameserver fd01::53\n" })
}

// TestTwoRouters: an address of each, both routes and name servers; one that
// says it is no router any more is used no more.
func TestTwoRouters(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	w.there("ip link add va type veth peer name vb")
	w.there("ip link set va master sw0 up")
	w.there("ip link set vb up")
	m := w.boot("ip=eth0:auto6")
	one, two := w.router("sw0"), w.router("vb")
	first, second := advert{life: 1800, prefix: "fd01::", dns: "fd01::53"}, advert{life: 1800, prefix: "fd02::", dns: "fd02::53"}
	one.until("an address", first, func() bool { return len(w.addresses("eth0")) == 1 })
	w.up(m)
	two.until("the other's address, too", second, func() bool {
		return cmp.Equal(w.addresses("eth0"), []string{"fd01::ff:fe00:10/64", "fd02::ff:fe00:10/64"}) && len(w.defaults("eth0")) == 2
	})
	w.eventually("both name servers are known", func() bool { return w.resolv() == "nameserver fd01::53\nnameserver fd02::53\n" })
	one.until("the first is no router any more", advert{}, func() bool { return len(w.defaults("eth0")) == 1 })
	if a := w.addresses("eth0"); len(a) != 2 {
		t.Errorf("addresses %v", a)
	}
}

// TestDuplicate6: duplicate address detection of the kernel's own addresses: it is
// said whose address is used, and another method goes on.
func TestDuplicate6(t *testing.T) {
	t.Parallel()
	taken := func(t *testing.T, w *wires, a string) {
		// Another port makes the switch answer from the start: ours is announced to
		// it up to a second after the only probe.
		w.there("ip link add port type veth peer name other")
		w.there("ip link set port master sw0 up")
		w.there("ip link set other up")
		w.there("ip addr add " + a + " dev sw0 nodad")
		w.eventually("somebody has the address", func() bool { return strings.Contains(w.there("ip -o link show sw0"), "state UP") })
	}
	t.Run("auto6", func(t *testing.T) {
		if elsewhere(t) {
			return
		}
		w := wire(t)
		w.plug("eth0", mac0, "sw0")
		taken(t, w, "fd01::ff:fe00:10/64")
		w.boot("ip=eth0:auto6")
		w.router("sw0").until("it is said", advert{life: 1800, prefix: "fd01::"}, func() bool {
			return w.said("eth0: the address fd01::ff:fe00:10 is already used by somebody else")
		})
	})
	t.Run("link-local", func(t *testing.T) {
		if elsewhere(t) {
			return
		}
		w := wire(t)
		w.plug("eth0", mac0, "sw0")
		taken(t, w, "fe80::ff:fe00:10/64")
		// The kernel makes the address, and asks for it once, when the boot allows IPv6.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.ready("eth0")
		w.boot("ip=link6 rd.neednet=1")
		w.eventually("it is said", func() bool { return w.said("eth0: the address fe80::ff:fe00:10 is already used by somebody else") })
	})
	t.Run("static", func(t *testing.T) {
		if elsewhere(t) {
			return
		}
		w := wire(t)
		w.plug("eth0", mac0, "sw0")
		taken(t, w, "fd01::9/64")
		w.ready("eth0")
		m := w.boot("ip=[fd01::9]::[fd01::1]:64::eth0:none")
		w.eventually("it is said", func() bool {
			return strings.Contains(m.State(), "eth0: the address fd01::9 is already used by somebody else")
		})
	})
}

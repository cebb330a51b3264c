package cmdline

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// show writes what matters of a parsed line in one string.
func show(n Network) string {
	var out []string
	for _, ip := range n.IPs {
		s := "auto=" + strings.Join(ip.Methods, ",")
		add := func(k, v string) {
			if v != "" {
				s += " " + k + "=" + v
			}
		}
		add("dev", ip.Device)
		if ip.Client.IsValid() {
			add("ip", ip.Client.String())
		}
		add("peer", ip.Peer)
		if ip.Gateway.IsValid() {
			add("gw", ip.Gateway.String())
		}
		if ip.Bits > 0 {
			add("bits", fmt.Sprint(ip.Bits))
		}
		add("host", ip.Host)
		for _, d := range ip.DNS {
			add("dns", d.String())
		}
		if ip.MTU > 0 {
			add("mtu", fmt.Sprint(ip.MTU))
		}
		add("mac", ip.MAC)
		out = append(out, s)
	}
	s := strings.Join(out, " | ")
	if n.BootDev != "" {
		s += " bootdev=" + n.BootDev
	}
	if len(n.Ifaces) > 0 {
		s += " ifaces=" + strings.Join(n.Ifaces, ",")
	}
	if n.Need {
		s += " need"
	}
	return strings.TrimSpace(s)
}

// Rows of the table that was made by running dracut's own parsers, by their
// number there. "die" is an error. Where we differ on purpose, the row says
// so.
func TestDracutTable(t *testing.T) {
	const st = "192.0.2.5::192.0.2.1:24:h:eth0:none"
	for _, row := range []struct{ n, line, want string }{
		{"1", "ip=dhcp", "auto=dhcp"},
		{"2", "ip=single-dhcp", "auto=single-dhcp"}, {"2", "ip=on", "auto=on"}, {"2", "ip=any", "auto=any"}, {"2", "ip=dhcp6", "auto=dhcp6"},
		{"2", "ip=auto6", "auto=auto6"}, {"2", "ip=either6", "auto=either6"}, {"2", "ip=link6", "auto=link6"},
		{"3", "ip=dhcp,dhcp6", "auto=dhcp,dhcp6"},
		{"4", "ip=eth0:dhcp", "auto=dhcp dev=eth0 ifaces=eth0"},
		{"5", "ip=eth0:dhcp:1500", "auto=dhcp dev=eth0 mtu=1500 ifaces=eth0"},
		{"6", "ip=eth0:dhcp:1500:52:54:00:12:34:56", "auto=dhcp dev=eth0 mtu=1500 mac=52:54:00:12:34:56 ifaces=eth0"},
		{"7", "ip=eth0:dhcp::52:54:00:12:34:56", "auto=dhcp dev=eth0 mac=52:54:00:12:34:56 ifaces=eth0"},
		{"8", "ip=eth0:dhcp:9000:52-54-00-12-34-56", "auto=dhcp dev=eth0 mtu=9000 mac=52-54-00-12-34-56 ifaces=eth0"},
		{"9", "ip=52-54-00-12-34-56:dhcp", "auto=dhcp dev=52-54-00-12-34-56 ifaces=52-54-00-12-34-56"},
		{"10", "ip=52:54:00:12:34:56:dhcp", "die"},
		{"11", "ip=:dhcp", "auto=dhcp"},
		{"12", "ip=eth0:link6", "die"}, {"12", "ip=eth0:single-dhcp", "die"}, {"12", "ip=eth0:dhcp,dhcp6", "die"}, {"12", "ip=eth0:bogus", "die"},
		{"13", "ip=192.0.2.5::192.0.2.1:255.255.255.0:node1:eth0:none", "auto=none dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=node1 ifaces=eth0"},
		{"14", "ip=" + st + ":192.0.2.53:192.0.2.54", "auto=none dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h dns=192.0.2.53 dns=192.0.2.54 ifaces=eth0"},
		{"15", "ip=" + st + ":1500", "auto=none dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h mtu=1500 ifaces=eth0"},
		{"16", "ip=" + st + ":1500:52:54:00:12:34:56", "auto=none dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h mtu=1500 mac=52:54:00:12:34:56 ifaces=eth0"},
		{"17", "ip=" + st + "::52:54:00:12:34:56", "auto=none dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h mac=52:54:00:12:34:56 ifaces=eth0"},
		{"18", "ip=192.0.2.5::192.0.2.1:24:h:ens3:off:8.8.8.8:1.1.1.1:9000", "auto=off dev=ens3 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h dns=8.8.8.8 dns=1.1.1.1 ifaces=ens3"},
		{"19", "ip=[2001:db8::5]::[2001:db8::1]:64:n6:eth0:none", "auto=none dev=eth0 ip=2001:db8::5 gw=2001:db8::1 bits=64 host=n6 ifaces=eth0"},
		{"20", "ip=[2001:db8::5]::[2001:db8::1]:64:n6:eth0:none:[2001:db8::53]", "auto=none dev=eth0 ip=2001:db8::5 gw=2001:db8::1 bits=64 host=n6 dns=2001:db8::53 ifaces=eth0"},
		{"21", "ip=10.0.0.2:10.0.0.3/32:::h:eth0:none", "die"},
		{"22", "ip=:::::eth0:dhcp", "auto=dhcp dev=eth0 ifaces=eth0"}, {"22", "ip=::::node1:eth0:dhcp", "auto=dhcp dev=eth0 host=node1 ifaces=eth0"},
		{"23", "ip=:::::eth0:ibft", ""}, {"23", "ip=ibft", ""},
		{"24, ours: static", "ip=192.0.2.5:192.0.2.10:192.0.2.1:255.255.255.0", "auto=none ip=192.0.2.5 peer=192.0.2.10 gw=192.0.2.1 bits=24"},
		{"25, ours: static", "ip=192.0.2.5:192.0.2.10:0.0.0.0:255.255.255.0 BOOTIF=01-52-54-00-12-34-56", "auto=none ip=192.0.2.5 peer=192.0.2.10 bits=24 bootdev=52:54:00:12:34:56 ifaces=52:54:00:12:34:56"},
		{"26", "ip=192.0.2.5:192.0.2.10:192.0.2.1:255.255.255.0:::off", "auto=off ip=192.0.2.5 peer=192.0.2.10 gw=192.0.2.1 bits=24"},
		{"27", "ip=192.0.2.5::192.0.2.1:24:node1:eth0:", "die"},
		{"28", "ip=192.0.2.5::192.0.2.1:24:h:eth0:dhcp", "die"},
		{"29", "ip=off", "die"}, {"29", "ip=none", "die"},
		{"30", "ip=192.0.2.5::192.0.2.1::h:eth0:none", "die"},
		{"31", "ip=192.0.2.5 netmask=255.255.255.0 gateway=192.0.2.1 hostname=h ksdevice=eth0", "auto=none dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h ifaces=eth0"},
		{"31", "ip=192.0.2.5 ksdevice=eth0", "die"},
		{"32", "ip=192.0.2.5 netmask=24 ksdevice=bootif BOOTIF=01-52-54-00-AA-bb-cc rd.bootif=0", "auto=none dev=52:54:00:aa:bb:cc ip=192.0.2.5 bits=24 ifaces=52:54:00:aa:bb:cc"},
		{"33", "ip=bootp", "die"}, {"33", "ip=both", "die"}, {"33", "ip=rarp", "die"},
		{"34", "ip=", ""}, {"34", "ip", "die"},
		{"35", "ip=eth0:dhcp ip=eth1:dhcp", "auto=dhcp dev=eth0 | auto=dhcp dev=eth1 bootdev=eth0 ifaces=eth0,eth1 need"},
		{"36", "ip=eth0:dhcp ip=eth1:dhcp bootdev=eth1", "auto=dhcp dev=eth0 | auto=dhcp dev=eth1 bootdev=eth1 ifaces=eth1,eth0 need"},
		{"37", "ip=eth0:dhcp ip=eth1:dhcp rd.neednet=0", "auto=dhcp dev=eth0 | auto=dhcp dev=eth1 ifaces=eth0,eth1"},
		{"38", "ip=dhcp ip=eth1:dhcp", "die"}, {"39", "ip=eth0:dhcp ip=eth0:dhcp6", "die"},
		{"40", "ip=dhcp BOOTIF=01-52-54-00-AA-BB-CC", "auto=dhcp bootdev=52:54:00:aa:bb:cc ifaces=52:54:00:aa:bb:cc"},
		{"41", "BOOTIF=01-52-54-00-AA-BB-CC", "bootdev=52:54:00:aa:bb:cc ifaces=52:54:00:aa:bb:cc"},
		{"41", "BOOTIF=01-52-54-00-AA-BB-CC rd.bootif=0", ""},
		{"42, without the stock bug", "ip=enx525400123456:dhcp", "auto=dhcp dev=enx525400123456 ifaces=enx525400123456"},
		{"44", "bond=bond0:eth0,eth1:mode=active-backup,miimon=100:9000 ip=192.0.2.5::192.0.2.1:24:h:bond0:none", "auto=none dev=bond0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h ifaces=bond0"},
		{"45", "bond=a:b:c:d:e", "die"}, {"45", "bridge=br0", "die"}, {"45", "vlan=eth0.5", "die"},
		{"50", "ifname=bootnet:52-54-00-aa-bb-cc", "die"},
		{"52", "team", ""},
		{"ours", "BOOTIF=nonsense", "die"}, {"ours", "nameserver=x", "die"}, {"ours", "ip=192.0.2.5::x:24:h:eth0:none", "die"},
		{"ours", "ip=192.0.2.5:::33:h:eth0:none", "die"}, {"ours", "ip=192.0.2.5:::255.0.255.0:h:eth0:none", "die"}, {"ours", "ip=eth0:dhcp:x", "die"},
	} {
		n, err := ParseNetwork(Parse(row.line, "test"))
		got := show(n)
		if err != nil {
			got = "die"
		}
		if got != row.want {
			t.Errorf("row %s: %s\n got %s (%v)\nwant %s", row.n, row.line, got, err, row.want)
		}
	}
}

func TestFixBootIF(t *testing.T) {
	ipoib := "20-80-00-02-08-fe-80-00-00-00-00-00-00-00-02-c9-03-00-01-02-03"
	for in, want := range map[string]string{
		"01-52-54-00-AA-BB-CC": "52:54:00:aa:bb:cc", "52-54-00-AA-BB-CC": "52:54:00:aa:bb:cc",
		ipoib: strings.ReplaceAll(ipoib[3:], "-", ":"),
	} {
		if got := FixBootIF(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestRoutesAndGroups(t *testing.T) {
	for in, want := range map[string]string{ // row 47
		"192.168.200.0/24::ens10":                 "192.168.200.0/24 invalid IP ens10",
		"[2001:DB8:3::/48]:[2001:DB8:2::1]:ens10": "2001:db8:3::/48 2001:db8:2::1 ens10",
		"10.0.0.0/8": "die",
	} {
		r, err := ParseRoute(in)
		got := fmt.Sprintf("%s %s %s", r.Dest, r.Via, r.Device)
		if err != nil {
			got = "die"
		}
		if got != want {
			t.Errorf("rd.route=%s: %s, want %s", in, got, want)
		}
	}
	n, err := ParseNetwork(Parse("bond=bond0:eth0:mode=1,arp_ip_target=1.1.1.1;2.2.2.2 bond bridge vlan=vlan0005:eth0 vlan=eth0.5:eth0 team=team0:eth0,eth1:lacp ifname=eth0:52:54:00:AA:bb:cc", "t"))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(n.Bonds, n.Bridges, n.VLANs, n.Teams, n.Rename, len(n.Notices)) // rows 43, 50, 51, 52
	want := "[{bond0 [eth0] mode=1 arp_ip_target=1.1.1.1,2.2.2.2 } {bond0 [eth0 eth1]  }] [{br0 [eth0]  }] [{vlan0005 eth0 5} {eth0.5 eth0 5}] [{team0 [eth0 eth1] lacp }] [{eth0 52:54:00:aa:bb:cc}] 1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCheckRoot(t *testing.T) { // rows 48, 49
	for _, row := range []struct {
		line     string
		dhcp, or bool
		ok       bool
	}{
		{"ip=192.0.2.5:192.0.2.9:192.0.2.1:24:h::none", false, true, true},
		{"ip=192.0.2.5::192.0.2.1:24:h::none", false, true, false},
		{"ip=192.0.2.5:192.0.2.9:192.0.2.1:24:h:eth0:none bootdev=eth0", true, false, false},
		{"ip=192.0.2.5:192.0.2.9:192.0.2.1:24:h:eth0:none", true, false, true},
	} {
		n, err := ParseNetwork(Parse(row.line, "t"))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.CheckRoot(row.dhcp, row.or); (err == nil) != row.ok {
			t.Errorf("%s: %v", row.line, err)
		}
	}
}

func FuzzIP(f *testing.F) {
	for _, s := range []string{"dhcp", "eth0:dhcp:1500:52:54:00:12:34:56", "[2001:db8::5]::[2001:db8::1]:64:n6:eth0:none", "192.0.2.5:::24:h:e:none:1.1.1.1", "[::", ":", "::::::::::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ip, _, err := ParseIP(s, nil)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "ip=") {
				t.Fatalf("the message does not name the word: %v", err)
			}
			return
		}
		if len(ip.Methods) == 0 || (ip.Static() && !ip.Client.IsValid()) {
			t.Fatalf("ip=%s: accepted as %+v", s, ip)
		}
		if ip.Client.IsValid() && !netip.PrefixFrom(ip.Client, ip.Bits).IsValid() {
			t.Fatalf("ip=%s: prefix length %d for %s", s, ip.Bits, ip.Client)
		}
	})
}

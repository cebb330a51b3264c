package cmdline

import (
	"fmt"
	"net/netip"
	"slices"
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
		if ip.NTP.IsValid() {
			add("ntp", ip.NTP.String())
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

func TestFixBootIF(t *testing.T) { // row 46
	ipoib := "20-80-00-02-08-fe-80-00-00-00-00-00-00-00-02-c9-03-00-01-02-03"
	for in, want := range map[string]string{
		"01-52-54-00-AA-BB-CC": "52:54:00:aa:bb:cc", "52-54-00-AA-BB-CC": "52:54:00:aa:bb:cc",
		ipoib:                  strings.ReplaceAll(ipoib[3:], "-", ":"),
		"01-52:54:00:AA:bb:cc": "52:54:00:aa:bb:cc", // GRUB: BOOTIF=01-$net_default_mac
		"52:54:00:aa:bb:cc":    "52:54:00:aa:bb:cc", // iPXE: ${netX/mac}
	} {
		if got := FixBootIF(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// Rows 43 to 45, 47 and 50 to 52: words about the network that are not ip=.
func TestNetworkWords(t *testing.T) {
	for _, row := range []struct{ n, line, want string }{
		{"43", "bond=bond0:eth0:mode=1,arp_ip_target=1.1.1.1;2.2.2.2", "bond bond0 [eth0] mode=1 arp_ip_target=1.1.1.1,2.2.2.2 mtu="},
		{"44", "bond=bond0:eth0,eth1:mode=active-backup,miimon=100:9000", "bond bond0 [eth0 eth1] mode=active-backup miimon=100 mtu=9000"},
		{"45", "bond=a:b:c:d:e", "die"}, {"45", "bridge=br0", "die"}, {"45", "vlan=eth0.5", "die"},
		{"47", "rd.route=192.168.200.0/24::ens10", "route 192.168.200.0/24 invalid IP ens10"},
		{"47", "rd.route=[2001:DB8:3::/48]:[2001:DB8:2::1]:ens10", "route 2001:db8:3::/48 2001:db8:2::1 ens10"},
		{"47", "rd.route=10.0.0.0/8", "die"},
		{"50", "ifname=bootnet:52:54:00:AA:bb:cc", "ifname bootnet 52:54:00:aa:bb:cc"}, {"50", "ifname=eth0:52:54:00:AA:bb:cc", "ifname eth0 52:54:00:aa:bb:cc notice"},
		{"50", "ifname=bootnet:52-54-00-AA-bb-cc", "die"},
		{"51", "vlan=vlan0005:eth0", "vlan vlan0005 eth0 5"}, {"51", "vlan=eth0.5:eth0", "vlan eth0.5 eth0 5"}, {"51", "vlan=vlan5:eth0", "vlan vlan5 eth0 5"},
		{"52", "team=team0:eth0,eth1:lacp", "team team0 [eth0 eth1] lacp"}, {"52", "team", ""}, {"52", "bridge", "bridge br0 [eth0]"}, {"52", "bond", "bond bond0 [eth0 eth1]  mtu="},
		{"9 team", "team=team0:eth0,eth1", "team team0 [eth0 eth1] activebackup"}, {"9 bridge", "bridge=br0:eth0,eth1", "bridge br0 [eth0 eth1]"},
		{"9 bond", "bond=bond0", "bond bond0 [eth0 eth1]  mtu="},
		{"ours", "vlan=vlan5000:eth0", "die"}, {"ours", "vlan=lan:eth0", "die"}, {"ours", "team=team0", "die"}, {"ours", "rd.route=x::", "die"}, {"ours", "rd.route=10.0.0.0/8:x", "die"}, {"ours", "ifname=a", "die"},
		{"ours", "bond=bond0:eth0:mode=1:x", "die"}, {"ours", "bond=:eth0", "die"}, {"ours", "bond=bond0:eth0,", "die"}, {"ours", "bridge=br0:", "die"}, {"ours", "bridge=:eth0", "die"}, {"ours", "team=t:", "die"}, {"ours", "vlan=vlan5:", "die"},
		{"ours", "ifname=a/b:52:54:00:aa:bb:cc", "die"}, {"ours", "ifname=averyverylongname:52:54:00:aa:bb:cc", "die"}, {"ours", "bond=a/b:eth0", "die"},
		{"ours", "rd.route=10.0.0.0/8:[2001:db8::1]:eth0", "die"},
	} {
		n, err := ParseNetwork(Parse(row.line, "t"))
		var out []string
		for _, g := range n.Bonds {
			out = append(out, fmt.Sprintf("bond %s %v %s mtu=%s", g.Name, g.Members, g.Options, g.MTU))
		}
		for _, g := range n.Bridges {
			out = append(out, fmt.Sprintf("bridge %s %v", g.Name, g.Members))
		}
		for _, g := range n.Teams {
			out = append(out, fmt.Sprintf("team %s %v %s", g.Name, g.Members, g.Options))
		}
		for _, v := range n.VLANs {
			out = append(out, fmt.Sprintf("vlan %s %s %d", v.Name, v.Phys, v.ID))
		}
		for _, i := range n.Rename {
			out = append(out, fmt.Sprintf("ifname %s %s", i.Name, i.MAC))
		}
		for _, r := range n.Routes {
			out = append(out, fmt.Sprintf("route %s %s %s", r.Dest, r.Via, r.Device))
		}
		if len(n.Notices) > 0 {
			out = append(out, "notice")
		}
		got := strings.Join(out, " ")
		if err != nil {
			if key, _, _ := strings.Cut(row.line, "="); !strings.HasPrefix(err.Error(), key+"=") {
				t.Errorf("row %s: %s: the message does not name the word: %v", row.n, row.line, err)
			}
			got = "die"
		}
		if got != row.want {
			t.Errorf("row %s: %s\n got %s (%v)\nwant %s", row.n, row.line, got, err, row.want)
		}
	}
}

// Sections 12 and 13: the kernel's ip= and klibc's. Section 11: what pxelinux
// appends.
func TestClassicIP(t *testing.T) {
	const k, c = "bareroot.ip=kernel ", "bareroot.ip=klibc "
	for _, row := range []struct{ n, line, want string }{
		{"12", k + "ip=192.0.2.5:192.0.2.9:192.0.2.1:255.255.255.0:h.nis:eth0:off:192.0.2.53:192.0.2.54:192.0.2.123", "auto=none dev=eth0 ip=192.0.2.5 peer=192.0.2.9 gw=192.0.2.1 bits=24 host=h.nis dns=192.0.2.53 dns=192.0.2.54 ntp=192.0.2.123 ifaces=eth0"},
		{"12, by dracut's rules too", "ip=192.0.2.5::192.0.2.1:24:h:eth0:off:192.0.2.53:192.0.2.54:192.0.2.123", "auto=off dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h dns=192.0.2.53 dns=192.0.2.54 ntp=192.0.2.123 ifaces=eth0"},
		{"12, second server only", "ip=192.0.2.5::192.0.2.1:24:h:eth0:off::192.0.2.54", "auto=off dev=eth0 ip=192.0.2.5 gw=192.0.2.1 bits=24 host=h dns=192.0.2.54 ifaces=eth0"},
		{"12", k + "ip=on", "auto=dhcp"}, {"12", k + "ip=any", "auto=dhcp"}, {"12", k + "ip=dhcp", "auto=dhcp"}, {"12", k + "ip=off", ""}, {"12", k + "ip=none", ""}, {"12", k + "ip=:::::eth0:dhcp", "auto=dhcp dev=eth0 ifaces=eth0"},
		{"12", k + "ip=dhcp,1,6964", "auto=dhcp"}, {"12, ours: asked for by DHCP", k + "ip=bootp", "auto=dhcp"}, {"12, ours", k + "ip=both", "auto=dhcp"}, {"12, ours: not supported", k + "ip=rarp", "die"},
		{"12, mask by class", k + "ip=10.1.2.3", "auto=none ip=10.1.2.3 bits=8"}, {"12, mask by class", k + "ip=172.16.0.5:::::eth0:none", "auto=none dev=eth0 ip=172.16.0.5 bits=16 ifaces=eth0"},
		{"12, 0.0.0.0", k + "ip=0.0.0.0:0.0.0.0:0.0.0.0:0.0.0.0::eth0:dhcp", "auto=dhcp dev=eth0 ifaces=eth0"},
		{"12", k + "ip=[2001:db8::5]::::h:eth0:none", "die"}, {"12", k + "ip=1:2:3:4:5:6:7:8:9:10:11", "die"}, {"12", k + "ip=192.0.2.5::::::bogus", "die"},
		{"12, nfsaddrs", "nfsaddrs=192.0.2.5:192.0.2.9:192.0.2.1:255.255.255.0:h:eth0:off", "auto=none dev=eth0 ip=192.0.2.5 peer=192.0.2.9 gw=192.0.2.1 bits=24 host=h ifaces=eth0"},
		{"12, ip= is the newer word", "nfsaddrs=dhcp ip=eth0:dhcp", "auto=dhcp dev=eth0 ifaces=eth0"},
		{"13", c + "ip=192.0.2.5:192.0.2.9:192.0.2.1:255.255.255.0:h:eth0:static", "auto=none dev=eth0 ip=192.0.2.5 peer=192.0.2.9 gw=192.0.2.1 bits=24 host=h ifaces=eth0"},
		{"13, seven fields", c + "ip=192.0.2.5::192.0.2.1:255.255.255.0:h:eth0:none:192.0.2.53", "die"},
		{"13, unknown protocol", c + "ip=:::::eth0:bogus", "die"}, {"13, bad address", c + "ip=x:::::eth0:none", "die"}, {"13, bad address", c + "ip=192.0.2.5::x:::eth0:none", "die"},
		{"13, all", c + "ip=:::::all:dhcp", "auto=dhcp"}, {"13", c + "ip=none", ""}, {"13", c + "ip=", ""}, {"13", c + "ip=:::::eth0:", "auto=dhcp dev=eth0 ifaces=eth0"},
		{"13, IPAPPEND 1 is static", c + "ip=192.0.2.5:192.0.2.10:192.0.2.1:255.255.255.0", "auto=none ip=192.0.2.5 peer=192.0.2.10 gw=192.0.2.1 bits=24"},
		{"13, a protocol asks", c + "ip=192.0.2.5::::h:eth0:dhcp", "auto=dhcp dev=eth0 host=h ifaces=eth0"},
		{"11, IPAPPEND 2", "BOOTIF=01-52-54-00-12-34-56", "bootdev=52:54:00:12:34:56 ifaces=52:54:00:12:34:56"},
		{"11, IPAPPEND 3 and the rest", "ip=192.0.2.5:192.0.2.10:0.0.0.0:255.255.255.0 BOOTIF=01-52-54-00-12-34-56 SYSUUID=x CPU=6PVXL SYSVENDOR=QEMU SYSFF=1", "auto=none ip=192.0.2.5 peer=192.0.2.10 bits=24 bootdev=52:54:00:12:34:56 ifaces=52:54:00:12:34:56"},
		{"11, nothing known", "ip=0.0.0.0:0.0.0.0:0.0.0.0:0.0.0.0", "die"},
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

func FuzzNetwork(f *testing.F) {
	for _, s := range []string{
		"ip=eth0:dhcp ip=eth1:dhcp bond vlan=vlan5:eth0", "bareroot.ip=kernel ip=192.0.2.5:::::e:dhcp,1", "bareroot.ip=klibc ip=1.1.1.1", "rd.route=[::/0]:[fe80::1]:e ifname=a:00:11:22:33:44:55",
		"team=a:b:c bridge=a:b nameserver=::1 BOOTIF=01-00-11-22-33-44-55", "nfsaddrs=:::::::", "vlan=a.1:b", "ip=1.1.1.1 netmask=24 gateway=x ksdevice=bootif",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNetwork(Parse(s, "fuzz"))
		if err != nil {
			return
		}
		for _, v := range n.VLANs {
			if v.ID < 1 || v.ID > 4094 || v.Phys == "" {
				t.Fatalf("%q: %+v", s, v)
			}
		}
		for _, g := range append(append(append([]Group(nil), n.Bonds...), n.Bridges...), n.Teams...) {
			if g.Name == "" || len(g.Members) == 0 || slices.Contains(g.Members, "") {
				t.Fatalf("%q: %+v", s, g)
			}
		}
	})
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

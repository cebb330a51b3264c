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

// showWords writes what a line says about the network beside ip=.
func showWords(n Network) string {
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
	return strings.Join(out, " ")
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

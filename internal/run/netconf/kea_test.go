package netconf

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/run/rtnl"
)

type object = map[string]any

// kea serves DHCP with ISC's Kea: kind is 4 or 6. Its log shows each message with
// where it came from and went to. state is where it keeps its leases.
func (w *wires) kea(kind, sw, address, state string, config object) *server {
	w.t.Helper()
	program, err := exec.LookPath("/usr/sbin/kea-dhcp" + kind)
	if err != nil {
		w.t.Fatalf("%v: install kea-dhcp%s-server", err, kind)
	}
	flags := ""
	if kind == "6" {
		flags = " nodad"
	}
	if exec.Command("nsenter", w.args("ip addr add "+address+" dev "+sw+flags)...).Run() != nil {
		w.t.Logf("%s has %s already", sw, address)
	}
	// Kea listens on what is running: a switch with something switched on in a port.
	if exec.Command("nsenter", w.args("ip link add up-"+sw+" type veth peer name on-"+sw)...).Run() == nil {
		w.there("ip link set on-" + sw + " up")
		w.there("ip link set up-" + sw + " master " + sw + " up")
	}
	w.eventually("the switch runs", func() bool { return strings.Contains(w.there("ip -o link show "+sw), "state UP") })
	config["interfaces-config"] = object{"interfaces": []string{sw}}
	config["lease-database"] = object{"type": "memfile", "name": filepath.Join(state, "leases"+kind), "lfc-interval": 0}
	if kind == "6" {
		config["server-id"] = object{"type": "EN", "enterprise-id": 2495, "identifier": "0123456789", "persist": false}
	}
	config["loggers"] = []object{{"name": "kea-dhcp" + kind, "severity": "DEBUG", "debuglevel": 55, "output_options": []object{{"output": "stdout"}}}}
	text, err := json.Marshal(object{"Dhcp" + kind: config})
	if err != nil {
		w.t.Fatal(err)
	}
	if kind == "6" {
		w.eventually("the switch has a link-local address", func() bool {
			return strings.Contains(w.there("ip -6 addr show dev "+sw+" scope link -tentative"), "fe80")
		})
	}
	// A profile of AppArmor's that the distribution may have for Kea knows its
	// path, and that it reads nothing elsewhere: a copy is another program.
	dir := w.t.TempDir()
	b, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(dir+"/kea", b, 0o755)
	}
	if err == nil {
		err = os.WriteFile(dir+"/kea.conf", text, 0o644)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	s := w.start("env KEA_PIDFILE_DIR=" + dir + " KEA_LOCKFILE_DIR=none " + dir + "/kea -c " + dir + "/kea.conf")
	w.eventually("Kea started", func() bool { return strings.Contains(s.out.String(), "DHCP"+kind+"_STARTED") })
	return s
}

// got counts messages of a kind from and to addresses, which are patterns.
func (s *server) got(kind, from, to string) int {
	return len(regexp.MustCompile(kind+` \(type \d+\) received from `+from+` to `+to+` `).FindAllString(s.out.String(), -1))
}

// short are the times of a lease that ends while a test waits.
func short(config object) object {
	config["valid-lifetime"], config["renew-timer"], config["rebind-timer"] = 12, 3, 6
	return config
}

// TestKea: a second kind of server. All that a lease says; its renewal at T1 by
// unicast and at T2 by everybody, its end by the clock, and the next one.
func TestKea(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	state := t.TempDir()
	start := func() *server {
		return w.kea("4", "sw0", "10.1.0.1/24", state, short(object{"subnet4": []object{{"subnet": "10.1.0.0/24", "pools": []object{{"pool": "10.1.0.50-10.1.0.60"}},
			"next-server": "10.1.0.8", "boot-file-name": "boot.img",
			"reservations": []object{{"client-id": "01:" + mac0, "ip-address": "10.1.0.70", "hostname": "node7"}},
			"option-data": []object{{"name": "root-path", "data": "nfs:10.1.0.9:/srv"}, {"name": "domain-name", "data": "one.example"}, {"name": "ntp-servers", "data": "10.1.0.4"},
				{"name": "domain-search", "data": "one.example, two.one.example"}, {"name": "domain-name-servers", "data": "10.1.0.2,10.1.0.3"}, {"name": "routers", "data": "10.1.0.254"},
				{"code": 121, "space": "dhcp4", "csv-format": false, "data": "000A0100FD100A090A0100FC"}, {"name": "interface-mtu", "data": "1400"}}}}}))
	}
	first := start()
	r := w.up(w.boot("rd.neednet=1", func(c *Config) { c.UUID = someUUID }))
	l := r.Lease
	if l.RootPath != "nfs:10.1.0.9:/srv" || l.Host != "node7" || l.Domain != "one.example" || l.MTU != 1400 || l.Server.String() != "10.1.0.1" || l.NextServ.String() != "10.1.0.8" ||
		l.BootFile != "boot.img" || len(l.NTP) != 1 || l.Duration != 12*time.Second || l.T1 != 3*time.Second || l.T2 != 6*time.Second {
		t.Errorf("lease %+v", l)
	}
	always := []string{"10.1.0.70/24"}
	if d := cmp.Diff(always, w.addresses("eth0")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"10.1.0.0/24", "10.9.0.0/16 via 10.1.0.252", "default via 10.1.0.253"}, w.routes("eth0")); d != "" {
		t.Error(d)
	}
	if got, want := w.file("etc/resolv.conf"), "search one.example two.one.example\nnameserver 10.1.0.2\nnameserver 10.1.0.3\n"; got != want {
		t.Errorf("resolv.conf: %q", got)
	}
	if first.got("DHCPDISCOVER", "0.0.0.0", "255.255.255.255") != 1 || first.got("DHCPREQUEST", "0.0.0.0", "255.255.255.255") != 1 {
		t.Error("these are not the four messages")
	}
	for _, says := range []string{"type=061, len=007: 01:02:00:00:00:00:10", "type=097, len=017: 0 (uint8) 44454C4C510010358052C4C04F4D3532", `type=060, len=008: "bareroot"`} {
		if !strings.Contains(first.out.String(), says) {
			t.Errorf("Kea did not hear %s", says)
		}
	}
	w.eventually("T1 has come twice", func() bool { return first.got("DHCPREQUEST", "10.1.0.70", "10.1.0.1") >= 2 })
	if first.got("DHCPDISCOVER", ".*", ".*") != 1 || first.got("DHCPREQUEST", ".*", "255.255.255.255") != 1 {
		t.Error("a renewal was no unicast")
	}
	if d := cmp.Diff(always, w.addresses("eth0")); d != "" {
		t.Error(d)
	}

	// Without its server the lease is asked for by broadcast from T2 on, once: who is
	// to hear that is there before.
	w.there("ip link add sw9 type bridge mcast_snooping 0")
	w.there("ip link set sw9 up")
	w.there("ip link add here type veth peer name there")
	w.there("ip link set here master sw0 up")
	w.there("ip link set there master sw9 up")
	second := w.kea("4", "sw9", "10.1.0.2/24", t.TempDir(), short(object{"authoritative": false, "subnet4": []object{{"subnet": "10.2.0.0/24", "interface": "sw9"}}}))
	first.stop()
	w.there("ip addr flush dev sw0")
	w.eventually("T2 has come", func() bool { return second.got("DHCPREQUEST", "10.1.0.70", "255.255.255.255") >= 1 })
	w.eventually("the lease has ended", func() bool { return len(w.addresses("eth0")) == 0 })
	w.eventually("it is said", func() bool { return w.said("the lease of 10.1.0.70/24 on eth0 has ended") })
	w.eventually("it looks for another", func() bool { return second.got("DHCPDISCOVER", "0.0.0.0", "255.255.255.255") >= 1 })
	second.stop()

	// The server is back, with what it wrote down.
	start()
	w.eventually("the address is back", func() bool { return cmp.Equal(always, w.addresses("eth0")) })
}

// TestKeaRefuses: in another network the server refuses the address, and gives
// one of its own.
func TestKeaRefuses(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw1")
	w.plug("spare", mac1, "sw2")
	serve := func(sw, net string) *server {
		return w.kea("4", sw, "10."+net+".0.1/24", t.TempDir(), object{"authoritative": true, "valid-lifetime": 3600,
			"subnet4": []object{{"subnet": "10." + net + ".0.0/24", "pools": []object{{"pool": "10." + net + ".0.50-10." + net + ".0.60"}}}}})
	}
	serve("sw1", "1")
	other := serve("sw2", "2")
	w.up(w.boot("ip=dhcp rd.neednet=1"))
	w.unplug("eth0", true)
	w.there("ip link set p-eth0 master sw2")
	w.unplug("eth0", false)
	w.eventually("an address of the other network", func() bool {
		a := w.addresses("eth0")
		return len(a) == 1 && strings.HasPrefix(a[0], "10.2.0.")
	})
	if !strings.Contains(other.out.String(), "DHCPNAK (type 6)") {
		t.Error("the server has refused nothing")
	}
}

// TestKeepsFirmwaresAddress: the lease that firmware has is the one that the
// ramdisk gets, whether the firmware called itself by its MAC alone (as UEFI's
// does) or by type and MAC (iPXE).
func TestKeepsFirmwaresAddress(t *testing.T) {
	t.Parallel()
	for name, id := range map[string][]option4{"MAC alone": nil, "type and MAC": {{optClient4, []byte{1, 2, 0, 0, 0, 0, 0x10}}}} {
		for _, server := range []string{"Kea", "dnsmasq"} {
			t.Run(name+", "+server, func(t *testing.T) {
				if elsewhere(t) {
					return
				}
				w := wire(t)
				w.plug("eth0", mac0, "sw0")
				if server == "Kea" {
					w.kea("4", "sw0", "10.1.0.1/24", t.TempDir(), object{"valid-lifetime": 3600, "subnet4": []object{{"subnet": "10.1.0.0/24", "pools": []object{{"pool": "10.1.0.50-10.1.0.60"}}}}})
				} else {
					address, pool := lan(1)
					w.dnsmasq("sw0", address, pool)
				}
				had := w.firmware("eth0", append(id, option4{optClass, []byte("PXEClient:Arch:00007:UNDI:003000")}, option4{optParams, []byte{optMask, optRouter}}))
				if r := w.up(w.boot("rd.neednet=1", func(c *Config) { c.UUID = someUUID })); r.Lease.Address.Addr() != had {
					t.Errorf("the firmware had %s, the ramdisk has %s", had, r.Lease.Address)
				}
			})
		}
	}
}

// firmware gets a lease with one of our NICs, as a program that only says opts of itself.
func (w *wires) firmware(nic string, opts []option4) netip.Addr {
	w.t.Helper()
	l, err := rtnl.ByName(nic)
	if err == nil {
		err = rtnl.Set(l.Index, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := open4(l.Name, l.Index, l.MAC)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.close()
	c := client4{conn: conn, mac: l.MAC, debugf: w.t.Logf}
	m := message4{op: ask4, hardware: 1, xid: [4]byte{1, 2, 3, 4}, mac: l.MAC}
	say := func(more ...option4) *message4 {
		m.opts = append(more, opts...)
		for range 20 {
			if err := conn.send(m.bytes(), broadcast); err != nil {
				w.t.Logf("%v", err) // the cable is not there yet
			}
			if r, err := c.reply(w.t.Context(), m, time.Second/2, func(message4) bool { return true }); err != nil {
				w.t.Fatal(err)
			} else if r != nil {
				return r
			}
		}
		w.t.Fatal("nobody answers the firmware")
		return nil
	}
	offer := say(option4{optKind, []byte{discover4}})
	server := offer.server()
	ack := say(option4{optKind, []byte{request4}}, option4{optRequested, offer.yours.AsSlice()}, option4{optServer4, server.AsSlice()})
	if ack.kind() != ack4 {
		w.t.Fatalf("the firmware got %+v", ack)
	}
	return ack.yours
}

// TestKea6: an address by DHCPv6 with what comes with it, renewed at T1, rebound
// at T2, lost at its end, and there again.
func TestKea6(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth0", mac0, "sw0")
	conf := object{"subnet6": []object{{"subnet": "fd01::/64", "interface": "sw0", "pools": []object{{"pool": "fd01::100-fd01::1ff"}}, "rapid-commit": false,
		"option-data": []object{{"name": "dns-servers", "data": "fd01::53"}, {"name": "domain-search", "data": "one.example"}, {"name": "bootfile-url", "data": "http://[fd01::1]/boot"},
			{"name": "sntp-servers", "data": "fd01::123"}}}}}
	short(conf)["preferred-lifetime"] = 10
	first := w.kea("6", "sw0", "fd01::1/64", t.TempDir(), conf)
	m := w.boot("ip=eth0:dhcp6", func(c *Config) { c.UUID = someUUID })
	r := w.up(m)
	l := r.Lease
	if fmt.Sprintln(l.DNS, l.Search, l.NTP, l.BootFile, l.Duration, l.T1, l.T2) != "[fd01::53] [one.example] [fd01::123] http://[fd01::1]/boot 12s 3s 6s\n" {
		t.Errorf("lease %+v", l)
	}
	if !strings.Contains(first.out.String(), "00:04:4c:4c:45:44:00:51:35:10:80:52:c4:c0:4f:4d:35:32") {
		t.Error("Kea did not hear the machine's UUID")
	}
	before := w.addresses("eth0")
	w.eventually("T1 has come twice", func() bool {
		return strings.Count(first.out.String(), "DHCP6_PROCESS_IA_NA_RENEW")+strings.Count(first.out.String(), "DHCP6_LEASE_RENEW") >= 2
	})
	if d := cmp.Diff(before, w.addresses("eth0")); d != "" {
		t.Error(d)
	}
	first.stop()
	w.eventually("the lease has ended", func() bool {
		return w.said("the lease of "+before[0]+" on eth0 has ended") && len(w.addresses("eth0")) == 0
	})
	w.kea("6", "sw0", "fd01::1/64", t.TempDir(), conf)
	w.eventually("there is an address again", func() bool { return len(w.addresses("eth0")) == 1 })
}

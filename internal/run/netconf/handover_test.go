package netconf

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func someLease() *Lease {
	return &Lease{Method: "dhcp", Address: prefix("10.1.0.50/24"), Server: netip.MustParseAddr("10.1.0.1"), Gateway: netip.MustParseAddr("10.1.0.254"),
		DNS: []netip.Addr{netip.MustParseAddr("10.1.0.2")}, Domain: "one.example", Search: []string{"two.example"}, Host: "it's", RootPath: `nfs:"x"` + "\n;reboot",
		Duration: time.Hour, T1: 30 * time.Minute, T2: 50 * time.Minute, Obtained: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Packet: []byte("ack")}
}

// handOvers are networks as a root gets them.
func handOvers() map[string]handover {
	bond := &virtual{kind: "bond", name: "bond0", options: []string{"mode=1", "miimon=100", "arp_ip_target=10.1.0.1,10.1.0.2"}}
	bridge := &virtual{kind: "bridge", name: "br0", members: []string{"eth0", "eth1"}}
	vlan := &virtual{kind: "vlan", name: "bond0.5", id: 5, phys: "bond0"}
	static := &Lease{Method: "static", Address: prefix("10.1.0.9/24"), Gateway: netip.MustParseAddr("10.1.0.254"), DNS: []netip.Addr{netip.MustParseAddr("10.1.0.3")}}
	six := &Lease{Method: "dhcp6", Address: prefix("fd01::100/128"), Duration: time.Hour, DNS: []netip.Addr{netip.MustParseAddr("fd01::53")}}
	auto := &Lease{Method: "auto6", Address: prefix("fd01::1:2/64")}
	dns := []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	route := []LeaseRoute{{prefix("172.16.0.0/12"), netip.MustParseAddr("10.1.0.7")}}
	return map[string]handover{
		"dhcp":   {peerDNS: true, needed: true, nics: []handed{{name: "eth0", index: 2, mac: mac0, perm: mac0, four: someLease(), byMAC: true, dns: dns, routes: route}}},
		"both":   {nics: []handed{{name: "eth0", index: 2, mac: mac0, perm: mac1, mtu: 9000, four: someLease(), six: six, byMAC: true}}},
		"static": {peerDNS: true, nics: []handed{{name: "eth0", index: 2, mac: mac0, perm: mac0, four: static, six: auto, byMAC: true, routes: route}}},
		"bridge": {peerDNS: true, nics: []handed{{name: "eth0", index: 2, mac: mac0, perm: mac0, master: bridge}, {name: "eth1", index: 3, mac: mac1, perm: mac1, master: bridge},
			{name: "br0", index: 4, mac: mac0, perm: mac0, made: bridge, mtu: 1400, four: static, routes: route}}},
		"vlan on bond": {peerDNS: true, needed: true, nics: []handed{{name: "eth0", index: 2, mac: mac0, perm: mac2, master: bond}, {name: "bond0", index: 4, mac: mac0, made: bond, vlans: []string{"bond0.5"}},
			{name: "bond0.5", index: 5, mac: mac0, made: vlan, four: someLease()}}},
	}
}

// TestHandOverFiles holds the files to testdata; "go test -update" writes it.
func TestHandOverFiles(t *testing.T) {
	redhats, suses := t.TempDir(), t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(redhats, redhat), 0o755), os.MkdirAll(filepath.Join(suses, suse), 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, h := range handOvers() {
		var b strings.Builder
		files := slices.Concat(h.klibc(), h.networkd(), h.networkManager(), h.dhclient(), h.ifcfg(redhats), h.ifcfg(suses), []file{h.ifstate()})
		slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
		for _, f := range files {
			b.WriteString("== " + f.path + " " + f.mode.String() + "\n" + f.text)
		}
		golden := filepath.Join("testdata/handover", strings.ReplaceAll(name, " ", "-")+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestShell: a shell reads back what was written, whatever it was.
func TestShell(t *testing.T) {
	evil := `a'b"c$(reboot)` + "`x`\\ ;\n|"
	p := filepath.Join(t.TempDir(), "net.conf")
	if err := os.WriteFile(p, []byte(shell([][2]string{{"ROOTPATH", evil}})), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", ". "+p+`; printf %s "$ROOTPATH"`).Output()
	if want := strings.ReplaceAll(evil, "\n", ""); err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

// TestRootsFiles: what is written into a root, and what is left alone.
func TestRootsFiles(t *testing.T) {
	h := handover{resolv: "nameserver 10.1.0.2\n", nics: []handed{{name: "eth0", four: someLease()}}}
	for name, c := range map[string]struct {
		there  map[string]string // "->x" is a link, "/" a folder
		keeper string
		want   []string
	}{
		"ifupdown":                   {map[string]string{"etc/systemd/system/multi-user.target.wants/networking.service": "->x"}, "networking", nil},
		"nothing there":              {nil, "", []string{"etc/resolv.conf"}},
		"an empty resolv.conf":       {map[string]string{"etc/resolv.conf": ""}, "", []string{"etc/resolv.conf"}},
		"somebody's resolv.conf":     {map[string]string{"etc/resolv.conf": "x"}, "", nil},
		"resolved's link":            {map[string]string{"etc/resolv.conf": "->../run/systemd/resolve/stub-resolv.conf"}, "", nil},
		"NetworkManager":             {map[string]string{"etc/systemd/system/multi-user.target.wants/NetworkManager.service": "->x"}, "NetworkManager", nil},
		"networkd":                   {map[string]string{"usr/lib/systemd/system/multi-user.target.wants/systemd-networkd.service": "->x"}, "systemd-networkd", nil},
		"clients of DHCP":            {map[string]string{"etc/resolv.conf": "x", "var/lib/dhcp": "/", "var/lib/dhcpcd": "/"}, "", []string{"var/lib/dhcp/dhclient.eth0.leases", "var/lib/dhcpcd/eth0.lease"}},
		"a lease that it had before": {map[string]string{"etc/resolv.conf": "x", "var/lib/dhcp/dhclient.eth0.leases": "old"}, "", nil},
	} {
		root := t.TempDir()
		for p, text := range c.there {
			p = filepath.Join(root, p)
			err := os.MkdirAll(filepath.Dir(p), 0o755)
			if target, link := strings.CutPrefix(text, "->"); link && err == nil {
				err = os.Symlink(target, p)
			} else if text == "/" && err == nil {
				err = os.Mkdir(p, 0o755)
			} else if err == nil {
				err = os.WriteFile(p, []byte(text), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := keeperOf(root); got != c.keeper {
			t.Errorf("%s: kept by %q", name, got)
		}
		var got []string
		for _, f := range slices.Concat(h.resolvIn(root, c.keeper), h.leasesIn(root)) {
			got = append(got, f.path)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestIfcfgOfTheRoot: a root's own file is covered only if the root hangs on the network.
func TestIfcfgOfTheRoot(t *testing.T) {
	root := t.TempDir()
	for _, f := range []file{{redhat + "ifcfg-eth0", 0o644, "its own"}, {redhat + "ifcfg-lo", 0o644, ""}} {
		if err := write(root, f); err != nil {
			t.Fatal(err)
		}
	}
	for needed, want := range map[bool][]string{true: {"ifcfg-eth0", "ifcfg-eth1"}, false: {"ifcfg-eth1"}} {
		h := handover{needed: needed, nics: []handed{{name: "eth0", mac: mac0, four: someLease()}, {name: "eth1", mac: mac1, four: someLease()}}}
		var got []string
		for _, f := range h.ifcfg(root) {
			got = append(got, filepath.Base(f.path))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("needed %v: %s", needed, d)
		}
	}
	if got := (handover{needed: true, nics: []handed{{name: "eth0", four: someLease()}}}).ifcfg(t.TempDir()); len(got) > 0 {
		t.Errorf("a root of another kind gets %v", got)
	}
}

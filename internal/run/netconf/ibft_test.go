package netconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/cmdline"
)

func TestIBFT(t *testing.T) {
	const booted = "mac=02:00:00:00:00:10 flags=3 "
	for name, c := range map[string]struct {
		nic   string // attributes; nics are separated by "/"
		all   bool
		words string
		why   string
	}{
		"DHCP by its server":              {nic: booted + "dhcp=10.1.0.1 ip-addr=10.1.0.5", words: "ifname=ibft0:02:00:00:00:00:10 ip=ibft0:dhcp"},
		"DHCP by the address's origin":    {nic: booted + "origin=3 ip-addr=10.1.0.5", words: "ifname=ibft0:02:00:00:00:00:10 ip=ibft0:dhcp"},
		"DHCPv6":                          {nic: booted + "dhcp=fe80::1", words: "ifname=ibft0:02:00:00:00:00:10 ip=ibft0:dhcp6"},
		"static":                          {nic: booted + "ip-addr=10.1.0.5 subnet-mask=255.255.255.0 gateway=10.1.0.1 dhcp=0.0.0.0 primary-dns=10.1.0.2 secondary-dns=0.0.0.0", words: "ifname=ibft0:02:00:00:00:00:10 ip=10.1.0.5::10.1.0.1:255.255.255.0::ibft0:none:10.1.0.2"},
		"static, IPv6":                    {nic: booted + "ip-addr=fd01::5 prefix-len=64", words: "ifname=ibft0:02:00:00:00:00:10 ip=[fd01::5]:::64::ibft0:none"},
		"static in a VLAN":                {nic: booted + "vlan=5 ip-addr=10.1.0.5 prefix-len=24", words: "ifname=ibft0:02:00:00:00:00:10 vlan=ibft0.5:ibft0 ip=10.1.0.5:::24::ibft0.5:none"},
		"DHCP in a VLAN":                  {nic: booted + "vlan=5 dhcp=10.1.0.1", words: "ifname=ibft0:02:00:00:00:00:10 vlan=ibft0.5:ibft0 ip=ibft0.5:dhcp"},
		"the second was booted from":      {nic: "mac=02:00:00:00:00:11 flags=1 dhcp=10.1.0.1/" + booted + "dhcp=10.1.0.1", words: "ifname=ibft1:02:00:00:00:00:10 ip=ibft1:dhcp", why: "has not booted"},
		"all that are valid":              {nic: "mac=02:00:00:00:00:11 flags=1 dhcp=10.1.0.1/" + booted + "dhcp=10.1.0.1", all: true, words: "ifname=ibft0:02:00:00:00:00:11 ip=ibft0:dhcp ifname=ibft1:02:00:00:00:00:10 ip=ibft1:dhcp"},
		"not valid":                       {nic: "mac=02:00:00:00:00:11 flags=0", why: "not valid"},
		"no address":                      {nic: booted + "ip-addr=0.0.0.0 subnet-mask=0.0.0.0", why: "neither"},
		"an address that would be a word": {nic: booted + "ip-addr=10.1.0.5:x prefix-len=24", why: "neither"},
		"no MAC":                          {nic: "flags=3 mac=zz", why: "MAC"},
		"VLAN 9999":                       {nic: booted + "vlan=9999 dhcp=10.1.0.1", why: "VLAN"},
		"nothing":                         {},
	} {
		dir := t.TempDir()
		for i, nic := range strings.Split(c.nic, "/") {
			d := filepath.Join(dir, "ethernet"+string(rune('0'+i)))
			for _, a := range strings.Fields(nic) {
				k, v, _ := strings.Cut(a, "=")
				if err := os.MkdirAll(d, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(d, k), []byte(v+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		words, notices := IBFT(dir, c.all)
		if d := cmp.Diff(c.words, strings.Join(words, " ")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if got := strings.Join(notices, " "); (got != "") != (c.why != "") || !strings.Contains(got, c.why) {
			t.Errorf("%s: notices %q", name, got)
		}
	}
}

// FuzzIBFT: whatever a firmware's table has, the words it makes are words.
func FuzzIBFT(f *testing.F) {
	f.Add("3", "02:00:00:00:00:10", "10.1.0.5", "24", "10.1.0.1", "5", "")
	f.Add("3", "02:00:00:00:00:10", "fd01::5", "64", "", "", "fe80::1")
	f.Add("1", "x", "", "", "", "0", "0.0.0.0")
	f.Fuzz(func(t *testing.T, flags, mac, ip, mask, gw, vlan, dhcp string) {
		attrs := map[string]string{"flags": flags, "mac": mac, "ip-addr": ip, "prefix-len": mask, "gateway": gw, "vlan": vlan, "dhcp": dhcp}
		words, why := ibftNIC("ibft0", true, func(a string) string { return strings.TrimSpace(attrs[a]) })
		if why != "" && len(words) > 0 {
			t.Errorf("refused (%s), and words %q", why, words)
		}
		line := cmdline.FromWords(words, "ibft")
		if len(line) != len(words) {
			t.Errorf("%q are %d words", words, len(line))
		}
		for _, w := range line {
			if w.Key != "ifname" && w.Key != "vlan" && w.Key != "ip" {
				t.Errorf("word %q", w)
			}
		}
	})
}

package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const doc = `
state_dir: /srv/b
http: 10.0.0.1:80
interfaces:
  - name: eth1
    dhcp: authoritative
    range: 10.0.0.100-10.0.0.200
    router: 10.0.0.254
    dns: [10.0.0.253]
    router_advertisement: true
  - name: eth2
subnets:
  - prefix: 10.1.0.0/16
    cmdline: console=ttyS1 rd.debug
    locked: [console]
    modules: [bonding]
    ssh_keys: [ssh-ed25519 AAAA joe]
  - prefix: fd00::/64
power:
  - url: https://bmc
    username: u
    password_file: /p
`
	c, err := Parse("f.yaml", []byte(doc), func(c *Config) { c.HTTP = ":8000" })
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{StateDir: "/srv/b", HTTP: ":8000", BootPrograms: "/usr/lib/ipxe", LogLevel: "info",
		Admin: Admin{Listen: "127.0.0.1:8081", Socket: "/srv/b/admin.sock", TokenFile: "/srv/b/admin.token"},
		Interfaces: []Interface{
			{Name: "eth1", DHCP: "authoritative", Range: "10.0.0.100-10.0.0.200", Lease: time.Hour, Router: "10.0.0.254", DNS: []string{"10.0.0.253"}, RA: true},
			{Name: "eth2", DHCP: "proxy"},
		},
		Subnets: []Subnet{
			{Prefix: "10.1.0.0/16", Cmdline: "console=ttyS1 rd.debug", Locked: []string{"console"}, Modules: []string{"bonding"}, SSHKeys: []string{"ssh-ed25519 AAAA joe"}},
			{Prefix: "fd00::/64"},
		},
		Power: []Power{{URL: "https://bmc", Username: "u", PasswordFile: "/p"}},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestParseErrors(t *testing.T) {
	cases := map[string]struct{ doc, want string }{
		"unknown field":      {"http: \":1\"\nhtpp: x", "f.yaml:2: field htpp is not known"},
		"unknown deep field": {"interfaces:\n  - name: a\n    dhpc: x", "f.yaml:3: field dhpc is not known"},
		"no YAML":            {"a: [", "f.yaml:1: did not find expected node content"},
		"wrong kind":         {"interfaces: 5", "f.yaml:1: cannot unmarshal"},
		"two documents":      {"http: \":1\"\n---\nhttp: \":2\"", "more than one YAML document"},
		"http":               {"\nhttp: nonsense", `f.yaml:2: http: "nonsense" is no address`},
		"base url":           {"base_url: ftp://x", "f.yaml:1: base_url"},
		"base url inject":    {"base_url: 'http://x/${uuid}'", "f.yaml:1: base_url"},
		"dhcp mode":          {"interfaces:\n- name: a\n  dhcp: yes please", "f.yaml:3: interfaces[0].dhcp"},
		"no range":           {"interfaces:\n- name: a\n  dhcp: authoritative", "f.yaml:3: interfaces[0].dhcp: an authoritative DHCP server needs a range"},
		"range alone":        {"interfaces:\n- name: a\n  range: 10.0.0.1-10.0.0.2", "f.yaml:3: interfaces[0].range: only with dhcp: authoritative"},
		"range backwards":    {"interfaces:\n- name: a\n  dhcp: authoritative\n  range: 10.0.0.9-10.0.0.2", "f.yaml:4: interfaces[0].range: the range 10.0.0.9-10.0.0.2 ends before it begins"},
		"range wide":         {"interfaces:\n- name: a\n  dhcp: authoritative\n  range: 10.0.0.1-11.0.0.2", "more than 65536"},
		"range no address":   {"interfaces:\n- name: a\n  dhcp: authoritative\n  range: a-b", `"a" is no IPv4 address`},
		"short lease":        {"interfaces:\n- name: a\n  dhcp: authoritative\n  range: 10.0.0.1-10.0.0.2\n  lease: 1s", "f.yaml:5: interfaces[0].lease"},
		"twice":              {"interfaces:\n- name: a\n- name: a", "f.yaml:3: interfaces[1].name: interface \"a\" is listed twice"},
		"interface name":     {"interfaces:\n- name: a/b", "no name of a network interface"},
		"admin outside":      {"admin:\n  listen: 0.0.0.0:1", "f.yaml:2: admin.listen: 0.0.0.0:1 is reachable from other machines"},
		"half of TLS":        {"admin:\n  tls_cert: x", "f.yaml:2: admin.tls_cert"},
		"power url":          {"power:\n- url: https://u:secret@h", "f.yaml:2: power[0].url"},
		"half a login":       {"power:\n- url: https://h\n  username: u", "f.yaml:3: power[0].username"},
		"no subnet":          {"subnets:\n- prefix: 10.0.0.1", "f.yaml:2: subnets[0].prefix: \"10.0.0.1\" is no subnet"},
		"subnet of a host":   {"subnets:\n- prefix: 10.0.0.1/24", "the subnet is 10.0.0.0/24"},
		"subnet twice":       {"subnets:\n- prefix: 10.0.0.0/8\n- prefix: 10.0.0.0/8", "f.yaml:3: subnets[1].prefix: subnet 10.0.0.0/8 is listed twice"},
		"two lines":          {"subnets:\n- prefix: 10.0.0.0/8\n  cmdline: \"a\\nb\"", "f.yaml:3: subnets[0].cmdline: it must be one line"},
		"locked value":       {"subnets:\n- prefix: 10.0.0.0/8\n  locked: [a=b]", "f.yaml:3: subnets[0].locked: \"a=b\" is no name"},
		"ssh key":            {"subnets:\n- prefix: 10.0.0.0/8\n  ssh_keys: ['command=\"x\" ssh-rsa A']", "f.yaml:3: subnets[0].ssh_keys"},
		"level":              {"log_level: loud", "f.yaml:1: log_level"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tc.doc), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the message tells the password: %v", err)
			}
		})
	}
}

func TestFileMissing(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "x"), nil); err == nil {
		t.Error("no error")
	}
}

// commented is a value that is commented out, not a line of prose.
var commented = regexp.MustCompile(`^#(  +(?:- )?|)#?([a-z_]+:.*)$`)

// The sample is what people start from: it must be right, and so must it be
// with everything switched on.
func TestSample(t *testing.T) {
	b, err := os.ReadFile("../../../packaging/bareroot.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("sample", b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), c, cmp.Transformer("empty", func(s []Interface) int { return len(s) }), cmp.Transformer("none", func(s []Power) int { return len(s) }), cmp.Transformer("nothing", func(s []Subnet) int { return len(s) })); d != "" {
		t.Errorf("the sample is not the defaults: %s", d)
	}
	on := strings.NewReplacer("interfaces: []", "interfaces:", "admin: {}", "admin:", "power: []", "power:", "subnets: []", "subnets:").Replace(string(b))
	var lines []string
	for _, l := range strings.Split(on, "\n") {
		lines = append(lines, commented.ReplaceAllString(l, "$1$2"))
	}
	text := strings.Replace(strings.Join(lines, "\n"), "dhcp: proxy ", "dhcp: authoritative ", 1)
	c, err = Parse("sample switched on", []byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(c.Interfaces) != 1 || c.Interfaces[0].Range == "" || len(c.Power) != 1 || c.Admin.TLSCert == "" {
		t.Errorf("not everything was switched on: %+v", c)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("interfaces:\n- name: a\n  dhcp: authoritative\n  range: 10.0.0.9-10.0.0.2")
	f.Add("admin: {listen: none}")
	f.Fuzz(func(t *testing.T, doc string) {
		if c, err := Parse("f", []byte(doc), nil); err == nil {
			for _, i := range c.Interfaces {
				if i.DHCP == DHCPAuthoritative {
					if a, b, err := i.Addrs(); err != nil || b.Less(a) {
						t.Fatalf("accepted range %q", i.Range)
					}
				}
			}
		}
	})
}

package host

import (
	"net/netip"
	"strings"
	"testing"

	"bareroot/internal/sys"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseFstab(t *testing.T) {
	in := "# c\n\n  UUID=1-2\t/ ext4 defaults 0 1\nLABEL=\"a\\040b\" /usr xfs\nshort /\n/dev/sda2 none swap sw 0 0\n"
	want := []sys.MountPoint{
		{Source: "UUID=1-2", Target: "/", Type: "ext4", Options: "defaults"},
		{Source: "LABEL=a b", Target: "/usr", Type: "xfs"},
		{Source: "/dev/sda2", Target: "none", Type: "swap", Options: "sw"},
	}
	if d := cmp.Diff(want, parseFstab(in)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseMapped(t *testing.T) {
	id := strings.Repeat("a", 64)
	tests := map[string]struct {
		uuid, name string
		want       mapped
	}{
		"LV":                {"LVM-" + id, "vg-root", mapped{Kind: "lvm", VG: "vg", LV: "root"}},
		"LV with dashes":    {"LVM-" + id, "my--vg-the--root", mapped{Kind: "lvm", VG: "my-vg", LV: "the-root"}},
		"hidden LV":         {"LVM-" + id + "-tpool", "vg-p-tpool", mapped{Kind: "lvm", VG: "vg", LV: "p", Hide: true}},
		"renamed LV":        {"LVM-" + id, "odd", mapped{Kind: "lvm"}},
		"LUKS2":             {"CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks-x", "luks-x", mapped{Kind: "crypt", Type: "LUKS2", UUID: "01234567-89ab-cdef-0123-456789abcdef"}},
		"plain dm-crypt":    {"CRYPT-PLAIN-swap", "swap", mapped{Kind: "crypt", Type: "PLAIN"}},
		"verity":            {"CRYPT-VERITY-abc-usr", "usr", mapped{Kind: "verity", Type: "VERITY"}},
		"multipath":         {"mpath-3600", "mpatha", mapped{Kind: "multipath"}},
		"its partition":     {"part12-mpath-3600", "mpatha12", mapped{Kind: "partition"}},
		"partition, no nr.": {"part-mpath", "x", mapped{}},
		"fake raid":         {"DMRAID-isw", "isw", mapped{Kind: "dmraid"}},
		"none":              {"", "x", mapped{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, parseMapped(tt.uuid, tt.name)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	routes := parseRoutes("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n" +
		"eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\neth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\ndown\t0001000A\t0\t0000\t0\t0\t0\t00FFFFFF\nbad\tzz\t0\t1\t0\t0\t0\t0\n")
	routes = append(routes, parseRoutes6("00000000000000000000000000000000 00 0 00 0 0 0 0 00000003 eth6\nfe800000000000000000000000000000 40 0 00 0 0 0 0 1 eth0\nzz 00 0 0 0 0 0 0 0 x\n")...)
	for addr, want := range map[string]string{"10.9.9.9": "eth1", "192.0.2.1": "eth0", "2001:db8::1": "eth6", "fe80::1": "eth0", "::ffff:10.1.2.3": "eth1"} {
		if got := via(routes, netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	if got := via(nil, netip.MustParseAddr("10.0.0.1")); got != "" {
		t.Errorf("without routes: %q", got)
	}
}

func TestNFSSource(t *testing.T) {
	for in, want := range map[string][2]string{"srv:/a:/b": {"srv", "/a:/b"}, "[2001:db8::1]:/x": {"[2001:db8::1]", "/x"}, "srv:rel": {}, ":/x": {}, "[::1/x": {}} {
		s, d, ok := nfsSource("nfs", in)
		if got := [2]string{s, d}; got != want || ok != (want[0] != "") {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestParseModules(t *testing.T) {
	got := parseModules(`xor 24576 2 async_xor,btrfs, Live 0x0
raid10 65536 0 - Live 0x0
ext4 983040 1 - Live 0x0
dm_mod 184320 3 dm_crypt, Live 0x0
sunrpc 700000 2 nfs,[permanent], Live 0x0
old 4096 - - Live 0x0
short
`)
	want := []loaded{{"dm_mod", true}, {"ext4", true}, {"old", true}, {"raid10", false}, {"sunrpc", true}, {"xor", false}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestKept(t *testing.T) {
	for in, want := range map[string]string{
		"defaults": "", "rw,subvol=@,x-systemd.automount,noatime": "subvol=@,noatime", "compress=zstd:1": "compress=zstd:1", "_netdev,vers=4.2,nolock": "vers=4.2,nolock", "errors=remount-ro": "", "": "",
	} {
		if got := kept(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{
		`UUID=a\040b / ext4 x`, "LVM-x\nvg--a-b-", "eth0\t0000000A\t0\t0001\t0\t0\t0\t000000FF\n",
		"fe800000000000000000000000000000 ff 0 00 0 0 0 0 1 eth0", `a="b c`, "a UUID=\"x\" - luks,,keyscript=y,header=/z:LABEL=q", "/dev/sda partition 1", "part9-mpath-x", "CRYPT-LUKS1--", "[::1]:/x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range parseFstab(s) {
			if m.Type == "" || m.Target == "" {
				t.Errorf("a mount without type or place: %+v", m)
			}
		}
		for _, c := range parseCrypttab(s) {
			if again := parseCrypttab(c.Line()); len(again) != 1 || again[0].Line() != c.Line() {
				t.Errorf("line %q is read as %+v", c.Line(), again)
			}
		}
		parseSwaps(s)
		parseModules(s)
		for _, r := range append(parseRoutes(s), parseRoutes6(s)...) {
			if !r.Prefix.IsValid() {
				t.Errorf("route %v is not valid", r)
			}
		}
		uuid, name, _ := strings.Cut(s, "\n")
		if m := parseMapped(uuid, name); m.Kind == "" && !cmp.Equal(m, mapped{}, cmpopts.EquateEmpty()) {
			t.Errorf("an unknown device with properties: %+v", m)
		}
		nfsSource("nfs", s)
		kept(s)
	})
}

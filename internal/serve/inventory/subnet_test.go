package inventory

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/serve/order"
)

// TestSubnets: the smallest subnet of the asking address speaks, before the
// machine's own words, which are stronger.
func TestSubnets(t *testing.T) {
	b := newBench(t)
	b.cfg.Subnets = []Subnet{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Cmdline: "rd.debug", Modules: []string{"wide"}},
		{Prefix: netip.MustParsePrefix("10.0.7.0/24"), Cmdline: "rd.shell=0  rd.timeout=5", Locked: []string{"rd.shell"}, Modules: []string{"bonding"}, SSHKeys: []string{"ssh-ed25519 AAAA"}},
		{Prefix: netip.MustParsePrefix("fd00::/64"), Cmdline: "six=1"},
	}
	for address, want := range map[string]struct{ cmdline, locked, modules string }{
		"10.9.0.1":         {"rd.debug", "", "wide"},
		"::ffff:10.9.0.1":  {"rd.debug", "", "wide"},
		"10.0.7.9":         {"rd.shell=0 rd.timeout=5", "rd.shell", "bonding"},
		"fd00::1":          {"six=1", "", ""},
		"192.0.2.1":        {"", "", ""},
		"0.0.0.0":          {"", "", ""},
		"fd00:0:0:1::1":    {"", "", ""},
		"10.0.6.255":       {"rd.debug", "", "wide"},
		"::ffff:192.0.2.1": {"", "", ""},
	} {
		n := fmt.Sprintf("52:54:00:00:00:%02x", len(address))
		d, err := b.NetBoot(b.ctx, order.BootRequest{MAC: n, Platform: "bios", Arch: "amd64", Remote: netip.MustParseAddr(address)})
		if err != nil || d.Action != order.ActBoot {
			t.Fatalf("%s: %v %s", address, err, d.Message)
		}
		c := b.config(d)
		got := struct{ cmdline, locked, modules string }{c.Cmdline, strings.Join(c.Locked, " "), strings.Join(c.Modules, " ")}
		if got != want {
			t.Errorf("%s: %+v, want %+v", address, got, want)
		}
		if ssh := c.SSH != nil; ssh != (want.modules == "bonding") || ssh && c.SSH.Keys[0] != "ssh-ed25519 AAAA" {
			t.Errorf("%s: ssh %+v", address, c.SSH)
		}
	}
}

// TestMachinesShareAllButTheLast: two machines of two subnets get the same URLs
// and hashes but for their own segment, and nothing is written beside the store.
func TestMachinesShareAllButTheLast(t *testing.T) {
	b := newBench(t)
	b.cfg.Subnets = []Subnet{{Prefix: netip.MustParsePrefix("10.0.7.0/24"), Cmdline: "rd.debug"}}
	files := func() (out []string) {
		err := filepath.WalkDir(b.cfg.StateDir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasPrefix(filepath.Base(p), "bareroot.db") {
				fi, ierr := d.Info()
				if ierr != nil {
					return ierr
				}
				out = append(out, fmt.Sprint(p, fi.Size(), fi.ModTime()))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := files()
	var sets []order.Decision
	var segments [][]byte
	for i, address := range []string{"10.0.7.1", "10.0.8.1"} {
		d, err := b.NetBoot(b.ctx, order.BootRequest{MAC: fmt.Sprintf("52:54:00:00:00:%02x", i), Platform: "bios", Arch: "amd64", Remote: netip.MustParseAddr(address)})
		if err != nil || d.Action != order.ActBoot {
			t.Fatalf("%v %s", err, d.Message)
		}
		seg, err := b.Segment(b.ctx, d.Attempt)
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Segment(b.ctx, d.Attempt)
		if err != nil || !slices.Equal(seg, again) {
			t.Errorf("the segment of an attempt changes: %v", err)
		}
		sets, segments = append(sets, d), append(segments, seg)
	}
	if diff := cmp.Diff(sets[0].Set, sets[1].Set); diff != "" {
		t.Errorf("boot sets differ: %s", diff)
	}
	if sets[0].Attempt == sets[1].Attempt || slices.Equal(segments[0], segments[1]) {
		t.Error("two machines share a segment")
	}
	if diff := cmp.Diff(before, files()); diff != "" {
		t.Errorf("files were written: %s", diff)
	}
}

// BenchmarkMachineSegment is what a machine of its own costs the server: the
// decision and its segment, frozen in the store, then the segment's download.
func BenchmarkMachineSegment(b *testing.B) {
	s, err := New(Config{StateDir: b.TempDir(), BaseURL: "http://10.0.0.1:8080", MaxUnknown: 1 << 20,
		Subnets: []Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Cmdline: "rd.debug"}}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.AddBootSet(b.Context(), api.BootSetRequest{Name: "standard", Path: writeSet(b, "console=ttyS0")}); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		d, err := s.NetBoot(b.Context(), order.BootRequest{MAC: fmt.Sprintf("52:54:00:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255), Platform: "bios", Arch: "amd64", Remote: netip.MustParseAddr("10.1.2.3")})
		if err != nil || d.Action != order.ActBoot {
			b.Fatal(err, d.Message)
		}
		if _, err := s.Segment(b.Context(), d.Attempt); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSegment is the making of a segment by itself.
func BenchmarkSegment(b *testing.B) {
	c := rdconf.Config{Version: rdconf.Version, Role: order.RoleRoot, Cmdline: "rd.neednet=1 root=nbd:10.0.0.1:root",
		Server: &rdconf.Server{URL: "http://10.0.0.1:8080", Nonce: strings.Repeat("0", 64), Machine: "m", BootMAC: testMAC}}
	for b.Loop() {
		if _, err := segment(c); err != nil {
			b.Fatal(err)
		}
	}
}

package inventory

import (
	"strings"
	"testing"

	"bareroot/api"
	"bareroot/internal/serve/order"
)

func TestCleanUUID(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"good":        {"9F1B3C2E-0A4D-4B8E-9C55-0123456789AB", testUUID},
		"zero":        {"00000000-0000-0000-0000-000000000000", ""},
		"ff":          {"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", ""},
		"vendor's":    {"03000200-0400-0500-0006-000700080009", ""},
		"no UUID":     {"To be filled by O.E.M.", ""},
		"empty":       {"", ""},
		"with spaces": {" 9f1b3c2e-0a4d-4b8e-9c55-0123456789ab\n", testUUID},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := cleanUUID(tc.in); got != tc.want {
				t.Errorf("%q", got)
			}
		})
	}
	if got := swapUUID("00112233-4455-6677-8899-aabbccddeeff"); got != "33221100-5544-7766-8899-aabbccddeeff" {
		t.Errorf("swapped: %s", got)
	}
}

func FuzzIdentity(f *testing.F) {
	for _, s := range []string{testUUID, testMAC, "", "52-54-00-AB-CD-EF", "Rack 4/Node_7", "m-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u := cleanUUID(s); u != "" && cleanUUID(u) != u {
			t.Errorf("UUID %q is not canonical", u)
		}
		if m := cleanMAC(s); m != "" && cleanMAC(m) != m {
			t.Errorf("MAC %q is not canonical", m)
		}
		if n := cleanName(s); n != "" && (!nameForm.MatchString(n) || idForm.MatchString(n)) {
			t.Errorf("name %q of %q is none", n, s)
		}
	})
}

func TestIdentify(t *testing.T) {
	type seen struct{ uuid, mac, want string }
	const u2 = "11223344-5566-7788-99aa-bbccddeeff00"
	tests := map[string][]seen{
		"by UUID, whatever the interface":     {{testUUID, testMAC, "m-1"}, {testUUID, "52:54:00:00:00:02", "m-1"}},
		"by MAC without a UUID":               {{"", testMAC, "m-1"}, {"", testMAC, "m-1"}, {"", "52:54:00:00:00:02", "m-2"}},
		"the UUID comes later":                {{"", testMAC, "m-1"}, {testUUID, testMAC, "m-1"}, {testUUID, "", "m-1"}},
		"a shared UUID is none":               {{"03000200-0400-0500-0006-000700080009", testMAC, "m-1"}, {"03000200-0400-0500-0006-000700080009", "52:54:00:00:00:02", "m-2"}},
		"an interface moves":                  {{testUUID, testMAC, "m-1"}, {u2, testMAC, "m-2"}, {"", testMAC, "m-2"}, {testUUID, "", "m-1"}},
		"the other byte order":                {{testUUID, "", "m-1"}, {swapUUID(testUUID), testMAC, "m-1"}},
		"dashes and capitals in the MAC":      {{"", testMAC, "m-1"}, {"", "52-54-00-AB-CD-EF", "m-1"}},
		"a multicast address is no interface": {{testUUID, "01:00:5e:00:00:01", "m-1"}, {u2, "01:00:5e:00:00:01", "m-2"}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for i, s := range steps {
				if _, err := b.NetBoot(b.ctx, order.BootRequest{UUID: s.uuid, MAC: s.mac}); err != nil {
					t.Fatal(err)
				}
				var newest api.Machine
				all, err := b.Machines(b.ctx)
				if err != nil {
					t.Fatal(err)
				}
				b.later(1)
				for _, m := range all {
					if m.Seen.After(newest.Seen) {
						newest = m
					}
				}
				if newest.ID != s.want {
					t.Errorf("step %d is %s, want %s", i, newest.ID, s.want)
				}
			}
		})
	}
}

func TestImport(t *testing.T) {
	b := newBench(t)
	p := PowerSystem{UUID: strings.ToUpper(testUUID), Name: "Rack 4/Node_7", Power: "off"}
	changes, stop := b.Subscribe()
	defer stop()
	for range 2 {
		if err := b.Import(b.ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if len(changes) != 1 {
		t.Errorf("%d changes told of one import and its repetition", len(changes))
	}
	b.netboot(order.ActBoot)
	all, err := b.Machines(b.ctx)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if m := all[0]; m.Name != "rack-4-node-7" || m.Power != "off" || m.Approval != api.ApprovalNew || len(m.MACs) != 1 {
		t.Errorf("%+v", m)
	}
	if err := b.Import(b.ctx, PowerSystem{Name: "nobody"}); err == nil {
		t.Error("a machine without an identity was imported")
	}
	for _, ref := range []string{"m-1", "rack-4-node-7", testUUID, strings.ToUpper(testMAC)} {
		if _, err := b.Machine(b.ctx, ref); err != nil {
			t.Error(err)
		}
	}
	_, err = b.Machine(b.ctx, "nobody")
	wantStatus(t, err, 404, "bareroot machine list")
}

func TestRename(t *testing.T) {
	b := newBench(t)
	b.netboot(order.ActBoot)
	if _, err := b.NetBoot(b.ctx, order.BootRequest{MAC: "52:54:00:00:00:02"}); err != nil {
		t.Fatal(err)
	}
	if m, err := b.Approve(b.ctx, testMAC, api.ApproveRequest{Name: "one"}); err != nil || m.Name != "one" || m.Approval != api.ApprovalApproved {
		t.Fatal(m, err)
	}
	_, err := b.Approve(b.ctx, "52:54:00:00:00:02", api.ApproveRequest{Name: "one"})
	wantStatus(t, err, 409, "has the name")
	for _, name := range []string{"m-1", "Big", "a b", "-a", "../x", strings.Repeat("a", 64)} {
		_, err := b.Approve(b.ctx, testMAC, api.ApproveRequest{Name: name})
		wantStatus(t, err, 400, "host name")
	}
	_, err = b.Approve(b.ctx, testMAC, api.ApproveRequest{Approval: "maybe"})
	wantStatus(t, err, 400, "maybe")
}

package qemu

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

func TestArgs(t *testing.T) {
	no, yes := false, true
	for name, tc := range map[string]struct {
		spec Spec
		st   start
	}{
		"bios": {Spec{Name: "bios1", NICs: []NIC{{Tap: "m0n0"}}, Disks: []Disk{{Size: 1 << 30}}},
			start{accel: TCG, order: []string{BootDisk, BootNetwork}}},
		"uefi-pxe-once": {Spec{Name: "uefi1", Firmware: UEFI, CPUs: 2, MemoryMiB: 2048, NICs: []NIC{{Tap: "m1n0"}}, Disks: []Disk{{Path: "/a,b/disk"}}},
			start{accel: KVM, order: []string{BootNetwork, BootDisk}, oneOff: true}},
		"two-nics-all-buses": {Spec{Name: "two1", NICs: []NIC{{Tap: "m2n0", Model: "e1000", ROM: &no}, {Tap: "m2n1", Model: "e1000e", ROM: &yes}},
			Disks: []Disk{{Bus: "virtio"}, {Bus: "scsi"}, {Bus: "sata", Serial: "S-1"}, {Bus: "nvme"}, {Bus: "sata"}, {Bus: "usb"}}, Args: []string{"-device", "i6300esb"}},
			start{accel: TCG, order: []string{BootNetwork, BootDisk}}},
		"direct": {Spec{Name: "vm", Firmware: Direct, Kernel: "/boot/vmlinuz", Initrds: []string{"a", "b"}, Append: "console=ttyS0 panic=-1",
			NICs: []NIC{{}}, Disks: []Disk{{}}}, start{accel: TCG, order: []string{BootDisk}}},
		"arm64": {Spec{Name: "vm", Arch: ARM64, Firmware: Direct, Kernel: "/boot/vmlinuz", Initrds: []string{"a"}, Append: "console=ttyAMA0",
			NICs: []NIC{{Tap: "t0"}}, Disks: []Disk{{}, {Bus: "nvme"}}}, start{accel: KVM, order: []string{BootDisk}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.spec.Fill(); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(args(tc.spec, tc.st), "\n") + "\n"
			golden := filepath.Join("testdata", name+".argv")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(go test -update writes it)\n%s", d)
			}
		})
	}
}

func TestFillRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spec Spec
		want string
	}{
		"name":      {Spec{Name: "A b"}, "machine name"},
		"firmware":  {Spec{Name: "a", Firmware: "coreboot"}, "known are bios, uefi, direct"},
		"no kernel": {Spec{Name: "a", Firmware: Direct}, "kernel"},
		"uuid":      {Spec{Name: "a", UUID: "1234"}, "uuid"},
		"mac":       {Spec{Name: "a", NICs: []NIC{{MAC: "01:00:00:00:00:01"}}}, "unicast"},
		"nic":       {Spec{Name: "a", NICs: []NIC{{Model: "ne2k"}}}, "virtio, e1000, e1000e"},
		"bus":       {Spec{Name: "a", Disks: []Disk{{Bus: "ide"}}}, "sata"},
		"serial":    {Spec{Name: "a", Disks: []Disk{{Serial: "x,readonly"}}}, "comma"},
		"size":      {Spec{Name: "a", Disks: []Disk{{Size: 1000}}}, "512"},
		"boot":      {Spec{Name: "a", Boot: []string{"floppy"}}, "disk, network"},
		"memory":    {Spec{Name: "a", MemoryMiB: 1}, "64 MiB"},
		"arch":      {Spec{Name: "a", Arch: "s390x"}, "amd64, arm64"},
		"arm bios":  {Spec{Name: "a", Arch: ARM64}, "booted directly"},
		"arm sata":  {Spec{Name: "a", Arch: ARM64, Firmware: Direct, Kernel: "k", Disks: []Disk{{Bus: "sata"}}}, "virtio, scsi, nvme, usb"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.spec.Fill(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, expected one with %q", err, tc.want)
			}
		})
	}
}

// Identities follow from names: same name, same machine; filled twice, the same.
func TestIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?`).Draw(t, "name")
		a := Spec{Name: name, NICs: make([]NIC, 3), Disks: make([]Disk, 3)}
		if err := a.Fill(); err != nil {
			t.Fatal(err)
		}
		b := Spec{Name: name, NICs: make([]NIC, 3), Disks: make([]Disk, 3)}
		if err := b.Fill(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Fatal(d)
		}
		if a.NICs[0].MAC == a.NICs[1].MAC || a.Disks[0].Serial == a.Disks[1].Serial {
			t.Fatalf("not unique: %+v", a)
		}
		if err := b.Fill(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Fatal("second Fill changes: ", d)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"4GiB", "512", "1T", " 3 MB ", "-1", "9999999999TiB", "GiB", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Errorf("ParseSize(%q) = %d", s, n)
		}
	})
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]Size{"4GiB": 4 << 30, "512": 512, "1T": 1 << 40, " 3 MB ": 3e6, "64KiB": 64 << 10} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; expected %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "GiB", "-1", "1.5G", "99999999999TiB", "1X"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, expected an error", in, got)
		}
	}
}

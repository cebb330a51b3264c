package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bareroot/api"
	"bareroot/internal/disk"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func blank(id, path string, size int64) disk.Info {
	return disk.Info{Disk: api.Disk{ID: "serial-" + id, Path: path, Size: size, SectorSize: 512, Serial: id, Transport: "virtio"}}
}

func change(d disk.Info, f func(*disk.Info)) disk.Info { f(&d); return d }

const gib = 1 << 30

// TestDeploy compares plan and error with testdata/NAME.txt: what the
// console shows, the error, and the JSON that the server gets.
func TestDeploy(t *testing.T) {
	vda, vdb := blank("a", "/dev/vda", 10*gib), blank("b", "/dev/vdb", 20*gib)
	withData := func(d *disk.Info) {
		d.Content = []string{"GPT partition table, 3 partitions", "ext4 (label root) on partition 3"}
	}
	for name, tc := range map[string]struct {
		disks  []disk.Info
		hint   api.DiskHint
		erase  bool
		target string
	}{
		"one-disk":        {disks: []disk.Info{vda}, target: "/dev/vda"},
		"two-fit":         {disks: []disk.Info{vdb, vda}},
		"two-by-serial":   {disks: []disk.Info{vda, vdb}, hint: api.DiskHint{Serial: "b"}, target: "/dev/vdb"},
		"two-by-path":     {disks: []disk.Info{vda, vdb}, hint: api.DiskHint{Path: "/dev/vda"}, target: "/dev/vda"},
		"two-by-link":     {disks: []disk.Info{change(vda, func(d *disk.Info) { d.Links = []string{"/dev/disk/by-id/virtio-a"} }), vdb}, hint: api.DiskHint{Path: "/dev/disk/by-id/virtio-a"}, target: "/dev/vda"},
		"two-by-size":     {disks: []disk.Info{vda, vdb}, hint: api.DiskHint{MinSize: 15 * gib}, target: "/dev/vdb"},
		"hint-of-nothing": {disks: []disk.Info{vda, vdb}, hint: api.DiskHint{Serial: "c", MaxSize: 40 * gib}},
		"hint-of-two":     {disks: []disk.Info{vda, vdb}, hint: api.DiskHint{MinSize: 5 * gib}},
		"all-must-match":  {disks: []disk.Info{vda, vdb}, hint: api.DiskHint{Serial: "a", Path: "/dev/vdb"}},
		"wwn-spellings":   {disks: []disk.Info{change(vda, func(d *disk.Info) { d.WWN = "0x5000C500A0B1C2D3" }), vdb}, hint: api.DiskHint{WWN: "wwn-0x5000c500a0b1c2d3"}, target: "/dev/vda"},
		"data":            {disks: []disk.Info{change(vda, withData)}},
		"data-erase":      {disks: []disk.Info{change(vda, withData)}, erase: true, target: "/dev/vda"},
		"data-is-no-hint": {disks: []disk.Info{change(vda, withData), vdb}},
		"unfinished": {disks: []disk.Info{change(vda, func(d *disk.Info) {
			d.Mark = &disk.Mark{Order: "o0"}
			d.Content = []string{"unfinished deployment of order o0"}
		})}, target: "/dev/vda"},
		"unfit": {disks: []disk.Info{
			change(blank("r", "/dev/sdr", 10*gib), func(d *disk.Info) { d.Removable = true }),
			change(blank("o", "/dev/sdo", 10*gib), func(d *disk.Info) { d.ReadOnly = true }),
			change(blank("m", "/dev/sdm", 10*gib), func(d *disk.Info) { d.InUse = "mounted on /" }),
			change(blank("u", "/dev/sdu", 10*gib), func(d *disk.Info) { d.Transport = "usb" }),
			blank("s", "/dev/sds", 1<<20),
		}},
		"removable-by-name": {disks: []disk.Info{change(vda, func(d *disk.Info) { d.Removable = true })}, hint: api.DiskHint{Path: "/dev/vda"}, target: "/dev/vda"},
		"named-in-use":      {disks: []disk.Info{change(vda, func(d *disk.Info) { d.InUse = "part of dm-0" }), vdb}, hint: api.DiskHint{Serial: "a"}, erase: true},
		"sectors":           {disks: []disk.Info{change(vda, func(d *disk.Info) { d.SectorSize = 4096 })}, erase: true},
		"no-disks":          {},
	} {
		t.Run(name, func(t *testing.T) {
			o := &api.Order{ID: "o1", Attempt: 1, Deploy: &api.DeploySpec{
				Image: api.Source{URL: "http://10.0.0.1:8080/images/aa", SHA256: strings.Repeat("a", 64), Size: 1000, RawSize: 2 * gib}, Target: tc.hint, Erase: tc.erase,
			}}
			im := &disk.Image{Head: make([]byte, disk.HeadSize), Size: 2 * gib, GPT: &disk.GPT{Sector: 512, First: 34, Parts: []disk.Partition{{Number: 1, Start: 1 << 20, Size: gib}}}}
			p, target, err := Deploy(Input{Order: o, Disks: tc.disks, Image: im})
			got := ""
			if target != nil {
				got = target.Path
			}
			if got != tc.target || (err == nil) != (tc.target != "") {
				t.Errorf("target %q, error %v; want %q", got, err, tc.target)
			}
			if p.Hash != Hash(*p) {
				t.Error("the hash is not the plan's")
			}
			var b bytes.Buffer
			Print(&b, p)
			if err != nil {
				fmt.Fprintf(&b, "error: %v\n", err)
			}
			j, _ := json.MarshalIndent(p, "", "  ")
			fmt.Fprintf(&b, "--- json\n%s\n", j)
			golden(t, name, b.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// Whatever the disks: at most one is overwritten, it is free, writable, large
// enough, holds nothing unless the order says erase, and the order in which
// the kernel found the disks changes nothing.
func TestDeployNeverGuesses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var disks []disk.Info
		for i := range rapid.IntRange(0, 5).Draw(t, "disks") {
			d := blank(fmt.Sprint(i), fmt.Sprintf("/dev/vd%c", 'a'+i), rapid.Int64Range(1, 4).Draw(t, "size")*gib)
			d.ReadOnly = rapid.Bool().Draw(t, "ro")
			d.Removable = rapid.Bool().Draw(t, "removable")
			if rapid.Bool().Draw(t, "used") {
				d.InUse = "used"
			}
			if rapid.Bool().Draw(t, "data") {
				d.Content = []string{"data"}
			}
			disks = append(disks, d)
		}
		var h api.DiskHint
		if rapid.Bool().Draw(t, "by serial") {
			h.Serial = rapid.SampledFrom([]string{"0", "1", "7"}).Draw(t, "serial")
		}
		h.MinSize = rapid.Int64Range(0, 3).Draw(t, "min") * gib
		o := &api.Order{ID: "o", Attempt: 1, Deploy: &api.DeploySpec{Target: h, Erase: rapid.Bool().Draw(t, "erase")}}
		in := Input{Order: o, Disks: disks, Image: &disk.Image{Head: make([]byte, 512), Size: 2 * gib}}
		p, target, err := Deploy(in)
		if (target == nil) != (err != nil) {
			t.Fatalf("target %v, error %v", target, err)
		}
		over := 0
		for _, d := range p.Disks {
			if d.Action == Overwritten {
				over++
			}
		}
		if target == nil && (over != 0 || len(p.Steps) != 0) || target != nil && over != 1 {
			t.Fatalf("%d disks overwritten, %d steps", over, len(p.Steps))
		}
		if target != nil && (target.InUse != "" || target.ReadOnly || target.Size < 2*gib || len(target.Content) > 0 && !o.Deploy.Erase) {
			t.Fatalf("chose %+v", target)
		}
		in.Disks = rapid.Permutation(disks).Draw(t, "order")
		if q, _, _ := Deploy(in); q.Hash != p.Hash {
			t.Fatal("another order of disks, another plan")
		}
	})
}

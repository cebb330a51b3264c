package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/run/console"
)

func TestHandOver(t *testing.T) {
	sys, run := t.TempDir(), filepath.Join(t.TempDir(), "udev")
	if err := os.MkdirAll(filepath.Join(sys, "class/block/vda1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sys, "class/block/vda1/dev"), []byte("254:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := newManager(&console.Log{}, nil, sys, t.TempDir())
	m.blocks["vda1"] = Block{Name: "vda1", Disk: "vda", FS: "ext4", Label: "my\nroot", UUID: "1-2", PartUUID: "3-4", IDs: []string{"virtio-X-part1"}}
	m.blocks["gone"] = Block{Name: "gone"}
	if err := m.HandOver(run, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(run, "data/b254:1"))
	if err != nil {
		t.Fatal(err)
	}
	want := `S:disk/by-id/virtio-X-part1
S:disk/by-label/my\x0aroot
S:disk/by-partuuid/3-4
S:disk/by-uuid/1-2
I:1500000
E:ID_FS_LABEL=my_root
E:ID_FS_LABEL_ENC=my\x0aroot
E:ID_FS_TYPE=ext4
E:ID_FS_UUID=1-2
E:ID_FS_UUID_ENC=1-2
E:ID_PART_ENTRY_UUID=3-4
E:ID_FS_USAGE=filesystem
G:systemd
Q:systemd
V:1
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if _, err := os.Stat(filepath.Join(run, "tags/systemd/b254:1")); err != nil {
		t.Error(err)
	}
	if all, err := os.ReadDir(filepath.Join(run, "data")); err != nil || len(all) != 1 {
		t.Errorf("records %v, %v", all, err)
	}
}

func TestRecordOfMapped(t *testing.T) {
	id := "LVM-" + strings.Repeat("a", 64)
	for title, c := range map[string]struct {
		d    Mapped
		want []string
		not  string
	}{
		"volume": {Mapped{Name: "dm-0", Title: "vg--a-root", UUID: id}, []string{"S:mapper/vg--a-root\n", "S:vg-a/root\n", "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\n", "E:DM_NAME=vg--a-root\n", "S:disk/by-id/dm-uuid-" + id + "\n"}, "DISABLE"},
		"part":   {Mapped{Name: "dm-1", Title: "vg-pool_tmeta", UUID: id + "-tmeta"}, []string{"E:DM_UDEV_DISABLE_OTHER_RULES_FLAG=1\n"}, "S:"},
		"image":  {Mapped{Name: "dm-3", Title: "vg-root_rimage_0", UUID: id}, []string{"E:DM_UDEV_DISABLE_OTHER_RULES_FLAG=1\n"}, "S:"},
		"crypt":  {Mapped{Name: "dm-2", Title: "luks-x", UUID: "CRYPT-LUKS2-y-luks-x"}, []string{"S:mapper/luks-x\n", "E:DM_UDEV_RULES_VSN=2\n"}, "S:luks"},
		"disk":   {Mapped{}, []string{"G:systemd\n"}, "DM_"},
	} {
		got := Block{Name: c.d.Name}.record(0, c.d)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", title, w, got)
			}
		}
		if strings.Contains(got, c.not) {
			t.Errorf("%s: %q in\n%s", title, c.not, got)
		}
	}
}

package dracut

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestByPolicy(t *testing.T) {
	dev, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, dev, "vda1", "")
	put(t, dev, "dm-0", "")
	for link, target := range map[string]string{
		"disk/by-uuid/1234": "../../vda1", "disk/by-label/the root": "../../vda1", `disk/by-partlabel/a\x20b`: "../../vda1",
		"disk/by-path/pci-1": "../../vda1", "disk/by-id/other": "../../vdb", "mapper/vg-root": "../dm-0",
	} {
		p := filepath.Join(dev, link)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ root, policy, want string }{
		{"UUID=1234", "by-label", "LABEL=the root"},
		{"UUID=1234", "by-path", dev + "/disk/by-path/pci-1"},
		{"UUID=1234", "by-partlabel", dev + `/disk/by-partlabel/a\x20b`},
		{dev + "/vda1", "by-uuid", "UUID=1234"},
		{dev + "/dm-0", "mapper", dev + "/mapper/vg-root"},
		// None of that name, of that policy, of that device.
		{"UUID=1234", "by-id", "UUID=1234"},
		{"UUID=1234", "by-nothing", "UUID=1234"},
		{"UUID=5678", "by-label", "UUID=5678"},
		{"nfs:server:/dir", "by-uuid", "nfs:server:/dir"},
	} {
		got := byPolicy([]string{"ro", "root=" + tc.root, "rootfstype=ext4"}, tc.policy, dev)
		if want := "ro root=" + tc.want + " rootfstype=ext4"; strings.Join(got, " ") != want {
			t.Errorf("%s by %s: %q, want %q", tc.root, tc.policy, got, want)
		}
	}
}

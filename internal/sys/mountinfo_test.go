package sys

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMountinfo(t *testing.T) {
	text := `21 26 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
26 1 254:1 /@root / rw,relatime shared:1 master:2 - btrfs /dev/vda1 rw,subvol=/@root
31 26 0:24 / /mnt/a\040b rw -  tmpfs 
32 26 0:25 / /mnt/empty rw - tmpfs  rw
not a mount
33 26 8:1 / /x - ext4
`
	want := []MountPoint{
		{Dev: "0:20", Root: "/", Target: "/sys", Options: "rw,nosuid", Type: "sysfs", Source: "sysfs", Super: "rw"},
		{Dev: "254:1", Root: "/@root", Target: "/", Options: "rw,relatime", Type: "btrfs", Source: "/dev/vda1", Super: "rw,subvol=/@root"},
		{Dev: "0:25", Root: "/", Target: "/mnt/empty", Options: "rw", Type: "tmpfs", Super: "rw"},
	}
	if d := cmp.Diff(want, ParseMountinfo(text)); d != "" {
		t.Error(d)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`/plain`:     "/plain",
		`/a\040b`:    "/a b",
		`\011\012\\`: "\t\n\\\\",
		`\134040`:    `\040`,
		`\777`:       `\777`,
		`\04`:        `\04`,
		`\303\244`:   "ä",
		`end\`:       `end\`,
	} {
		if got := Unescape(in); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseMountinfo(f *testing.F) {
	f.Add("26 1 254:1 /@root / rw,relatime shared:1 - btrfs /dev/vda1 rw")
	f.Add(`31 26 0:24 / /mnt/a\040b rw - tmpfs  rw`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range ParseMountinfo(text) {
			if m.Type == "" || m.Target == "" {
				t.Errorf("a mount without type or place: %+v", m)
			}
			if strings.Contains(m.Target, `\040`) && !strings.Contains(text, `\134`) {
				t.Errorf("%q: a blank is still escaped in %q", text, m.Target)
			}
		}
	})
}

package rootfs

import (
	"strings"

	"bareroot/internal/sys"
)

// Mountpoint is a line of fstab(5).
type Mountpoint struct {
	Source, Target, FS, Options string
	Pass                        string
}

// ParseFstab reads an fstab. A line with fewer than three fields is none.
func ParseFstab(text string) []Mountpoint {
	var out []Mountpoint
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		m := Mountpoint{Source: sys.Unescape(f[0]), Target: sys.Unescape(f[1]), FS: f[2], Options: "defaults", Pass: "0"}
		// A form may be quoted: UUID="...".
		if k, v, ok := strings.Cut(m.Source, "="); ok {
			m.Source = k + "=" + strings.Trim(v, `"`)
		}
		if len(f) > 3 {
			m.Options = sys.Unescape(f[3])
		}
		if len(f) > 5 {
			m.Pass = f[5]
		}
		if t := strings.TrimRight(m.Target, "/"); t != "" {
			m.Target = t
		} else if m.Target != "" {
			m.Target = "/"
		}
		out = append(out, m)
	}
	return out
}

// kernelOptions are those options of an fstab line that a mount gives the
// kernel; readOnly is "ro" among them.
func kernelOptions(opts string) (kept []string, readOnly bool) {
	for _, o := range strings.Split(opts, ",") {
		k, _, _ := strings.Cut(o, "=")
		switch k {
		case "", "defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "owner", "group", "comment", "rw", "fsck":
		case "ro":
			readOnly = true
		default:
			if !strings.HasPrefix(k, "x-") && !strings.HasPrefix(k, "X-") {
				kept = append(kept, o)
			}
		}
	}
	return kept, readOnly
}

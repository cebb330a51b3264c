package host

import (
	"strings"

	"bareroot/internal/sys"
)

// parseFstab reads fstab, and /proc/mounts, which has its form:
// all options are in Options, there is no Dev.
func parseFstab(text string) []sys.MountPoint {
	var out []sys.MountPoint
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		m := sys.MountPoint{Source: unquoteTag(sys.Unescape(f[0])), Target: sys.Unescape(f[1]), Type: sys.Unescape(f[2])}
		if len(f) > 3 {
			m.Options = sys.Unescape(f[3])
		}
		out = append(out, m)
	}
	return out
}

// parseSwaps reads /proc/swaps and keeps the block devices.
func parseSwaps(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[1] == "partition" && strings.HasPrefix(f[0], "/") {
			out = append(out, sys.Unescape(f[0]))
		}
	}
	return out
}

// unquoteTag takes the quotes from LABEL="a b", which libmount allows.
func unquoteTag(s string) string {
	if tag, v, ok := strings.Cut(s, "="); ok && len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return tag + "=" + v[1:len(v)-1]
	}
	return s
}

// option looks for key, or key=VALUE, in a list of mount options.
func option(list, key string) (value string, ok bool) {
	for o := range strings.SplitSeq(list, ",") {
		k, v, _ := strings.Cut(o, "=")
		if k == key {
			value, ok = v, true // the later one wins
		}
	}
	return value, ok
}

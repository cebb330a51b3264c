package host

import "strings"

// mount is one line of mountinfo, or of fstab with Dev empty.
type mount struct {
	Dev     string // MAJOR:MINOR; 0:N has no block device
	Root    string // the part of the filesystem that is mounted: /@ of btrfs
	Target  string
	Type    string
	Source  string
	Options string // of the mount; with fstab all of them
	Super   string // of the filesystem
}

// parseMountinfo reads /proc/PID/mountinfo. Lines that are not of its form
// are left out.
func parseMountinfo(text string) []mount {
	var out []mount
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f, g := strings.Fields(before), strings.Split(after, " ")
		// The source may be empty, hence Split; options never hold blanks.
		if !ok || len(f) < 6 || len(g) < 3 || g[0] == "" {
			continue
		}
		out = append(out, mount{
			Dev: f[2], Root: unescape(f[3]), Target: unescape(f[4]), Options: unescape(f[5]),
			Type: unescape(g[0]), Source: unescape(g[1]), Super: unescape(g[2]),
		})
	}
	return out
}

// parseFstab reads fstab, and /proc/mounts, which has its form.
func parseFstab(text string) []mount {
	var out []mount
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		m := mount{Source: unquoteTag(unescape(f[0])), Target: unescape(f[1]), Type: unescape(f[2])}
		if len(f) > 3 {
			m.Options = unescape(f[3])
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
			out = append(out, unescape(f[0]))
		}
	}
	return out
}

// unescape undoes the octal escapes of mountinfo and fstab: \040 is a blank.
// Anything else after a backslash stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] <= '3' && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return '0' <= c && c <= '7' }

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

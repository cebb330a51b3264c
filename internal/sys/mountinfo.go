package sys

import "strings"

// MountPoint is one line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), its
// escapes undone.
type MountPoint struct {
	Dev     string // MAJOR:MINOR; 0:N has no block device
	Root    string // the part of the filesystem that is mounted: /@ of btrfs
	Target  string
	Options string // of the mount
	Type    string
	Source  string
	Super   string // options of the filesystem
}

// ParseMountinfo reads the text of mountinfo, oldest mount first. Lines that
// are not of its form are left out.
func ParseMountinfo(text string) []MountPoint {
	var out []MountPoint
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f, g := strings.Fields(before), strings.Split(after, " ")
		// The source may be empty, hence Split; options never hold blanks.
		if !ok || len(f) < 6 || len(g) < 3 || g[0] == "" {
			continue
		}
		out = append(out, MountPoint{
			Dev: f[2], Root: Unescape(f[3]), Target: Unescape(f[4]), Options: Unescape(f[5]),
			Type: Unescape(g[0]), Source: Unescape(g[1]), Super: Unescape(g[2]),
		})
	}
	return out
}

// Unescape undoes the octal escapes of mountinfo, /proc/mounts, /proc/swaps
// and fstab: \040 is a blank. Anything else after a backslash stays as it is.
func Unescape(s string) string {
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

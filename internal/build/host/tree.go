package host

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree reads below a folder that looks like a root. Paths are relative to it,
// without leading slash. What cannot be read counts as absent: sysfs files come
// and go, and many are unreadable by nature.
type tree struct{ root string }

func (t tree) abs(rel string) string { return filepath.Join(t.root, filepath.FromSlash(rel)) }

func (t tree) text(rel string) (string, bool) {
	b, err := os.ReadFile(t.abs(rel))
	return string(b), err == nil
}

// line is a file of one value, as in sysfs.
func (t tree) line(rel string) string {
	s, _ := t.text(rel)
	return strings.TrimSpace(s)
}

// link is where the symlink rel leads, one step, below the root. Links in
// sysfs and /dev are relative; an absolute one is taken as below the root.
func (t tree) link(rel string) (string, bool) {
	to, err := os.Readlink(t.abs(rel))
	if err != nil {
		return "", false
	}
	if path.IsAbs(to) {
		return strings.TrimPrefix(path.Clean(to), "/"), true
	}
	return strings.TrimPrefix(path.Join("/", path.Dir(rel), to), "/"), true
}

func (t tree) has(rel string) bool {
	_, err := os.Lstat(t.abs(rel))
	return err == nil
}

// names lists a folder, sorted.
func (t tree) names(rel string) []string {
	entries, err := os.ReadDir(t.abs(rel))
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.Sort(out)
	return out
}

package hook

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Dirs are the folders of hooks, the weaker first: the builder's, and what the
// machine's own segment adds. Of two hooks of a stage with one name the
// stronger folder's is run.
var Dirs = [...]string{"/usr/lib/bareroot/hooks", "/etc/bareroot/hooks"}

// List is the paths of a stage's hooks in their order.
func (h *Hooks) List(stage string) []string {
	byName := map[string]string{}
	for _, d := range h.Dirs {
		dir := filepath.Join(d, stage+".d")
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			n := e.Name()
			if strings.HasPrefix(n, ".") || strings.HasSuffix(n, "~") {
				continue
			}
			p := filepath.Join(dir, n)
			if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
				byName[n] = p
			}
		}
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[n])
	}
	return out
}

// Any says whether one of the stages has hooks.
func (h *Hooks) Any(stages ...string) bool {
	return slices.ContainsFunc(stages, func(s string) bool { return len(h.List(s)) > 0 })
}

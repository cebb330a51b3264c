package dracut

import (
	"slices"
	"testing"

	"bareroot/internal/build/feature"
)

func TestStock(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range stockModules() {
		if seen[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		seen[s.Name] = true
		if s.Feature != "" {
			if _, ok := feature.Find(s.Feature); !ok {
				t.Errorf("%s: there is no feature %s", s.Name, s.Feature)
			}
		}
		if _, ok := feature.Find(s.Name); ok && s.Nothing != "" {
			t.Errorf("%s is a feature, and its reason for nothing is never said", s.Name)
		}
	}
}

func TestListModules(t *testing.T) {
	got := ListModules("")
	for _, n := range got {
		if err := new(wanted).wants([]string{n}); err != nil {
			t.Errorf("%s is listed, and: %v", n, err)
		}
	}
	order := []string{"bash", "network", "url-lib", "lvm", "nfs", "base"}
	at := -1
	for _, n := range order {
		i := slices.Index(got, n)
		if i <= at {
			t.Errorf("%s is at %d, after %d: not dracut's order", n, i, at)
		}
		at = i
	}
}

// TestEveryFeature: each can be named by its own name and appears in
// modules.txt.
func TestEveryFeature(t *testing.T) {
	for _, f := range feature.All() {
		if f.Name == "rescue" { // dracut's module of that name is another thing
			continue
		}
		w := &wanted{}
		if err := w.wants([]string{f.Name}); err != nil || !slices.Equal(w.Features, []string{f.Name}) {
			t.Errorf("%s: %v, %v", f.Name, w.Features, err)
		}
		if got := ModulesTxt([]string{f.Name}); len(got) != 1 {
			t.Errorf("%s: %q", f.Name, got)
		}
	}
}

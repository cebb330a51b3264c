package build

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSweep: a build removes what killed builds of the same output left, and
// nothing that is in use, is new, or is somebody else's.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for name, age := range map[string]time.Time{".out.tmp-1": old, ".out.tmp-held": old, ".out.tmp-new": time.Now(), ".other.tmp-1": old, ".out.tmp-1.old": old, "out": old} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(p, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, age, age); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("out", filepath.Join(dir, ".out.tmp-link")); err != nil {
		t.Fatal(err)
	}
	held := lockFolder(filepath.Join(dir, ".out.tmp-held"))
	if held == nil {
		t.Fatal("a folder cannot be locked here")
	}
	defer held.Close()
	f, err := newFolder(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	f.remove()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if d := cmp.Diff([]string{".other.tmp-1", ".out.tmp-1.old", ".out.tmp-held", ".out.tmp-link", ".out.tmp-new", "out"}, got); d != "" {
		t.Error(d)
	}
}

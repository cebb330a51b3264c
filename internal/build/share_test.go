package build

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
)

// TestSharedSegments: boot sets share what is the same, read-only; what somebody
// writes into one is found by the next build, and an emptied cache takes nothing
// away.
func TestSharedSegments(t *testing.T) {
	root, o := sysroot(t)
	age(t, root)
	dir := t.TempDir()
	build := func(name string) (string, *Result) {
		t.Helper()
		set := filepath.Join(dir, name)
		res := buildDir(t, o, set)
		if err := bootset.Verify(set, res.Manifest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return set, res
	}
	inode := func(set, name string) uint64 {
		t.Helper()
		fi, err := os.Stat(filepath.Join(set, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm()&0o222 != 0 && !strings.HasSuffix(name, ".json") {
			t.Errorf("%s may be written to: %v", name, fi.Mode())
		}
		return fi.Sys().(*syscall.Stat_t).Ino
	}
	plain, _ := build("plain")
	o.Cache = openCache(t)
	a, res := build("a")
	b, _ := build("b")
	for _, s := range res.Manifest.Segments { // small ones that are plain are not worth it
		if shared := inode(a, s.File) == inode(b, s.File); shared != (s.Compression != "" || s.Kind == "modules") {
			t.Errorf("%s shared: %v", s.File, shared)
		}
	}
	if inode(a, "vmlinuz") != inode(b, "vmlinuz") {
		t.Error("the kernel is copied")
	}
	if diff := cmp.Diff(readDir(t, plain), readDir(t, b)); diff != "" {
		t.Error(diff)
	}

	modules := filepath.Join(a, "20-modules.cpio")
	bytes, err := os.ReadFile(modules)
	if err != nil {
		t.Fatal(err)
	}
	bytes[len(bytes)/2] ^= 1
	if err := os.Chmod(modules, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(modules, bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(modules, 0o444); err != nil {
		t.Fatal(err)
	}
	c, _ := build("c") // and it verifies
	if inode(a, "20-modules.cpio") == inode(c, "20-modules.cpio") {
		t.Error("the damaged file is shared")
	}
	d, _ := build("d")
	if inode(c, "20-modules.cpio") != inode(d, "20-modules.cpio") {
		t.Error("its successor is not shared")
	}

	if _, err := o.Cache.Clean(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(readDir(t, plain), readDir(t, d)); diff != "" {
		t.Error("after the cache was emptied: " + diff)
	}
	build("e")
}

// TestParallelBuilds: builds at once, with one cache and one that empties it,
// make the same boot set and the same ramdisk.
func TestParallelBuilds(t *testing.T) {
	root, o := sysroot(t)
	age(t, root)
	dir := t.TempDir()
	want := buildDir(t, o, filepath.Join(dir, "want")).Manifest
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for round := range 3 {
				o := o
				c, err := cache.Open(filepath.Join(dir, "cache"), 0)
				if err != nil {
					t.Error(err)
					return
				}
				o.Cache = c
				set := filepath.Join(dir, string(rune('a'+worker))+string(rune('0'+round)))
				res, err := Dir(t.Context(), o, set, false)
				if err != nil {
					t.Error(err)
					return
				}
				if err := bootset.Verify(set, res.Manifest); err != nil || res.Manifest.ID != want.ID {
					t.Errorf("%s: %s, want %s: %v", set, res.Manifest.ID, want.ID, err)
				}
				if worker == 0 {
					if _, err := c.Clean(); err != nil {
						t.Error(err)
					}
				}
				if _, err := File(t.Context(), o, set+".img", false); err != nil {
					t.Error(err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

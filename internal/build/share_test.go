package build

import (
	"bytes"
	"crypto/sha256"
	"fmt"
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

// TestKeptForFile: of a single ramdisk the build that compresses the modules keeps
// their part; another choice of them is kept when it comes a second time.
func TestKeptForFile(t *testing.T) {
	root, o := sysroot(t)
	age(t, root)
	c := openCache(t)
	rounds := 0
	build := func(o Options) (cached bool) {
		t.Helper()
		rounds++
		o.Cmdline = fmt.Sprint("round=", rounds)
		want, _ := buildFile(t, o)
		o.Cache = c
		got, res := buildFile(t, o)
		if !bytes.Equal(got, want) {
			t.Errorf("round %d: the bytes differ from those of a build without a cache", rounds)
		}
		for _, s := range res.Segments {
			if s.Kind == "modules" || s.Kind == "early" {
				return s.Cached
			}
		}
		t.Fatal("no modules")
		return false
	}
	less := o
	less.OmitDrivers = []string{"ext4"}
	twoParts := o
	twoParts.TwoParts = true
	for _, step := range []struct {
		name   string
		o      Options
		cached bool
	}{
		{"empty", o, false},
		{"second", o, true},
		{"another choice", less, false},
		{"which comes again", less, false},
		{"and again", less, true},
		{"the first one", o, true},
		{"another form", twoParts, false},
		{"which comes again", twoParts, false},
		{"and again", twoParts, true},
	} {
		if got := build(step.o); got != step.cached {
			t.Errorf("%s: modules cached: %v", step.name, got)
		}
	}
	// The pack's modules are in a kept file: without it they are made anew.
	stats, err := c.Stats()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(stats.Dir, "*/*-file-data"))
	if err != nil || len(files) == 0 {
		t.Fatal("nothing is kept", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []bool{false, true} {
		if got := build(o); got != want {
			t.Errorf("%d builds after the files were removed: modules cached: %v", i+1, got)
		}
	}
	if n := c.Notice(); n != "" {
		t.Error(n)
	}
}

// TestInitIsKnown: init's hash is known after the first build, so that the second
// has its pieces out of the cache and does not read it.
func TestInitIsKnown(t *testing.T) {
	root, o := sysroot(t)
	init, err := os.ReadFile(o.Init)
	if err != nil {
		t.Fatal(err)
	}
	init = append(init, make([]byte, 3*ownPiece)...)
	put(t, root, "own/bareroot-init", init)
	put(t, root, "own/bareroot-agent", init) // the youngest
	age(t, root)
	o.TwoParts, o.Compress, o.Cache = true, "gzip", openCache(t)
	buildFile(t, o)
	sum, _, err := openKnown(o.Cache, o.Sysroot).look(o.Init)
	if want := sha256.Sum256(init); err != nil || !bytes.Equal(sum, want[:]) {
		t.Errorf("init's hash: %x, %v", sum, err)
	}
}

package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func fileKey(s string) Key {
	return Key{Kind: "file", Content: sha256.Sum256([]byte(s)), Params: "test"}
}

// segment makes a file as a boot set has it.
func segment(t testing.TB, dir string, data []byte) (name string) {
	t.Helper()
	name = filepath.Join(dir, fmt.Sprintf("segment-%d", time.Now().UnixNano()))
	if err := os.WriteFile(name, data, 0o444); err != nil {
		t.Fatal(err)
	}
	return name
}

// content is what a kept file gives.
func content(t testing.TB, c *Cache, k Key) ([]byte, bool) {
	t.Helper()
	f := c.OpenFile(k)
	if f == nil {
		return nil, false
	}
	defer f.Close()
	var b bytes.Buffer
	if n, err := f.CopyTo(&b, 0, f.Size); err != nil || n != f.Size {
		t.Fatal(n, err)
	}
	return b.Bytes(), true
}

func inode(t testing.TB, name string) uint64 {
	t.Helper()
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

// TestFileShared: a file is kept without a copy, and the next boot set has the
// same one.
func TestFileShared(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "cache"), 0)
	want := bytes.Repeat([]byte("segment"), 100_000)
	set := segment(t, dir, want)
	c.Share(fileKey("a"), []byte("known"), set)
	f := c.OpenFile(fileKey("a"))
	if f == nil || string(f.Info) != "known" || f.Size != int64(len(want)) {
		t.Fatalf("kept: %+v, %s", f, c.Notice())
	}
	defer f.Close()
	second := filepath.Join(dir, "second")
	if err := f.Link(second, 0o444); err != nil {
		t.Fatal(err)
	}
	if inode(t, second) != inode(t, set) {
		t.Error("the second boot set has a copy")
	}
	if err := f.Link(filepath.Join(dir, "third"), 0o440); err == nil {
		t.Error("a file that others share got another mode")
	}
	if got, ok := content(t, c, fileKey("a")); !ok || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes", ok, len(got))
	}
	if _, ok := content(t, c, fileKey("b")); ok {
		t.Error("another key finds it")
	}
	s, err := c.Stats()
	if err != nil || s.Entries != 1 || s.Kinds["file"].Bytes < int64(len(want)) {
		t.Errorf("%+v %v", s, err)
	}
}

// TestFileMade: what is written while it is made is there when it is kept, and
// nothing of it before or when it is dropped.
func TestFileMade(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "cache"), 2<<20)
	left := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "cache/tmp-*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	long := bytes.Repeat([]byte("segment"), 100_000)
	for name, end := range map[string]struct {
		data []byte
		keep bool
		want bool
	}{
		"kept":     {[]byte("segment"), true, true},
		"empty":    {nil, true, true},
		"long":     {long, true, true},
		"dropped":  {[]byte("segment"), false, false},
		"too long": {bytes.Repeat(long, 2), true, false},
	} {
		m := c.Make()
		for part := range slices.Chunk(end.data, 100_000) {
			if n, err := m.Write(part); n != len(part) || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		if _, ok := content(t, c, fileKey(name)); ok {
			t.Errorf("%s: it is there before its end", name)
		}
		if end.keep {
			m.Keep(fileKey(name), []byte("info"))
		}
		m.Drop()
		if got, ok := content(t, c, fileKey(name)); ok != end.want || ok && !bytes.Equal(got, end.data) {
			t.Errorf("%s: %v, %d bytes", name, ok, len(got))
		}
		if names := left(); len(names) > 0 {
			t.Errorf("%s: left: %q", name, names)
		}
	}
	if n := c.Notice(); n != "" {
		t.Error(n)
	}
	// Nobody shares it yet, so it takes the mode that is wanted.
	f := c.OpenFile(fileKey("kept"))
	defer f.Close()
	if err := f.Link(filepath.Join(dir, "set"), 0o444); err != nil || string(f.Info) != "info" {
		t.Errorf("%q, %v", f.Info, err)
	}

	m := c.Make()
	m.file.Close() // stands for a disk that takes nothing
	if n, err := m.Write(long); n != len(long) || err != nil {
		t.Error(n, err)
	}
	m.Keep(fileKey("no room"), nil)
	if _, ok := content(t, c, fileKey("no room")); ok || c.Notice() == "" || len(left()) > 0 {
		t.Errorf("without room: %v, %q, left %q", ok, c.Notice(), left())
	}
	if c.Make() != nil {
		t.Error("it goes on after an error")
	}
}

func TestSeen(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	for _, want := range []bool{false, true, true} {
		if got := c.Seen(fileKey("a")); got != want {
			t.Errorf("%v, not %v", got, want)
		}
	}
	if c.Seen(fileKey("b")) {
		t.Error("another key was not asked for")
	}
}

// TestLinks: links are possible within a file system, and none from memory to the
// disk.
func TestLinks(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "bareroot-test-")
	if err != nil {
		t.Skipf("no file system besides: %v", err)
	}
	defer os.RemoveAll(other)
	dir := t.TempDir()
	var a, b syscall.Stat_t
	if syscall.Stat(other, &a) != nil || syscall.Stat(dir, &b) != nil || a.Dev == b.Dev {
		t.Skip("TMPDIR is on the file system of /dev/shm: there is no other one")
	}
	set := t.TempDir()
	c := open(t, dir, 0)
	if !c.Links(set) || c.Links(other) {
		t.Errorf("here %v, there %v", c.Links(set), c.Links(other))
	}
	for _, d := range []string{set, other} {
		if e, err := os.ReadDir(d); err != nil || len(e) > 0 {
			t.Errorf("left: %v %v", e, err)
		}
	}
	c.Share(fileKey("a"), nil, segment(t, other, []byte("there")))
	if c.OpenFile(fileKey("a")) != nil {
		t.Error("a link between file systems")
	}
	m := c.Make()
	m.Write([]byte("there"))
	m.Keep(fileKey("a"), nil)
	f := c.OpenFile(fileKey("a"))
	if f == nil {
		t.Fatal("not kept: " + c.Notice())
	}
	defer f.Close()
	if f.Link(filepath.Join(other, "x"), 0o444) == nil {
		t.Error("a link between file systems")
	}
	if got, ok := content(t, c, fileKey("a")); !ok || string(got) != "there" {
		t.Errorf("%v %q", ok, got)
	}
}

// TestFileDamaged: bytes that somebody wrote to, in a boot set that shares them,
// are a miss and gone from the store; so is a file that another may write to.
func TestFileDamaged(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "cache"), 0)
	k := fileKey("x")
	keep := func(t testing.TB, data []byte) string {
		set := segment(t, dir, data)
		c.Share(k, nil, set)
		return set
	}
	gone := func(t interface {
		Helper()
		Error(...any)
		Fatal(...any)
	}) {
		t.Helper()
		if f := c.OpenFile(k); f != nil {
			t.Fatal("a damaged file is a hit")
		}
		left, err := filepath.Glob(c.path(k, k.id()) + "*")
		if err != nil || len(left) > 0 {
			t.Error("left in the store:", left, err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "data")
		name := keep(t, data)
		b := bytes.Clone(data)
		switch at := rapid.IntRange(0, len(b)-1).Draw(rt, "at"); rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			b[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		case 1:
			b = b[:at]
		case 2:
			b = append(b, b[at])
		}
		if err := os.Chmod(name, 0o644); err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil { // in place
			rt.Fatal(err)
		}
		if err := os.Chmod(name, 0o444); err != nil {
			rt.Fatal(err)
		}
		gone(rt)
	})
	t.Run("writable", func(t *testing.T) {
		name := keep(t, []byte("whole"))
		if err := os.Chmod(name, 0o664); err != nil {
			t.Fatal(err)
		}
		gone(t)
	})
	t.Run("another's", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("not root: a file cannot be given to another user")
		}
		name := keep(t, []byte("whole"))
		if err := os.Chown(name, 12345, -1); err != nil {
			t.Fatal(err)
		}
		gone(t)
	})
	t.Run("bytes gone", func(t *testing.T) {
		keep(t, []byte("whole"))
		if err := os.Remove(c.path(k, k.id()) + dataSuffix); err != nil {
			t.Fatal(err)
		}
		if c.OpenFile(k) != nil {
			t.Error("a hit without bytes")
		}
		keep(t, []byte("whole"))
		if got, ok := content(t, c, k); !ok || string(got) != "whole" {
			t.Errorf("not kept anew: %v %q", ok, got)
		}
	})
}

// TestFileCompared: a file that was compared is not read again, until it is
// another one or was written to.
func TestFileCompared(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "cache"), 0)
	k, old := fileKey("x"), time.Now().Add(-time.Hour)
	write := func(name, data string, changed time.Time) {
		t.Helper()
		if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, []byte(data), 0), os.Chmod(name, 0o444), os.Chtimes(name, changed, changed)); err != nil {
			t.Fatal(err)
		}
	}
	for name, again := range map[string]struct {
		change func(name string)
		want   string
	}{
		"unseen, as its time is the same": {func(name string) { write(name, "WHOLE", old) }, "WHOLE"},
		"written to":                      {func(name string) { write(name, "WHOLE", time.Now()) }, ""},
		"longer":                          {func(name string) { write(name, "whole or more", old) }, ""},
		"another file": {func(name string) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte("WHOLE"), 0o444); err != nil {
				t.Fatal(err)
			}
			write(name, "WHOLE", old)
		}, ""},
		"touched": {func(name string) { write(name, "whole", old.Add(time.Minute)) }, "whole"},
	} {
		set := segment(t, dir, []byte("whole"))
		c.Share(k, []byte("info"), set)
		data := c.path(k, k.id()) + dataSuffix
		// Young as it is, it is compared each time.
		write(data, "whole", time.Now())
		for _, changed := range []time.Time{time.Now(), old} {
			write(data, "whole", changed)
			if got, ok := content(t, c, k); !ok || string(got) != "whole" {
				t.Fatalf("%s: %v %q", name, ok, got)
			}
		}
		again.change(data)
		f := c.OpenFile(k)
		if f == nil {
			if again.want != "" {
				t.Errorf("%s: a miss", name)
			}
			continue
		}
		if string(f.Info) != "info" {
			t.Errorf("%s: %q is known of it", name, f.Info)
		}
		f.Close()
		if got, _ := content(t, c, k); string(got) != again.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestFilePruned: an emptied store takes nothing from boot sets, nor from who is
// about to use a file.
func TestFilePruned(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "cache"), 0)
	set := segment(t, dir, []byte("whole"))
	c.Share(fileKey("a"), nil, set)
	f := c.OpenFile(fileKey("a"))
	if f == nil {
		t.Fatal(c.Notice())
	}
	defer f.Close()
	if s, err := c.Clean(); err != nil || s.Entries != 1 {
		t.Fatal(s, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "cache/*/*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q %v", left, err)
	}
	if c.OpenFile(fileKey("a")) != nil {
		t.Error("a hit in an empty store")
	}
	if b, err := os.ReadFile(set); err != nil || string(b) != "whole" {
		t.Errorf("the boot set: %q %v", b, err)
	}
	if err := f.Link(filepath.Join(dir, "second"), 0o444); err != nil {
		t.Errorf("the boot set's link is one that can be linked to: %v", err)
	}
	// With the boot set gone as well nothing can be linked, but read.
	for _, n := range []string{set, filepath.Join(dir, "second")} {
		if err := os.Remove(n); err != nil {
			t.Fatal(err)
		}
	}
	if f.Link(filepath.Join(dir, "third"), 0o444) == nil {
		t.Error("a file without a name was linked")
	}
	var b bytes.Buffer
	if _, err := f.CopyTo(&b, 0, 5); err != nil || b.String() != "whole" {
		t.Errorf("%q %v", b.String(), err)
	}
}

// TestFileTrim: the two files of a kept one go by its last use, together.
func TestFileTrim(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "cache"), 80_000)
	now := time.Now()
	for i := range 4 {
		set := segment(t, dir, bytes.Repeat([]byte{byte(i)}, 10_000))
		k := fileKey(fmt.Sprint(i))
		c.Share(k, nil, set)
		used := now.Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(c.path(k, k.id()), used, used); err != nil {
			t.Fatal(err)
		}
	}
	// The bytes' own time is their boot set's and says nothing.
	old := now.Add(-1000 * time.Hour)
	last := fileKey("3")
	if err := os.Chtimes(c.path(last, last.id())+dataSuffix, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Trim(22_000); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, ok := content(t, c, fileKey(fmt.Sprint(i))); ok != (i > 1) {
			t.Errorf("%d kept: %v", i, ok)
		}
	}
	if s, err := c.Stats(); err != nil || s.Bytes > 22_000 || s.Entries != 2 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestFileGoroutines: many keep and use the same file, while another empties the
// store.
func TestFileGoroutines(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			c := open(t, filepath.Join(dir, "cache"), 0)
			for round := range 30 {
				data := bytes.Repeat([]byte{byte(round % 3)}, 5000)
				k := fileKey(fmt.Sprint(round % 3))
				if worker == 0 && round%10 == 9 {
					if _, err := c.Clean(); err != nil {
						t.Error(err)
					}
					continue
				}
				name := filepath.Join(dir, fmt.Sprintf("%d-%d", worker, round))
				if f := c.OpenFile(k); f != nil {
					if f.Link(name, 0o444) != nil {
						var b bytes.Buffer
						if _, err := f.CopyTo(&b, 0, f.Size); err != nil {
							t.Error(err)
						}
						if err := os.WriteFile(name, b.Bytes(), 0o444); err != nil {
							t.Error(err)
						}
					}
					f.Close()
				} else {
					if err := os.WriteFile(name, data, 0o444); err != nil {
						t.Error(err)
					}
					if round%2 == 0 {
						c.Share(k, nil, name)
					} else {
						m := c.Make()
						m.Write(data)
						m.Keep(k, nil)
					}
				}
				if b, err := os.ReadFile(name); err != nil || !bytes.Equal(b, data) {
					t.Errorf("worker %d round %d: %d bytes, %v", worker, round, len(b), err)
				}
			}
			if n := c.Notice(); n != "" {
				t.Error(n)
			}
		})
	}
	all.Wait()
}

// TestFileNil: without a cache there is nothing.
func TestFileNil(t *testing.T) {
	var none *Cache
	dir := t.TempDir()
	set := segment(t, dir, []byte("x"))
	none.Share(fileKey("a"), nil, set)
	m := none.Make()
	if n, err := m.Write([]byte("x")); n != 1 || err != nil {
		t.Error(n, err)
	}
	m.Keep(fileKey("a"), nil)
	m.Drop()
	for range 2 {
		if none.Seen(fileKey("a")) || none.Links(dir) {
			t.Error("a memory without a cache")
		}
	}
	if none.OpenFile(fileKey("a")) != nil {
		t.Error("a hit without a cache")
	}
}

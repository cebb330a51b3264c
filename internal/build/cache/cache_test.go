package cache

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func key(s string) Key {
	return Key{Kind: "module", Content: sha256.Sum256([]byte(s)), Params: "zstd 3"}
}

func open(t testing.TB, dir string, max int64) *Cache {
	t.Helper()
	c, err := Open(dir, max)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPutGet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	c := open(t, dir, 0)
	if _, err := os.Stat(dir); err == nil {
		t.Error("Open made the folder")
	}
	if _, ok := c.Get(key("x")); ok {
		t.Error("a hit in an empty store")
	}
	for _, size := range []int{0, 1, 100, 1 << 20} {
		want := bytes.Repeat([]byte{7}, size)
		k := key(fmt.Sprint(size))
		c.Put(k, want)
		got, ok := open(t, dir, 0).Get(k)
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %v, %d came back", size, ok, len(got))
		}
		for name, other := range map[string]Key{
			"kind":    {"segment", k.Content, k.Params},
			"content": {k.Kind, sha256.Sum256([]byte("other")), k.Params},
			"params":  {k.Kind, k.Content, "zstd 4"},
		} {
			if _, ok := c.Get(other); ok {
				t.Errorf("another %s finds the same unit", name)
			}
		}
	}
	if n := c.Notice(); n != "" {
		t.Error(n)
	}
	if _, err := os.Stat(filepath.Join(dir, "CACHEDIR.TAG")); err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", p, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDamaged: whatever is changed in a unit's file, it is a miss and gone.
func TestDamaged(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	k := key("x")
	path := c.path(k, k.id())
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		c.Put(k, data)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch at := rapid.IntRange(0, len(b)-1).Draw(t, "at"); rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			b[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		case 1:
			b = b[:at]
		case 2:
			b = append(b, b[at])
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Get(k); ok {
			t.Fatal("a damaged unit is a hit")
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatal("a damaged unit stays")
		}
	})
}

func TestMovedUnit(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	a, b := key("a"), key("b")
	c.Put(a, []byte("a"))
	c.Put(b, []byte("b"))
	if err := os.Rename(c.path(a, a.id()), c.path(b, b.id())); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Get(b); ok {
		t.Errorf("key b gives %q", got)
	}
}

func TestTrimOldestFirst(t *testing.T) {
	c := open(t, t.TempDir(), 100*(1000+headerSize))
	start := time.Now().Add(-300 * time.Hour)
	now := start
	c.now = func() time.Time { return now }
	data := make([]byte, 1000)
	for i := range 100 {
		k := key(fmt.Sprint(i))
		c.Put(k, data)
		if err := os.Chtimes(c.path(k, k.id()), now, now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	now = now.Add(2 * time.Hour)
	if _, ok := c.Get(key("0")); !ok { // used: it is the newest now
		t.Fatal("unit 0 is gone already")
	}
	removed, err := c.Trim(50 * (1000 + headerSize))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes > 50*(1000+headerSize) || s.Entries < 40 || s.Entries+removed.Entries != 100 || removed.Kinds["module"].Entries != removed.Entries {
		t.Errorf("left %+v, removed %+v", s, removed)
	}
	for i := range 100 {
		_, ok := c.Get(key(fmt.Sprint(i)))
		if want := i == 0 || i > 100-s.Entries; ok != want {
			t.Errorf("unit %d: there %v, want %v", i, ok, want)
		}
	}
}

// TestBound: after Close a store is never above its bound, and never far above
// it before.
func TestBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "cache-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		max := rapid.Int64Range(500, 20000).Draw(t, "max")
		c, err := Open(dir, max)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "units") {
			c.Put(key(fmt.Sprint(i)), make([]byte, rapid.IntRange(0, 2000).Draw(t, "size")))
			s, err := c.Stats()
			if err != nil || s.Bytes > max+max/8 {
				t.Fatalf("%v: %d bytes of %d", err, s.Bytes, max)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err := c.Stats(); err != nil || s.Bytes > max {
			t.Fatalf("%v: %d bytes of %d", err, s.Bytes, max)
		}
	})
}

func TestTouchAtMostHourly(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	k := key("x")
	c.Put(k, nil)
	path := c.path(k, k.id())
	for age, touched := range map[time.Duration]bool{time.Minute: false, 59 * time.Minute: false, 2 * time.Hour: true, -2 * time.Hour: true} {
		old := time.Now().Add(-age)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		c.Get(k)
		after, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := !after.ModTime().Equal(before.ModTime()); got != touched {
			t.Errorf("used %v ago: touched %v", age, got)
		}
	}
}

// TestCleanLeavesTheRest: the folder may be one that holds other things.
func TestCleanLeavesTheRest(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, 0)
	keep := []string{"mine", "ab/mine", "abc/x", "sub/tmp-1"}
	for _, f := range keep {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		c.Put(key(fmt.Sprint(i)), []byte("data"))
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp-1"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	removed, err := c.Clean()
	if err != nil || removed.Entries != 300 {
		t.Fatalf("%v, removed %+v", err, removed)
	}
	var left []string
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			left = append(left, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"ab/mine", "abc/x", "mine", "sub/tmp-1"}, left); d != "" {
		t.Error(d)
	}
	c.Put(key("again"), []byte("x"))
	if _, ok := c.Get(key("again")); !ok || c.Notice() != "" {
		t.Errorf("after Clean nothing can be put: %s", c.Notice())
	}
}

func TestStaleTemporaryFiles(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	c.Put(key("x"), nil)
	for name, age := range map[string]time.Duration{"tmp-old": 2 * time.Hour, "tmp-new": time.Minute} {
		p := filepath.Join(c.dir, name)
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(p, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := filepath.Glob(filepath.Join(c.dir, "tmp-*"))
	if d := cmp.Diff([]string{filepath.Join(c.dir, "tmp-new")}, got); d != "" || err != nil {
		t.Error(err, d)
	}
}

func TestRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open777 := t.TempDir()
	if err := os.Chmod(open777, 0o777); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{file: "not a directory", open777: "others may write to it", filepath.Join(file, "x"): "not a directory"}
	if other := t.TempDir(); os.Geteuid() == 0 {
		if err := os.Chown(other, 1234, -1); err != nil {
			t.Fatal(err)
		}
		cases[other] = "belongs to user 1234"
	} else {
		t.Log("not root: a folder of another user is not tried")
	}
	for dir, want := range cases {
		if c, err := Open(dir, 0); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}

// TestNoFolder: a build goes on when the folder cannot be made, and says it once.
func TestNoFolder(t *testing.T) {
	parent := t.TempDir()
	c := open(t, filepath.Join(parent, "a/b"), 0)
	if err := os.WriteFile(filepath.Join(parent, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.Put(key("x"), []byte("x"))
	}
	if _, ok := c.Get(key("x")); ok {
		t.Error("a hit")
	}
	if n := c.Notice(); !strings.HasPrefix(n, "the build cache is not written to: ") {
		t.Errorf("notice %q", n)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestNil(t *testing.T) {
	var c *Cache
	c.Put(key("x"), nil)
	_, ok := c.Get(key("x"))
	s, err := c.Stats()
	_, cerr := c.Clean()
	_, terr := c.Trim(1)
	if ok || err != nil || cerr != nil || terr != nil || c.Close() != nil || c.Notice() != "" || s.Entries != 0 {
		t.Error("a nil cache does something")
	}
}

func TestBadKind(t *testing.T) {
	for _, kind := range []string{"", "../x", "A", "12345678901234567"} {
		c := open(t, t.TempDir(), 0)
		k := Key{Kind: kind}
		c.Put(k, nil)
		if _, ok := c.Get(k); ok || c.Notice() == "" {
			t.Errorf("%q is taken", kind)
		}
	}
}

func TestGoroutines(t *testing.T) {
	c := open(t, t.TempDir(), 64<<10)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				work(t, c, (g+i)%40)
			}
		})
	}
	wg.Wait()
	if c.Notice() != "" {
		t.Error(c.Notice())
	}
}

// work gets or makes unit i, whose data are known.
func work(t testing.TB, c *Cache, i int) {
	want := bytes.Repeat([]byte{byte(i)}, 1000+i*50)
	got, ok := c.Get(key(fmt.Sprint(i)))
	if !ok {
		c.Put(key(fmt.Sprint(i)), want)
	} else if !bytes.Equal(got, want) {
		t.Errorf("unit %d: %d wrong bytes", i, len(got))
	}
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if dir, err := DefaultDir(); dir != "/somewhere/bareroot/build" || err != nil {
		t.Error(dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := Open("", 0); err == nil {
		t.Error("a place without a home")
	}
}

// TestSum64 against known answers, and against the checksum that a zstd frame
// ends with: its low 32 bits.
func TestSum64(t *testing.T) {
	for in, want := range map[string]uint64{"": 0xef46db3751d8e999, "a": 0xd24ec4f1a98c6e5b, "abc": 0x44bc2cf5ad770999} {
		if got := sum64([]byte(in)); got != want {
			t.Errorf("%q: %x, want %x", in, got, want)
		}
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "data")
		frame := enc.EncodeAll(b, nil)
		sum := frame[len(frame)-4:]
		want := uint32(sum[0]) | uint32(sum[1])<<8 | uint32(sum[2])<<16 | uint32(sum[3])<<24
		if got := uint32(sum64(b)); got != want {
			t.Fatalf("%x, zstd says %x", got, want)
		}
	})
}

func FuzzReadEntry(f *testing.F) {
	id := key("x").id()
	f.Add(append(header(id, []byte("data")), "data"...))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "unit")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		data, _, err := readEntry(path, id)
		if err == nil && !bytes.Equal(b, append(header(id, data), data...)) {
			t.Errorf("%d bytes are taken", len(b))
		}
	})
}

func BenchmarkGet(b *testing.B) {
	c := open(b, b.TempDir(), 0)
	data := make([]byte, 30<<10) // a module
	for i := range 1000 {
		c.Put(key(fmt.Sprint(i)), data)
	}
	keys := make([]Key, 1000)
	for i := range keys {
		keys[i] = key(fmt.Sprint(i))
	}
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		if _, ok := c.Get(keys[i%1000]); !ok {
			b.Fatal("a miss")
		}
	}
}

func BenchmarkPut(b *testing.B) {
	c := open(b, b.TempDir(), 0)
	data := make([]byte, 30<<10)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		c.Put(key(fmt.Sprint(i%1000)), data)
	}
}

// BenchmarkClose looks 2000 units through.
func BenchmarkClose(b *testing.B) {
	c := open(b, b.TempDir(), 0)
	for i := range 2000 {
		c.Put(key(fmt.Sprint(i)), []byte("x"))
	}
	for b.Loop() {
		c.usage.Store(1)
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSum64(b *testing.B) {
	data := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		sum64(data)
	}
}

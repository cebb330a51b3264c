package cache

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

var packKey = Key{Kind: "pack", Content: sha256.Sum256([]byte("6.1.0")), Params: "zstd 3"}

func name(i int) [32]byte { return sha256.Sum256([]byte(fmt.Sprint(i))) }

func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "pack-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c, err := Open(filepath.Join(dir, "c"), 0)
		if err != nil {
			t.Fatal(err)
		}
		if p := c.OpenPack(packKey); p != nil || p.Has(name(0)) {
			t.Fatal("a pack in an empty store")
		}
		want := map[[32]byte][]byte{}
		var old *Pack
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			w := c.NewPack(packKey)
			for i := range rapid.IntRange(0, 20).Draw(t, "pieces") {
				n := name(100*round + i/2) // some twice: the first one stays
				b := rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "data")
				w.Add(n, b, 0)
				if _, ok := want[n]; !ok {
					want[n] = b
				}
			}
			w.Commit(old)
			old.Close()
			if old = c.OpenPack(packKey); old == nil {
				t.Fatalf("no pack: %s", c.Notice())
			}
			buf := make([]byte, 0, 100)
			for n, b := range want {
				got, ok := old.Get(n, buf)
				if !ok || !bytes.Equal(got, b) || !old.Has(n) {
					t.Fatalf("%x: %v, %d bytes for %d", n[:4], ok, len(got), len(b))
				}
			}
			if old.Has(name(-1)) {
				t.Fatal("a piece that nobody put")
			}
		}
		old.Close()
		if tmp, err := filepath.Glob(filepath.Join(dir, "c/tmp-*")); err != nil || len(tmp) > 0 {
			t.Fatalf("left over: %v %v", tmp, err)
		}
		if s, err := c.Stats(); err != nil || s.Entries != 1 || s.Kinds["pack"].Entries != 1 {
			t.Fatalf("%+v %v", s, err)
		}
	})
}

// TestPackDamaged: whatever is changed in a pack's file, no piece comes back
// changed. A pack whose table is damaged is gone; of one with a damaged piece the
// others are still there, and the next pack has only them.
func TestPackDamaged(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	path := c.path(packKey, packKey.id())
	rapid.Check(t, func(t *rapid.T) {
		want := map[[32]byte][]byte{}
		w := c.NewPack(packKey)
		for i := range rapid.IntRange(1, 8).Draw(t, "pieces") {
			want[name(i)] = rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "data")
			w.Add(name(i), want[name(i)], 0)
		}
		w.Commit(nil)
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
		p := c.OpenPack(packKey)
		if _, err := os.Stat(path); (p == nil) != (err != nil) {
			t.Fatal("a pack with a damaged table stays")
		}
		missing := 0
		for n, data := range want {
			if got, ok := p.Get(n, nil); !ok {
				missing++
			} else if !bytes.Equal(got, data) {
				t.Fatal("a changed piece is a hit")
			}
		}
		if missing == 0 || p != nil && missing > 1 {
			t.Fatalf("%d pieces missing of %d, pack open: %v", missing, len(want), p != nil)
		}
		c.NewPack(packKey).Commit(p)
		p.Close()
		p = c.OpenPack(packKey)
		defer p.Close()
		left := 0
		for n := range want {
			if p.Has(n) {
				left++
			}
		}
		if left != len(want)-missing {
			t.Fatalf("the next pack has %d of %d pieces, %d were missing", left, len(want), missing)
		}
	})
}

// TestPackOf: pieces that are in a kept file come out of it, also of one whose
// making was interrupted, and are gone with it. A pack keeps what those before it
// held.
func TestPackOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "pack-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c, err := Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := map[[32]byte][]byte{}
		var old *Pack
		for round := range rapid.IntRange(1, 4).Draw(t, "rounds") {
			w, m := c.NewPack(packKey), c.Make()
			w.Of(m)
			end := rapid.SampledFrom([]string{"kept", "interrupted", "dropped"}).Draw(t, "end")
			var late []byte // what the interrupted build has not written
			at := int64(0)
			for i := range rapid.IntRange(0, 9).Draw(t, "pieces") {
				b := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "data")
				n := name(100*round + i)
				w.Add(n, b, at+3)
				at += int64(3 + len(b))
				b = append([]byte("..."), b...)
				if end == "interrupted" && (late != nil || i == 5) {
					late = append(late, b...)
					continue
				}
				m.Write(b)
				if end != "dropped" {
					want[n] = b[3:]
				}
			}
			switch end {
			case "kept":
				m.Write([]byte("the end"))
				m.Keep(fileKey(fmt.Sprint(round)), nil)
			case "dropped":
				m.Drop()
			}
			w.Commit(old)
			m.Drop()
			old.Close()
			old = c.OpenPack(packKey)
			for n, b := range want {
				if got, ok := old.Get(n, nil); !ok || !bytes.Equal(got, b) {
					t.Fatalf("round %d, %s: %x: %v, %d bytes for %d", round, end, n[:4], ok, len(got), len(b))
				}
			}
			if old != nil && len(old.rows) != len(want) {
				t.Fatalf("round %d, %s: %d pieces for %d", round, end, len(old.rows), len(want))
			}
		}
		defer old.Close()
		if n := c.Notice(); n != "" {
			t.Fatal(n)
		}
		// Whatever becomes of the files, no piece comes back changed.
		files, err := filepath.Glob(filepath.Join(dir, "*/*-data"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil || len(b) == 0 {
				continue
			}
			switch at := rapid.IntRange(0, len(b)-1).Draw(t, "at"); rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				b[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
				err = os.WriteFile(f, b, 0)
			case 1:
				err = os.Truncate(f, int64(at))
			case 2:
				err = os.Remove(f)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		p := c.OpenPack(packKey)
		defer p.Close()
		for n, b := range want {
			if got, ok := p.Get(n, nil); ok && !bytes.Equal(got, b) {
				t.Fatal("a changed piece is a hit")
			}
		}
	})
}

// TestPackOfOthers: pieces in a file that others may have written to are gone; those
// in the pack's own file stay.
func TestPackOfOthers(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	w := c.NewPack(packKey)
	w.Add(name(1), []byte("own"), 0)
	w.Commit(nil)
	old := c.OpenPack(packKey)
	w, m := c.NewPack(packKey), c.Make()
	w.Of(m)
	w.Add(name(2), []byte("in a file"), 0)
	m.Write([]byte("in a file"))
	m.Keep(fileKey("a"), nil)
	w.Commit(old)
	old.Close()
	holds := func(what string, want bool) {
		t.Helper()
		p := c.OpenPack(packKey)
		defer p.Close()
		if !p.Has(name(1)) || p.Has(name(2)) != want {
			t.Errorf("%s: own %v, in a file %v", what, p.Has(name(1)), p.Has(name(2)))
		}
	}
	data := c.path(fileKey("a"), fileKey("a").id()) + dataSuffix
	holds("kept", true)
	if err := os.Chmod(data, 0o644); err != nil {
		t.Fatal(err)
	}
	holds("writable", false)
	if err := os.Chmod(data, 0o444); err != nil {
		t.Fatal(err)
	}
	holds("shared", true)
	if os.Geteuid() == 0 {
		if err := os.Chown(data, 12345, -1); err != nil {
			t.Fatal(err)
		}
		holds("another's", false)
		if err := os.Chown(data, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(data, 3); err != nil {
		t.Fatal(err)
	}
	holds("shorter", false)
}

func TestPackBounds(t *testing.T) {
	c := open(t, t.TempDir(), 8000)
	big := c.NewPack(packKey)
	big.Add(name(1), make([]byte, 9000), 0)
	big.Commit(nil)
	if p := c.OpenPack(packKey); p != nil {
		t.Error("a pack above the store's bound")
	}
	w := c.NewPack(packKey)
	w.Add(name(1), make([]byte, 600), 0)
	w.Commit(nil)
	old := c.OpenPack(packKey)
	w = c.NewPack(packKey)
	w.Add(name(2), make([]byte, 600), 0)
	w.Commit(old) // both are more than an eighth: the old piece goes
	old.Close()
	p := c.OpenPack(packKey)
	if p.Has(name(1)) || !p.Has(name(2)) {
		t.Errorf("old %v, new %v", p.Has(name(1)), p.Has(name(2)))
	}
	p.Close()
	w = c.NewPack(packKey)
	w.Add(name(3), nil, 0)
	w.Abort()
	if tmp, err := filepath.Glob(filepath.Join(c.dir, "tmp-*")); err != nil || len(tmp) > 0 {
		t.Errorf("left over: %v %v", tmp, err)
	}
	if n := c.Notice(); n != "" {
		t.Error(n)
	}
	var none *Cache
	if none.OpenPack(packKey).Has(name(1)) || none.NewPack(packKey) != nil {
		t.Error("no cache holds something")
	}
}

package build

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"pgregory.net/rapid"
)

// someBytes are easy or hard to compress, up to twice deflate's window; what is
// longer than a piece is TestGzipKept's.
func someBytes(t *rapid.T) []byte {
	b := make([]byte, rapid.IntRange(0, 64<<10).Draw(t, "size"))
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	kinds := rapid.IntRange(1, 255).Draw(t, "kinds")
	for i := range b {
		b[i] = byte(r.IntN(kinds))
	}
	return b
}

// TestGzipPieces: what is written comes back from one gzip member, and its bytes
// depend neither on how many compress nor on what is kept.
func TestGzipPieces(t *testing.T) {
	c := openCache(t)
	rapid.Check(t, func(rt *rapid.T) {
		level := rapid.IntRange(1, 9).Draw(rt, "level")
		parts := make([][]byte, rapid.IntRange(0, 6).Draw(rt, "parts"))
		for i := range parts {
			parts[i] = someBytes(rt)
		}
		pack := func(jobs int, keep *pieces) []byte {
			var b bytes.Buffer
			g, err := newGzip(&b, level, jobs, keep)
			if err != nil {
				rt.Fatal(err)
			}
			for i, p := range parts {
				if n, err := g.Write(p); n != len(p) || err != nil {
					rt.Fatalf("%d of %d bytes, %v", n, len(p), err)
				}
				if i%3 > 0 {
					g.cut()
				}
			}
			if err := g.Close(); err != nil {
				rt.Fatal(err)
			}
			return b.Bytes()
		}
		want := pack(1, nil)
		r, err := gzip.NewReader(bytes.NewReader(want))
		if err != nil {
			rt.Fatal(err)
		}
		r.Multistream(false)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, bytes.Join(parts, nil)) {
			rt.Fatalf("%d bytes come back, %v", len(got), err)
		}
		key := codec{name: "gzip", level: level}
		for _, got := range [][]byte{pack(3, nil), pack(2, openPieces(c, key)), pack(2, openPieces(c, key))} {
			if !bytes.Equal(got, want) {
				rt.Fatal("the bytes differ")
			}
		}
	})
	if stats, err := c.Stats(); err != nil || stats.Kinds["piece"].Entries == 0 {
		t.Errorf("the cache keeps %+v, %v", stats, err)
	}
}

// TestPackerHasNoMemory: a piece comes out the same whatever its encoder was used
// for before.
func TestPackerHasNoMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		level := rapid.IntRange(1, 9).Draw(rt, "level")
		used, err := flate.NewWriter(nil, level)
		if err != nil {
			rt.Fatal(err)
		}
		g := &gzipStream{}
		for range 4 {
			data := someBytes(rt)
			fresh, err := flate.NewWriter(nil, level)
			if err != nil {
				rt.Fatal(err)
			}
			a, b := &piece{data: data}, &piece{data: data}
			if err := g.pack(used, a); err != nil {
				rt.Fatal(err)
			}
			if err := g.pack(fresh, b); err != nil {
				rt.Fatal(err)
			}
			if !bytes.Equal(a.out, b.out) {
				rt.Fatalf("level %d: %d bytes differ from another encoder's", level, len(data))
			}
		}
	})
}

// TestGzipKept: two parts with gzip are the same bytes out of the cache, when one
// file or its absence changes little is made anew, and the names of what is small
// and large do not matter.
func TestGzipKept(t *testing.T) {
	root, o := sysroot(t)
	big := make([]byte, 3*pieceSize/2)
	rand.NewChaCha8([32]byte{}).Read(big)
	for i, n := range []string{"a", "m", "z"} {
		put(t, root, "data/"+n, append([]byte{byte(i)}, big...))
	}
	put(t, root, "data/small", []byte("x"))
	put(t, root, "data/exact", big[:ownPiece])
	o.TwoParts, o.Compress = true, "gzip"
	o.Include = []Include{{filepath.Join(root, "data"), "/data"}}
	c := openCache(t)
	image := func(o Options) []byte {
		b, _ := buildFile(t, o)
		return b
	}
	kept := func() int {
		s, err := c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return s.Kinds["piece"].Entries
	}
	last := 0
	for _, step := range []struct {
		name   string
		change func()
		made   int // pieces at most
	}{
		{"first", func() {}, 30},
		{"again", func() {}, 0},
		{"another command line", func() { o.Cmdline = "x" }, 2},
		{"a file less", func() { os.Remove(filepath.Join(root, "data/small")) }, 2},
		{"a file more", func() { put(t, root, "data/b", []byte("b")) }, 2},
	} {
		step.change()
		o.Cache = nil
		o.Jobs = 1
		want := image(o)
		o.Cache, o.Jobs = c, 4
		if got := image(o); !bytes.Equal(got, want) {
			t.Errorf("%s: bytes differ", step.name)
		}
		n := kept()
		if n-last > step.made {
			t.Errorf("%s: %d pieces are made", step.name, n-last)
		}
		last = n
	}
	if last == 0 {
		t.Error("nothing is kept")
	}
	// Files whose hashes are remembered, and one of them with other bytes, of the
	// same size and time.
	age(t, root)
	first := image(o)
	if second := image(o); !bytes.Equal(first, second) {
		t.Error("bytes differ where nothing is read")
	}
	name := filepath.Join(root, "data/m")
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "data/m", append([]byte{77}, big...))
	if err := os.Chtimes(name, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	got1 := image(o)
	o.Cache = nil
	if want := image(o); !bytes.Equal(got1, want) || bytes.Equal(got1, first) {
		t.Error("a changed file is not seen")
	}
	_, main, _ := splitParts(t, o)
	got := map[string]string{}
	b := image(o)
	r, err := gzip.NewReader(bytes.NewReader(b[bytes.Index(b, []byte(gzipHead)):]))
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	archive, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	unpackArchive(t, archive, got)
	if d := cmp.Diff(main, got); d != "" {
		t.Error(d)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestGzipFails: an error of the writer below is Close's, and nothing waits for
// ever.
func TestGzipFails(t *testing.T) {
	g, err := newGzip(brokenWriter{}, 3, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := g.Write(make([]byte, pieceSize/2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(); err != io.ErrShortWrite {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestJoinCRC: from the parts' checksums that of the whole.
func TestJoinCRC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := someBytes(t), someBytes(t)
		want := crc32.ChecksumIEEE(append(bytes.Clone(a), b...))
		if got := joinCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b))); got != want {
			t.Fatalf("%d and %d bytes: %08x, want %08x", len(a), len(b), got, want)
		}
	})
}

// TestGzipWholes: a file that is taken from the cache is the bytes that writing it
// gives; one that was written otherwise than announced is not kept.
func TestGzipWholes(t *testing.T) {
	c := openCache(t)
	rapid.Check(t, func(rt *rapid.T) {
		parts := make([][]byte, rapid.IntRange(1, 5).Draw(rt, "parts"))
		for i := range parts {
			parts[i] = someBytes(rt)
			if i == 0 { // several pieces, and now and then none left over
				parts[i] = append(parts[i], make([]byte, rapid.SampledFrom([]int{0, pieceSize, 2*pieceSize - len(parts[i])}).Draw(rt, "more"))...)
			}
		}
		pack := func(keep *pieces) (out []byte, taken int) {
			var b bytes.Buffer
			g, err := newGzip(&b, 3, 2, keep)
			if err != nil {
				rt.Fatal(err)
			}
			for i, p := range parts {
				name := sha256.Sum256(fmt.Appendf(nil, "%d %x", i, sha256.Sum256(p)))
				g.cut()
				if keep != nil && g.take(name, int64(len(p))) {
					taken++
					continue
				}
				wrong := int64(i % 2)
				if keep != nil {
					g.begin(int64(len(p)) + wrong)
				}
				if _, err := g.Write(p); err != nil {
					rt.Fatal(err)
				}
				if keep != nil {
					g.end(name)
				}
			}
			if err := g.Close(); err != nil {
				rt.Fatal(err)
			}
			return b.Bytes(), taken
		}
		key := codec{name: "gzip", level: 3}
		want, _ := pack(nil)
		first, _ := pack(openPieces(c, key))
		second, taken := pack(openPieces(c, key))
		if !bytes.Equal(first, want) || !bytes.Equal(second, want) {
			rt.Fatal("the bytes differ")
		}
		if taken != (len(parts)+1)/2 {
			rt.Fatalf("%d of %d files are taken", taken, len(parts))
		}
	})
}

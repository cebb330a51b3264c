package elfdep

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func FuzzObject(f *testing.F) {
	for _, a := range []abi{amd64, i386, s390x} {
		f.Add(fake{abi: a, interp: ld64, soname: "a", needed: []string{"b", "c"}, runpath: "$ORIGIN", dlopen: `[{"soname":["x"]}]`}.bytes())
	}
	f.Add([]byte("#!/bin/sh\n"))
	f.Add([]byte("#!"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := readObject(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(o.needed) > maxNames || len(o.interp) > maxString {
			t.Errorf("%d names, loader of %d bytes", len(o.needed), len(o.interp))
		}
		for _, n := range o.needed {
			if n == "" || strings.Contains(n, "\x00") {
				t.Errorf("name %q", n)
			}
		}
	})
}

// FuzzDamaged changes single bytes of a good file: the closure is found or
// refused, and nothing outside of the sysroot is named.
func FuzzDamaged(f *testing.F) {
	good := fake{interp: ld64, needed: []string{"libc.so.6", "../../../etc/passwd"}, runpath: "$ORIGIN/../../..:/opt", dlopen: `[{"soname":["x"]}]`}.bytes()
	f.Add(uint16(70), byte(3))
	f.Fuzz(func(t *testing.T, at uint16, v byte) {
		root := t.TempDir()
		b := bytes.Clone(good)
		b[int(at)%len(b)] = v
		if err := os.WriteFile(filepath.Join(root, "prog"), b, 0o755); err != nil {
			t.Fatal(err)
		}
		deps, _ := New(root).Closure("prog")
		for _, d := range deps {
			if !strings.HasPrefix(d.Source, root+"/") {
				t.Errorf("%s is outside of %s", d.Source, root)
			}
		}
	})
}

func FuzzConf(f *testing.F) {
	f.Add([]byte("include /etc/ld.so.conf.d/*.conf\n/usr/lib # x\n/opt/a=libc6\nhwcap 0 x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range parseConf(b) {
			if (l.dir == "") == (l.include == nil) || l.dir != "" && l.dir[0] != '/' {
				t.Errorf("%+v", l)
			}
		}
	})
}

func FuzzDlopen(f *testing.F) {
	f.Add([]byte(`[{"soname":["libx.so.1"],"feature":"x","priority":"required"}]`))
	f.Add([]byte("[]\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range parseDlopen(b) {
			if len(o.Sonames) == 0 {
				t.Errorf("%+v", o)
			}
		}
	})
}

func FuzzNotes(f *testing.F) {
	f.Add(note(binary.LittleEndian, 4, noteDlopen, `[{"soname":["a"]}]`), uint64(4), true)
	f.Add(note(binary.BigEndian, 8, noteDlopen, `[{"soname":["a"]}]`), uint64(8), false)
	f.Fuzz(func(t *testing.T, b []byte, align uint64, little bool) {
		order := binary.ByteOrder(binary.BigEndian)
		if little {
			order = binary.LittleEndian
		}
		parseNotes(b, order, align)
	})
}

// TestNotes: several notes in one segment, others between them.
func TestNotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		align := rapid.SampledFrom([]int{4, 8}).Draw(t, "align")
		order := rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")
		var b []byte
		want := 0
		for range rapid.IntRange(0, 5).Draw(t, "notes") {
			typ := uint32(3)
			if rapid.Bool().Draw(t, "ours") {
				typ = noteDlopen
				want++
			}
			pad := strings.Repeat(" ", rapid.IntRange(0, 9).Draw(t, "pad"))
			b = append(b, note(order, align, typ, `[{"soname":["a"]}]`+pad)...)
		}
		if got := parseNotes(b, order, uint64(align)); len(got) != want {
			t.Fatalf("%d found, want %d", len(got), want)
		}
	})
}

// TestResolveStaysInside: whatever links there are, a path that resolves names
// what a lexical walk from the sysroot may name, and every Dep is below it.
func TestResolveStaysInside(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "elfdep-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		word := rapid.SampledFrom([]string{"a", "b", "c", "..", ".", "", "d/x"})
		for _, n := range names {
			target := strings.Join(rapid.SliceOfN(word, 1, 6).Draw(t, n), "/")
			if target == "" {
				target = "/"
			}
			if err := os.Symlink(target, filepath.Join(root, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.MkdirAll(filepath.Join(root, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "d/x"), []byte("x"), 0o755); err != nil {
			t.Fatal(err)
		}
		ask := strings.Join(rapid.SliceOfN(word, 1, 6).Draw(t, "ask"), "/")
		pl, err := newTree(root).resolve(ask)
		if err != nil {
			return
		}
		if pl.real != "" && pl.real != "d" && pl.real != "d/x" {
			t.Fatalf("%q resolves to %q", ask, pl.real)
		}
	})
}

// TestBlocks: like the reader below it, at any place.
func TestBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := bytes.Repeat([]byte("0123456789abcde"), rapid.IntRange(0, 4000).Draw(t, "size"))
		b := newBlocks(bytes.NewReader(data))
		for range 5 {
			off := rapid.Int64Range(0, int64(len(data))+10).Draw(t, "off")
			n := rapid.IntRange(0, 40000).Draw(t, "n")
			want, got := make([]byte, n), make([]byte, n)
			wn, werr := bytes.NewReader(data).ReadAt(want, off)
			gn, gerr := b.ReadAt(got, off)
			if n > 0 && (wn != gn || werr != gerr || !bytes.Equal(want, got)) {
				t.Fatalf("%d bytes at %d: %d %v, want %d %v", n, off, gn, gerr, wn, werr)
			}
		}
	})
}

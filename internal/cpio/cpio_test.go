package cpio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type item struct {
	Kind, Name, Data string
	Mode             uint32
	Major, Minor     uint32
}

func write(t interface{ Fatalf(string, ...any) }, items []item) []byte {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for _, it := range items {
		var err error
		switch it.Kind {
		case "dir":
			err = w.Dir(it.Name, it.Mode)
		case "file":
			err = w.File(it.Name, it.Mode, []byte(it.Data))
		case "stream":
			err = w.FileFrom(it.Name, it.Mode, int64(len(it.Data)), strings.NewReader(it.Data))
		case "link":
			err = w.Symlink(it.Name, it.Data)
		case "node":
			err = w.Node(it.Name, it.Mode|TypeChar, it.Major, it.Minor)
		}
		if err != nil {
			t.Fatalf("%s %s: %v", it.Kind, it.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return buf.Bytes()
}

func read(b []byte) (out []item, err error) {
	r := NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		it := item{Name: h.Name, Mode: h.Mode & 0o7777, Major: h.RdevMajor, Minor: h.RdevMinor}
		switch h.Mode & TypeMask {
		case TypeDir:
			it.Kind = "dir"
		case TypeSymlink:
			it.Kind, it.Data = "link", h.Link
		case TypeChar:
			it.Kind = "node"
		case TypeRegular:
			it.Kind = "file"
			data, err := io.ReadAll(r)
			if err != nil {
				return out, err
			}
			it.Data = string(data)
		}
		out = append(out, it)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in, want []item
		for i := range rapid.IntRange(0, 20).Draw(t, "n") {
			it := item{
				Kind: rapid.SampledFrom([]string{"dir", "file", "stream", "link", "node"}).Draw(t, "kind"),
				Name: fmt.Sprintf("%d%s", i, rapid.StringMatching(`[a-zA-Zä.][ -.0-~]{0,40}`).Draw(t, "name")),
				Mode: uint32(rapid.IntRange(0, 0o7777).Draw(t, "mode")),
			}
			switch it.Kind {
			case "file", "stream":
				it.Data = string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"))
			case "link":
				it.Data, it.Mode = rapid.StringMatching(`[a-z/.]{1,60}`).Draw(t, "target"), 0o777
			case "node":
				it.Major, it.Minor = rapid.Uint32().Draw(t, "major"), rapid.Uint32().Draw(t, "minor")
			}
			in = append(in, it)
			if it.Kind == "stream" {
				it.Kind = "file"
			}
			want = append(want, it)
		}
		b := write(t, in)
		if len(b)%4 != 0 {
			t.Fatalf("archive of %d bytes is not padded to 4", len(b))
		}
		if !bytes.Equal(b, write(t, in)) {
			t.Fatal("two writings of the same entries differ")
		}
		// Two archives joined with zeros between read as one after the other.
		got, err := read(append(append(bytes.Clone(b), make([]byte, 512)...), b...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append(append([]item(nil), want...), want...), got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWriterRefuses(t *testing.T) {
	for name, f := range map[string]func(*Writer) error{
		"leading slash": func(w *Writer) error { return w.Dir("/etc", 0o755) },
		"dot dot":       func(w *Writer) error { return w.File("../etc", 0o644, nil) },
		"unclean":       func(w *Writer) error { return w.File("a//b", 0o644, nil) },
		"empty":         func(w *Writer) error { return w.Dir("", 0o755) },
		"trailer":       func(w *Writer) error { return w.File(trailer, 0o644, nil) },
		"NUL":           func(w *Writer) error { return w.File("a\x00b", 0o644, nil) },
		"root as file":  func(w *Writer) error { return w.File(".", 0o644, nil) },
		"empty target":  func(w *Writer) error { return w.Symlink("a", "") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := f(NewWriter(io.Discard)); !errors.Is(err, ErrName) {
				t.Fatalf("got %v, want ErrName", err)
			}
		})
	}
	if err := NewWriter(io.Discard).FileFrom("big", 0o644, 1<<32, nil); err == nil {
		t.Fatal("4 GiB were accepted")
	}
	w := NewWriter(io.Discard)
	if err := w.FileFrom("short", 0o644, 10, strings.NewReader("abc")); err == nil || !strings.Contains(err.Error(), "3 of 10") {
		t.Fatalf("short content: %v", err)
	}
	if err := w.Close(); err == nil {
		t.Fatal("a spoilt archive was closed without error")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWriterReportsWriteErrors(t *testing.T) {
	w := NewWriter(full{})
	err := w.File("a", 0o644, make([]byte, 1<<20))
	if err == nil {
		err = w.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("got %v", err)
	}
}

func TestHeaderFields(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.SetModTime(time.Unix(1700000000, 0))
	w.Dir("d", 0o1777)
	w.File("d/f", 0o640, []byte("x"))
	if err := w.ClosePadded(4096); err != nil {
		t.Fatal(err)
	}
	if buf.Len() != 4096 || w.Size() != 4096 {
		t.Fatalf("%d bytes, Size %d", buf.Len(), w.Size())
	}
	r := NewReader(&buf)
	var got []Header
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, *h)
	}
	want := []Header{
		{Name: "d", Ino: 1, Mode: TypeDir | 0o1777, Nlink: 2, MTime: 1700000000},
		{Name: "d/f", Ino: 2, Mode: TypeRegular | 0o640, Nlink: 1, MTime: 1700000000, Size: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// TestForeignReaders unpacks with the programs that others use.
func TestForeignReaders(t *testing.T) {
	items := []item{
		{Kind: "dir", Name: ".", Mode: 0o755},
		{Kind: "dir", Name: "usr", Mode: 0o755},
		{Kind: "dir", Name: "usr/bin", Mode: 0o755},
		{Kind: "file", Name: "usr/bin/tool", Mode: 0o755, Data: "#!/bin/sh\n"},
		{Kind: "stream", Name: "usr/odd", Mode: 0o600, Data: "12345"},
		{Kind: "file", Name: "usr/empty", Mode: 0o644},
		{Kind: "link", Name: "bin", Data: "usr/bin", Mode: 0o777},
	}
	b := write(t, items)
	for name, args := range map[string][]string{
		"cpio":   {"cpio", "-idm", "--quiet", "--no-absolute-filenames"},
		"bsdtar": {"bsdtar", "-xpf", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Fatalf("%v: install cpio and libarchive-tools", err)
			}
			dir := t.TempDir()
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir, cmd.Stdin = dir, bytes.NewReader(b)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var got []item
			err := filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
				if err != nil || p == dir {
					return err
				}
				rel, _ := filepath.Rel(dir, p)
				it := item{Name: rel, Mode: uint32(fi.Mode().Perm())}
				switch {
				case fi.IsDir():
					it.Kind = "dir"
				case fi.Mode()&os.ModeSymlink != 0:
					it.Kind, it.Mode = "link", 0o777
					it.Data, err = os.Readlink(p)
				default:
					it.Kind = "file"
					var data []byte
					data, err = os.ReadFile(p)
					it.Data = string(data)
				}
				got = append(got, it)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			want := append([]item(nil), items[1:]...) // the root is the folder itself
			for i := range want {
				if want[i].Kind == "stream" {
					want[i].Kind = "file"
				}
			}
			sort.Slice(want, func(i, j int) bool { return want[i].Name < want[j].Name })
			sort.Slice(got, func(i, j int) bool { return got[i].Name < got[j].Name })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// TestTruncated cuts an archive at every byte: never a panic, never a silent
// success before the trailer.
func TestTruncated(t *testing.T) {
	b := write(t, []item{{Kind: "dir", Name: "d", Mode: 0o755}, {Kind: "file", Name: "d/f", Mode: 0o644, Data: "hello"}, {Kind: "link", Name: "l", Data: "d/f"}})
	end := bytes.Index(b, []byte(trailer)) + len(trailer) + 1
	for n := range b {
		_, err := read(b[:n])
		if n > 0 && n < end && err == nil {
			t.Fatalf("cut at %d of %d: no error", n, len(b))
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, []item{{Kind: "dir", Name: "d", Mode: 0o755}, {Kind: "link", Name: "l", Data: "d"}, {Kind: "file", Name: "f", Data: "abc"}}))
	f.Add([]byte(magic))
	f.Add(bytes.Repeat([]byte("0"), 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := read(b)
		if err == nil {
			for _, it := range items {
				if len(it.Data) > len(b) {
					t.Fatalf("%q has %d bytes out of %d", it.Name, len(it.Data), len(b))
				}
			}
		}
	})
}

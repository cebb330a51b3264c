package sys

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"size":   {"2048\n", "2048"},
		"model":  {"  QEMU HARDDISK   \n", "QEMU HARDDISK"},
		"uevent": {"MAJOR=8\nMINOR=0\n", "MAJOR=8\nMINOR=0"},
		"empty":  {"", ""},
	} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Line(p); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for _, p := range []string{filepath.Join(dir, "none"), dir} {
		if got := Line(p); got != "" {
			t.Errorf("%s: %q, want nothing", p, got)
		}
	}
}

func TestCopyFile(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := CopyFile(from, to, 0o777)
	if err != nil || n != 7 {
		t.Fatalf("copied %d bytes: %v", n, err)
	}
	fi, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode() != 0o777 {
		t.Errorf("mode %v: the umask counts", fi.Mode())
	}
	if b, _ := os.ReadFile(to); string(b) != "content" {
		t.Errorf("content %q", b)
	}
	if _, err := CopyFile(from, to, 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another file: %v", err)
	}
	if b, _ := os.ReadFile(to); string(b) != "content" {
		t.Errorf("what was there is %q now", b)
	}
	// A folder can be opened, but not read.
	half := filepath.Join(dir, "half")
	if _, err := CopyFile(dir, half, 0o644); err == nil {
		t.Error("a folder was copied")
	}
	if _, err := os.Lstat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a copy is left: %v", err)
	}
}

func TestUntilDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := UntilDone(ctx, strings.NewReader("abc"))
	var b [2]byte
	if _, err := io.ReadFull(r, b[:]); err != nil || string(b[:]) != "ab" {
		t.Errorf("%q %v", b, err)
	}
	cancel()
	if n, err := r.Read(b[:]); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %d %v", n, err)
	}
}

// widest notes the longest write, and fails after some bytes.
type widest struct {
	got  []byte
	most int
	room int
}

func (w *widest) Write(b []byte) (int, error) {
	n := min(len(b), w.room-len(w.got))
	w.got, w.most = append(w.got, b[:n]...), max(w.most, len(b))
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func TestInPieces(t *testing.T) {
	for _, c := range []struct{ size, room int }{{0, 1}, {1, 1}, {65536, 65536}, {65537, 1 << 20}, {300_000, 1 << 20}, {300_000, 100_000}} {
		b := []byte(strings.Repeat("0123456", c.size/7+1)[:c.size])
		w := &widest{room: c.room}
		n, err := InPieces(w).Write(b)
		if n != min(c.size, c.room) || (err != nil) != (c.size > c.room) {
			t.Errorf("%d bytes where %d fit: %d, %v", c.size, c.room, n, err)
		}
		if string(w.got) != string(b[:n]) || w.most > 64<<10 {
			t.Errorf("%d bytes: others arrive, or %d at once", c.size, w.most)
		}
	}
}

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"bareroot/api"
)

// TestBothWriteTheSame: the role and its peer leave the same bytes, so that
// their times are of the same work. They write one after the other to one file.
func TestBothWriteTheSame(t *testing.T) {
	for _, p := range []string{"curl", "zstd", "dd"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: scripts/packages lab check", err)
		}
	}
	image, raw := makeImage(t)
	disk := filepath.Join(t.TempDir(), "disk")
	src := api.Source{Format: "raw", Compression: "zstd"}
	stop, err := serve(image, &src)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	empty := func() {
		t.Helper()
		if err := os.WriteFile(disk, make([]byte, 16<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := func(who string) {
		t.Helper()
		if b, err := os.ReadFile(disk); err != nil || !bytes.Equal(b[:len(raw)], raw) {
			t.Errorf("%s wrote something else, %v", who, err)
		}
	}
	empty()
	n, written, err := deploy(t.Context(), src, disk)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(raw)) || written <= 0 || written >= n {
		t.Errorf("%d bytes, %d of them not zeros; the image has %d and holes", n, written, len(raw))
	}
	same("the role")
	empty()
	if err := pipeline(t.Context(), src, target{disk: disk}); err != nil {
		t.Fatal(err)
	}
	same("the peer")

	memory := filepath.Join(t.TempDir(), "file")
	if n, _, err := download(t.Context(), src, memory); err != nil || n != src.Size {
		t.Errorf("downloaded %d bytes of %d, %v", n, src.Size, err)
	}
	if err := pipeline(t.Context(), src, target{memory: memory}); err != nil {
		t.Error(err)
	}
	src.SHA256 = "00" + src.SHA256[2:]
	if err := pipeline(t.Context(), src, target{memory: memory}); err == nil {
		t.Error("the peer did not look at the hash")
	}
}

// makeImage is 8 MiB of which a part is zeros.
func makeImage(t *testing.T) (path string, raw []byte) {
	t.Helper()
	raw = make([]byte, 8<<20)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(raw[:3<<20])
	_, _ = r.Read(raw[7<<20:])
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	path = filepath.Join(t.TempDir(), "image.zst")
	if err := os.WriteFile(path, e.EncodeAll(raw, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, raw
}

// TestArguments: what cannot be measured is refused before anything is written.
func TestArguments(t *testing.T) {
	for name, c := range map[string]struct {
		image string
		src   api.Source
		t     target
		runs  int
	}{
		"no target":   {"i", api.Source{}, target{}, 1},
		"two targets": {"i", api.Source{}, target{"d", "m"}, 1},
		"no image":    {"", api.Source{}, target{disk: "d"}, 1},
		"two images":  {"i", api.Source{URL: "http://x"}, target{disk: "d"}, 1},
		"no run":      {"i", api.Source{}, target{disk: "d"}, 0},
	} {
		if err := bench(t.Context(), c.image, c.src, c.t, c.runs, ""); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}

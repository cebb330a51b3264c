package inventory

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"bareroot/api"
	"bareroot/internal/bootset"
)

func frame(t testing.TB, s string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll([]byte(s), nil)
}

func TestTakeImage(t *testing.T) {
	long := strings.Repeat("0123456789", 100_000)
	tests := map[string]struct {
		in   []byte
		want api.Image // Format, Compression, RawSize
		says string
	}{
		"raw":                    {[]byte(long), api.Image{Format: "raw", RawSize: 1_000_000}, ""},
		"short":                  {[]byte("x"), api.Image{Format: "raw", RawSize: 1}, ""},
		"squashfs":               {[]byte("hsqs" + long), api.Image{Format: "squashfs", RawSize: 1_000_004}, ""},
		"zstd":                   {frame(t, long), api.Image{Format: "raw", Compression: "zstd", RawSize: 1_000_000}, ""},
		"zstd frames joined":     {append(frame(t, long), frame(t, "ab")...), api.Image{Format: "raw", Compression: "zstd", RawSize: 1_000_002}, ""},
		"squashfs in zstd":       {frame(t, "hsqs"), api.Image{Format: "squashfs", Compression: "zstd", RawSize: 4}, ""},
		"zstd cut short":         {frame(t, long)[:100], api.Image{}, "no intact zstd"},
		"zstd and something":     {append(frame(t, long), "garbage"...), api.Image{}, "no intact zstd"},
		"empty":                  {nil, api.Image{}, "is empty"},
		"nothing in zstd":        {frame(t, ""), api.Image{}, ""},
		"qcow2":                  {[]byte("QFI\xfb" + long), api.Image{}, "qemu-img convert"},
		"gzip":                   {[]byte("\x1f\x8b\x08" + long), api.Image{}, "gzip"},
		"a page of a lost image": {[]byte("<!DOCTYPE html>"), api.Image{}, "HTML"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			got, err := takeImage(t.Context(), &out, bytes.NewReader(tc.in))
			if tc.want.RawSize == 0 {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("%+v, error %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), tc.in) || got.Size != int64(len(tc.in)) {
				t.Errorf("%d of %d bytes copied, size %d", out.Len(), len(tc.in), got.Size)
			}
			if got.Format != tc.want.Format || got.Compression != tc.want.Compression || got.RawSize != tc.want.RawSize {
				t.Errorf("%+v", got)
			}
		})
	}
}

func FuzzTakeImage(f *testing.F) {
	f.Add([]byte("hsqs"))
	f.Add(frame(f, "some bytes"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		if _, err := takeImage(t.Context(), &out, bytes.NewReader(b)); err == nil && !bytes.Equal(out.Bytes(), b) {
			t.Error("the copy differs")
		}
	})
}

func TestImages(t *testing.T) {
	b := newBench(t)
	i := b.image("debian", "raw bytes", false)
	if again := b.image("debian", "raw bytes", false); again.SHA256 != i.SHA256 || !again.Added.Equal(i.Added) {
		t.Errorf("%+v", again)
	}
	b.image("alias", "raw bytes", false)
	p := filepath.Join(b.dir, "other")
	if err := os.WriteFile(p, []byte("other bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	add := func(r api.ImageRequest) error { _, err := b.AddImage(b.ctx, r); return err }
	wantStatus(t, add(api.ImageRequest{Name: "debian", Path: p}), 409, "bareroot image remove debian")
	wantStatus(t, add(api.ImageRequest{Name: "x", Path: p, SHA256: i.SHA256}), 400, "was asked for")
	wantStatus(t, add(api.ImageRequest{Name: "x", Path: "other"}), 400, "absolute")
	wantStatus(t, add(api.ImageRequest{Name: "x", Path: b.dir}), 400, "no regular file")
	wantStatus(t, add(api.ImageRequest{Name: "../x", Path: p}), 400, "name")
	ss := b.boot("boot-1")
	b.approve()
	_, err := b.PlaceOrder(b.ctx, testMAC, api.OrderRequest{Kind: api.KindRoot, Image: "debian"})
	wantStatus(t, err, 400, "squashfs")
	_, err = b.ImageFile(b.ctx, ss, i.SHA256)
	wantStatus(t, err, 404, "for this machine") // no order of it names the image
	o := b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	if err := b.RemoveImage(b.ctx, "alias"); err != nil {
		t.Fatal(err)
	}
	path, err := b.ImageFile(b.ctx, ss, i.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, b.RemoveImage(b.ctx, "debian"), 409, o.ID)
	if err := os.WriteFile(path, []byte("rotten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := b.VerifyImage(b.ctx, "debian"); err != nil || !strings.Contains(got.Problem, "6 bytes") {
		t.Fatal(got, err)
	}
	_, err = b.ImageFile(b.ctx, ss, i.SHA256)
	wantStatus(t, err, 409, "damaged")
	b.image("debian", "raw bytes", false) // adding it again heals it
	if _, err := b.ImageFile(b.ctx, ss, i.SHA256); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Cancel(b.ctx, o.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveImage(b.ctx, "debian"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file stays: %v", err)
	}
	_, err = b.Retry(b.ctx, o.ID)
	wantStatus(t, err, 404, "no longer registered")
}

func TestBootSets(t *testing.T) {
	b := newBench(t)
	dir := writeSet(t, "quiet")
	s, err := b.AddBootSet(b.ctx, api.BootSetRequest{Name: "second", Path: dir})
	if err != nil || s.Default {
		t.Fatal(s, err)
	}
	if again, err := b.AddBootSet(b.ctx, api.BootSetRequest{Name: "second", Path: dir}); err != nil || *again != *s {
		t.Fatal(again, err)
	}
	path, err := b.BootFile(b.ctx, s.ID, "vmlinuz")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "kernel quiet" {
		t.Errorf("%q %v", data, err)
	}
	for _, f := range []string{"manifest.json", "files.json", "../../bareroot.db", "", "vmlinuz/"} {
		_, err := b.BootFile(b.ctx, s.ID, f)
		wantStatus(t, err, 404, "")
	}
	if m := b.config(b.netboot("boot")); m.Role != "discover" {
		t.Errorf("role %s", m.Role)
	}
	if _, err := b.Approve(b.ctx, testMAC, api.ApproveRequest{BootSet: "second"}); err != nil {
		t.Fatal(err)
	}
	if d := b.netboot("boot"); d.Set.ID != s.ID {
		t.Error("a pinned machine gets the default")
	}
	wantStatus(t, b.RemoveBootSet(b.ctx, "second"), 409, "pinned")
	wantStatus(t, b.RemoveBootSet(b.ctx, "standard"), 409, "default")
	if _, err := b.DefaultBootSet(b.ctx, "second"); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveBootSet(b.ctx, "standard"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vmlinuz"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = b.AddBootSet(b.ctx, api.BootSetRequest{Name: "third", Path: dir})
	wantStatus(t, err, 400, "sha256")
	left, err := filepath.Glob(filepath.Join(b.dir, "state/bootsets/*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != s.ID {
		t.Errorf("%q %v", left, err)
	}
	m, err := bootset.Read(left[0])
	if err != nil || bootset.Verify(left[0], m) != nil {
		t.Errorf("the stored set is damaged: %v", err)
	}
}

func TestOneServer(t *testing.T) {
	b := newBench(t)
	_, err := New(Config{StateDir: filepath.Join(b.dir, "state"), BaseURL: "http://10.0.0.1:8080"})
	if err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("error %v", err)
	}
}

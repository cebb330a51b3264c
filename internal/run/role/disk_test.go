package role

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/siderolabs/go-blockdevice/v2/partitioning/gpt"

	"bareroot/api"
	"bareroot/internal/disk"
)

// makeImage is a raw image with a GPT and data in one partition.
func makeImage(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(imageSize); err != nil {
		t.Fatal(err)
	}
	dev, err := gpt.DeviceFromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.New(dev, gpt.WithDiskGUID(uuid.UUID{1}))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := table.AllocatePartition(16<<20, "root", uuid.UUID{2}, gpt.WithUniqueGUID(uuid.UUID{3})); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(); err != nil {
		t.Fatal(err)
	}
	for i := int64(2); i < 16; i += 3 { // noise that does not compress, and holes
		b := make([]byte, 1<<20)
		s := sha256.Sum256([]byte{byte(i)})
		for j := 0; j < len(b); j += 32 {
			copy(b[j:], s[:])
			s = sha256.Sum256(s[:])
		}
		if _, err := f.WriteAt(b, i<<20); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pack(t testing.TB, b []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(b, nil)
}

func sum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// recorder is a Reporter for tests.
type recorder struct {
	mu     sync.Mutex
	phases []string
	plan   *api.Plan
	result api.Result
	done   int64
	notes  []string
	on     func(phase string, done int64)
}

func (r *recorder) Facts(context.Context, api.Facts) error { return nil }
func (r *recorder) Note(m string)                          { r.notes = append(r.notes, m) }
func (r *recorder) Plan(p *api.Plan)                       { r.plan = p }
func (r *recorder) Result(res api.Result)                  { r.result = res }
func (r *recorder) Progress(phase string, done, _, _ int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.phases); n == 0 || r.phases[n-1] != phase {
		r.phases = append(r.phases, phase)
	}
	r.done = done
	if r.on != nil {
		r.on(phase, done)
	}
}

// fileDisk makes a file stand for a disk.
func fileDisk(path string) func(context.Context) ([]disk.Info, error) {
	return func(context.Context) ([]disk.Info, error) {
		st, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		found, head, mark, err := disk.Content(path, st.Size())
		if err != nil {
			return nil, err
		}
		return []disk.Info{{
			Disk: api.Disk{ID: "serial-test", Path: path, Size: st.Size(), SectorSize: 512, Serial: "test", Content: found},
			Head: head, Mark: mark,
		}}, nil
	}
}

func newDisk(t testing.TB, old bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	var b []byte
	if old {
		b = bytes.Repeat([]byte{0xee}, diskSize)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, diskSize); err != nil {
		t.Fatal(err)
	}
	return path
}

func isDeployed(t testing.TB, path string, image []byte) bool {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := len(image) - 33*512
	g, err := disk.ParseGPT(got[:disk.HeadSize])
	return err == nil && g != nil && g.Alternate == int64(len(got)/512-1) && bytes.Equal(got[disk.HeadSize:end], image[disk.HeadSize:end])
}

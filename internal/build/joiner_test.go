package build

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestJoinerOrders: whatever the order in which parts come and how much they
// hold, the file has them in theirs, once.
func TestJoinerOrders(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		f, err := os.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		j := newJoiner(dir, f, 1000)
		content := make([][][]byte, parts)
		var want []byte
		for i := range content {
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0: // not there, and nobody says so
			case 1:
				j.skip(i)
			default:
				for range rapid.IntRange(1, 4).Draw(t, "writes") {
					n := rapid.SampledFrom([]int{0, 1, 500, 2000}).Draw(t, "size")
					b := bytes.Repeat([]byte{byte(len(want))}, n)
					content[i] = append(content[i], b)
					want = append(want, b...)
				}
			}
		}
		order := make([]int, parts)
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(t, "order")
		var all sync.WaitGroup
		for _, i := range order {
			if content[i] == nil {
				continue
			}
			w, err := j.create(i, "")
			if err != nil {
				t.Fatal(err)
			}
			one := func() {
				for _, b := range content[i] {
					if _, err := w.Write(b); err != nil {
						t.Error(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				j.skip(i) // too late: it changes nothing
			}
			if rapid.Bool().Draw(t, "beside") {
				all.Go(one)
			} else {
				one()
			}
		}
		all.Wait()
		if err := j.finish(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(f.Name())
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v: %d bytes for %d", err, len(got), len(want))
		}
		if left, err := filepath.Glob(filepath.Join(dir, "part-*")); err != nil || len(left) > 0 {
			t.Fatalf("left over: %v %v", left, err)
		}
	})
}

// TestJoinerFails: once a part could not be written, nothing more is, and the
// end says so.
func TestJoinerFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no full device here: %v", err)
	}
	j := newJoiner(t.TempDir(), full, 0)
	late, _ := j.create(1, "")
	if _, err := io.WriteString(late, "waits"); err != nil {
		t.Fatal(err)
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	j.skip(0) // the turn of the part that waits
	other, _ := j.create(2, "")
	if _, err := io.WriteString(other, "x"); err == nil {
		t.Error("written after a failure")
	}
	if err := j.finish(); err == nil {
		t.Error("the end is well")
	}
}

package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func makeDisk(t testing.TB, size int64, fill byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fill != 0 {
		b := bytes.Repeat([]byte{fill}, 1<<20)
		for off := int64(0); off < size; off += int64(len(b)) {
			if _, err := f.WriteAt(b[:min(int64(len(b)), size-off)], off); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return p
}

// deploy writes image to the disk at path; stop, if not nil, is called
// between the steps and may cut the deployment there.
func deploy(path string, image []byte, size int64, wrap func(io.Reader) io.Reader, stop func(step string) error) error {
	d, err := Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	r := io.Reader(bytes.NewReader(image))
	if wrap != nil {
		r = wrap(r)
	}
	im, err := ReadImage(r, size)
	if err != nil {
		return err
	}
	w := &Writer{Dev: d, Image: im, Mark: Mark{Order: "o1", Attempt: 1, Image: "cafe"}}
	steps := []struct {
		name string
		do   func() error
	}{
		{"begin", w.Begin},
		{"copy", func() error { return w.Copy(context.Background(), r) }},
		{"finish", func() error { _, err := w.Finish(); return err }},
	}
	for _, s := range steps {
		if stop != nil {
			if err := stop(s.name); err != nil {
				return err
			}
		}
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

// Random sparse images come out equal byte for byte on a disk full of old
// data, at any chunking, and nothing behind them is touched but the last MiB.
func TestWriterRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 9<<20).Draw(rt, "image size")
		image := make([]byte, size)
		rnd := rand.NewChaCha8([32]byte{byte(size)})
		for range rapid.IntRange(0, 6).Draw(rt, "data runs") {
			from := rapid.IntRange(0, size-1).Draw(rt, "from")
			n := rapid.IntRange(1, min(2<<20, size-from)).Draw(rt, "n")
			rnd.Read(image[from : from+n])
		}
		copy(image, "not a table") // and no accidental one
		if size > 512 {
			image[510], image[511] = 0, 0
		}
		diskSize := int64(size+511)/512*512 + int64(rapid.IntRange(0, 6000).Draw(rt, "spare sectors"))*512
		path := filepath.Join(dir, "disk")
		if err := os.WriteFile(path, bytes.Repeat([]byte{0xee}, int(diskSize)), 0o600); err != nil {
			rt.Fatal(err)
		}
		wrap := rapid.SampledFrom([]func(io.Reader) io.Reader{nil, iotest.HalfReader, iotest.DataErrReader}).Draw(rt, "wrap")
		known := int64(0)
		if rapid.Bool().Draw(rt, "size known") {
			known = int64(size)
		}
		if err := deploy(path, image, known, wrap, nil); err != nil {
			rt.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got[:size], image) {
			rt.Fatal("the disk does not hold the image")
		}
		if int64(len(got)) != diskSize {
			rt.Fatalf("the disk has %d bytes now", len(got))
		}
		for i := max(roundUp(size, 512), HeadSize); i < len(got)-HeadSize; i++ {
			if got[i] != 0xee {
				rt.Fatalf("byte %d behind the image was touched", i)
			}
		}
	})
}

// Wherever a deployment is cut, the disk carries the mark and no boot
// signature, and the next deployment makes it whole.
func TestWriterCut(t *testing.T) {
	image := gptImage(t, 6<<20, 512)
	cut := errors.New("power cut")
	for _, at := range []string{"copy", "finish"} {
		t.Run(at, func(t *testing.T) {
			path := makeDisk(t, 16<<20, 0xee)
			err := deploy(path, image, int64(len(image)), nil, func(step string) error {
				if step == at {
					return cut
				}
				return nil
			})
			if !errors.Is(err, cut) {
				t.Fatal(err)
			}
			found, head, mark, err := Content(path, 16<<20)
			if err != nil || mark == nil {
				t.Fatalf("found %q, mark %v, error %v", found, mark, err)
			}
			if diff := cmp.Diff(Mark{Order: "o1", Attempt: 1, Image: "cafe"}, *mark); diff != "" {
				t.Error(diff)
			}
			if head[510] == 0x55 || bytes.Contains(head, []byte(gptMagic)) {
				t.Error("a cut deployment looks bootable")
			}
			if err := deploy(path, image, int64(len(image)), nil, nil); err != nil {
				t.Fatal(err)
			}
			checkDeployed(t, path, image)
		})
	}
}

func TestWriterRefuses(t *testing.T) {
	image := gptImage(t, 6<<20, 512)
	broken := errors.New("connection broken")
	damaged := bytes.Clone(image)
	damaged[1024+5]++ // in the entries
	for name, tc := range map[string]struct {
		image []byte
		size  int64
		disk  int64
		wrap  func(io.Reader) io.Reader
		want  string
		clean bool // nothing may have been written
	}{
		"too small a disk":     {image: image, size: 6 << 20, disk: 4 << 20, want: "needs 6291456 bytes", clean: true},
		"damaged table":        {image: damaged, size: 6 << 20, disk: 16 << 20, want: "GPT entries are damaged", clean: true},
		"4096-byte table":      {image: gptImage(t, 6<<20, 4096), size: 6 << 20, disk: 16 << 20, want: "sectors of 4096 bytes", clean: true},
		"empty":                {image: nil, disk: 16 << 20, want: "empty", clean: true},
		"short head":           {image: image[:1000], size: 6 << 20, disk: 16 << 20, want: "ends after 1000 bytes", clean: true},
		"shorter than said":    {image: image[:5<<20], size: 6 << 20, disk: 16 << 20, want: "ends after 5242880 bytes"},
		"longer than said":     {image: append(bytes.Clone(image), 1), size: 6 << 20, disk: 16 << 20, want: "longer than"},
		"larger than the disk": {image: make([]byte, 8<<20), disk: 4 << 20, want: "larger than"},
		"broken":               {image: image, size: 6 << 20, disk: 16 << 20, want: "connection broken", wrap: func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 3<<20), iotest.ErrReader(broken)) }},
		"broken with unexpected EOF": {image: image, disk: 16 << 20, want: "unexpected EOF", wrap: func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 3<<20), iotest.ErrReader(io.ErrUnexpectedEOF))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := makeDisk(t, tc.disk, 0xee)
			err := deploy(path, tc.image, tc.size, tc.wrap, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			got, _ := os.ReadFile(path)
			if touched := got[0] != 0xee || got[len(got)-1] != 0xee; touched == tc.clean {
				t.Errorf("disk touched: %v", touched)
			}
			if !tc.clean && ParseMark(got) == nil {
				t.Error("no mark on the disk")
			}
		})
	}
}

func TestWriterCancel(t *testing.T) {
	path := makeDisk(t, 64<<20, 0)
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw := io.Pipe()
	go func() {
		pw.Write(bytes.Repeat([]byte{1}, 8<<20))
		cancel()
		pw.CloseWithError(ctx.Err())
	}()
	im, err := ReadImage(pr, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{Dev: d, Image: im, Mark: Mark{Order: "o"}}
	if err := w.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := w.Copy(ctx, pr); !errors.Is(err, context.Canceled) {
		t.Fatalf("copy: %v", err)
	}
}

func TestDataRuns(t *testing.T) {
	set := func(size int, at ...int) []byte {
		b := make([]byte, size)
		for _, i := range at {
			b[i] = 1
		}
		return b
	}
	for name, tc := range map[string]struct {
		in   []byte
		want []run
	}{
		"nothing":    {},
		"zeros":      {in: set(1 << 20)},
		"one byte":   {in: set(1<<20, unit*3+7), want: []run{{unit * 3, unit * 4}}},
		"short hole": {in: set(1<<20, 0, unit*4), want: []run{{0, unit * 5}}},
		"long hole":  {in: set(1<<20, 0, unit*5), want: []run{{0, unit}, {unit * 5, unit * 6}}},
		"odd end":    {in: set(unit+512, unit), want: []run{{unit, unit + 512}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, dataRuns(tc.in), cmp.AllowUnexported(run{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

package stream

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func TestAheadGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "data")
		size := rapid.IntRange(1, 700).Draw(t, "size")
		depth := rapid.IntRange(0, 4).Draw(t, "depth")
		fail := errors.New("broken")
		var r io.Reader = bytes.NewReader(data)
		want := error(nil)
		if rapid.Bool().Draw(t, "fails") {
			r, want = io.MultiReader(r, iotest.ErrReader(fail)), fail
		}
		a := NewAhead(r, size, depth)
		got, err := io.ReadAll(a)
		a.Close()
		if !bytes.Equal(got, data) || !errors.Is(err, want) {
			t.Fatalf("%d bytes of %d, error %v", len(got), len(data), err)
		}
	})
}

func TestAheadClosesEarly(t *testing.T) {
	a := NewAhead(bytes.NewReader(make([]byte, 10000)), 100, 2)
	if _, err := a.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.Close()
}

func TestDecode(t *testing.T) {
	data := randomBytes(300000)
	enc, _ := zstd.NewWriter(nil)
	packed := enc.EncodeAll(data, nil)
	two := append(bytes.Clone(packed), packed...) // zstd files may be joined
	for name, tc := range map[string]struct {
		in, want    []byte
		compression string
		fails       bool
	}{
		"plain":     {in: data, want: data},
		"zstd":      {in: packed, want: data, compression: "zstd"},
		"joined":    {in: two, want: append(bytes.Clone(data), data...), compression: "zstd"},
		"truncated": {in: packed[:len(packed)/2], compression: "zstd", fails: true},
		"garbage":   {in: data, compression: "zstd", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Decode(bytes.NewReader(tc.in), tc.compression)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, want one: %v", err, tc.fails)
			}
			if !tc.fails && !bytes.Equal(got, tc.want) {
				t.Fatal("other bytes")
			}
		})
	}
	if _, err := Decode(nil, "bzip2"); err == nil {
		t.Error("unknown compression accepted")
	}
}

package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFramesEndAligned: a compressed segment needs no zeros after its frame,
// whatever it holds, and reads back.
func TestFramesEndAligned(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b bytes.Buffer
		s, err := newSegment(t.Context(), &b, "userland", "x", codec{name: "zstd"}, time.Unix(0, 0), making{})
		if err != nil {
			rt.Fatal(err)
		}
		data := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(rt, "data")
		if _, err := s.put(item{Path: "f", Mode: 0o100644, Data: append([]byte{}, data...)}); err != nil {
			rt.Fatal(err)
		}
		seg, _, err := s.close()
		if err != nil {
			rt.Fatal(err)
		}
		if s.padded != 0 || seg.Size%4 != 0 || seg.Size != int64(b.Len()) {
			rt.Fatalf("%d bytes, manifest says %d, %d zeros after the frame", b.Len(), seg.Size, s.padded)
		}
		have := map[string]string{}
		unpackArchive(t, inflate(t, b.Bytes()), have)
		if !strings.HasSuffix(have["f"], string(data)) {
			rt.Fatal("content differs")
		}
	})
}

// TestZstdProgramReadsSegments: what an operator has at hand reads them.
func TestZstdProgramReadsSegments(t *testing.T) {
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Fatalf("%v: install zstd", err)
	}
	_, o := sysroot(t)
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, out)
	f, err := os.Open(filepath.Join(out, "10-userland.cpio.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("zstd", "-dc")
	cmd.Stdin = f
	var errs bytes.Buffer
	cmd.Stderr = &errs
	got, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, errs.String())
	}
	have := map[string]string{}
	unpackArchive(t, got, have)
	if have["usr/sbin/init"] == "" {
		t.Error("no init")
	}
}

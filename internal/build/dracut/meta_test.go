package dracut

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"bareroot/internal/cpio"
)

func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.File(files[i], 0o644, []byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStored(t *testing.T) {
	early := archive(t, "early_cpio", "1", "kernel/x86/microcode/GenuineIntel.bin", "ucode")
	main := archive(t, "init", "x", "usr/lib/dracut/build-parameter.txt", " -N --kver '6.1' --kernel-cmdline 'a b'\n")
	old := archive(t, "lib/dracut/build-parameter.txt", " --kver '6.1'\n")
	none := archive(t, "init", "x")
	want := []string{"-N", "--kver", "6.1", "--kernel-cmdline", "a b"}
	pack := map[string]func([]byte) []byte{
		"plain": func(b []byte) []byte { return b },
		"gzip": func(b []byte) []byte {
			var o bytes.Buffer
			w := gzip.NewWriter(&o)
			w.Write(b)
			w.Close()
			return o.Bytes()
		},
		"zstd": func(b []byte) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.EncodeAll(b, nil)
		},
		"xz": func(b []byte) []byte {
			var o bytes.Buffer
			w, err := xz.NewWriter(&o)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(b)
			w.Close()
			return o.Bytes()
		},
		"lz4": func(b []byte) []byte {
			var o bytes.Buffer
			w := lz4.NewWriter(&o)
			if err := w.Apply(lz4.LegacyOption(true)); err != nil {
				t.Fatal(err)
			}
			w.Write(b)
			w.Close()
			return o.Bytes()
		},
	}
	for name, p := range pack {
		t.Run(name, func(t *testing.T) {
			for what, image := range map[string][]byte{
				"alone": p(main), "after microcode": append(bytes.Clone(early), p(main)...),
				"after zeros":    append(append(bytes.Clone(early), make([]byte, 508)...), p(main)...),
				"before modules": append(p(main), archive(t, "x", "y")...),
			} {
				f := filepath.Join(t.TempDir(), "img")
				if err := os.WriteFile(f, image, 0o600); err != nil {
					t.Fatal(err)
				}
				got, err := Stored(f)
				if name == "lz4" && what == "before modules" && err != nil {
					continue // the legacy frame has no end; the words came before it or not at all
				}
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s:\n%s", what, d)
				}
			}
		})
	}
	for name, tc := range map[string]struct {
		image []byte
		want  string
	}{
		"old place": {old, ""},
		"none":      {append(bytes.Clone(early), none...), ErrNothingStored.Error()},
		"empty":     {nil, ErrNothingStored.Error()},
		"no image":  {[]byte("#!/bin/sh\n"), "it is no ramdisk"},
		"uefi":      {[]byte("MZ\x90\x00\x03\x00\x00\x00"), "UEFI"},
	} {
		f := filepath.Join(t.TempDir(), "img")
		if len(tc.image) > 0 && len(tc.image) < 110 {
			tc.image = append(tc.image, make([]byte, 120)...)
		}
		if err := os.WriteFile(f, tc.image, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Stored(f)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if _, err := Stored("/nonexistent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestRebuilt(t *testing.T) {
	a, err := Parse([]string{"--rebuild", "x.img", "-a", "nfs"}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.Rebuilt([]string{"-N", "--kver", "6.1", "-a", "lvm", "--include", "s", "/d"})
	if err != nil {
		t.Fatal(err)
	}
	if b.Output != "x.img" || b.kernel() != "6.1" || len(b.Include) != 1 || strings.Join(b.Stored, " ") != "-N --kver '6.1' -a 'lvm' -a 'nfs' --include 's' '/d'" {
		t.Errorf("%+v", b)
	}
	p, err := NewPlan(b, &Conf{Vars: Vars{}}, machine(nil))
	if err != nil || !p.Force {
		t.Errorf("an image may be replaced by itself: %v", err)
	}
	a, err = Parse([]string{"--rebuild", "x.img", "y.img"}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = a.Rebuilt(nil); err != nil || b.Output != "y.img" {
		t.Errorf("%+v, %v", b, err)
	}
	if p, err := NewPlan(b, &Conf{Vars: Vars{}}, machine(nil)); err != nil || p.Force {
		t.Errorf("another image is not replaced: %v", err)
	}
	if _, err := a.Rebuilt([]string{"--nope"}); err == nil {
		t.Error("words that are none are accepted")
	}
}

func FuzzStored(f *testing.F) {
	f.Add(archive(f, "usr/lib/dracut/build-parameter.txt", " -N\n"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, err := findStored(bytes.NewReader(b)); err == nil && len(text) > maxStored {
			t.Errorf("%d bytes of options", len(text))
		}
	})
}

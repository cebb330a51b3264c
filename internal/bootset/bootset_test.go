package bootset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func make1(t *testing.T, change func(*Manifest)) string {
	t.Helper()
	dir := t.TempDir()
	blob := func(name, text string) Blob {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(text))
		return Blob{File: name, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}
	}
	m := &Manifest{Version: 1, Arch: "amd64", Kver: "6.1", Kernel: blob("vmlinuz", "kernel"),
		Segments: []Segment{{Kind: "userland", Blob: blob("10-userland.cpio.zst", "segment"), Compression: "zstd"}}, Cmdline: "quiet"}
	m.ID = m.Sum()
	if change != nil {
		change(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReadAndVerify(t *testing.T) {
	dir := make1(t, nil)
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Size() != 13 {
		t.Errorf("size %d, want 13", m.Size())
	}
	if err := Verify(dir, m); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vmlinuz"), []byte("kernal"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Verify(dir, m); err == nil || !strings.Contains(err.Error(), m.Kernel.SHA256) {
		t.Errorf("a changed kernel verified: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"newer version":  func(m *Manifest) { m.Version = 2 },
		"other cmdline":  func(m *Manifest) { m.Cmdline = "init=/bin/sh" },
		"other segment":  func(m *Manifest) { m.Segments[0].SHA256 = "00" },
		"path in a name": func(m *Manifest) { m.Kernel.File = "../vmlinuz"; m.ID = m.Sum() },
		"hidden name":    func(m *Manifest) { m.Segments[0].File = ".."; m.ID = m.Sum() },
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := Read(make1(t, change)); err == nil {
				t.Errorf("accepted %+v", m)
			}
		})
	}
}

// FuzzParse: a manifest comes from other machines.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"version":1}`, `{"version":1,"kernel":{"file":"../x"}}`, `{"version":1,"id":"x","kernel":{"file":"vmlinuz","size":-1},"segments":[{"kind":"k","file":"."}]}`, "null", "[", "\x00",
	} {
		f.Add([]byte(s))
	}
	whole, err := json.Marshal(whole())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		if m.ID != m.Sum() {
			t.Error("an id that does not belong to the content")
		}
		for _, b := range m.Blobs() {
			if b.File != filepath.Base(b.File) || b.File == "" || b.File[0] == '.' {
				t.Errorf("file %q", b.File)
			}
		}
	})
}

func whole() Manifest {
	m := Manifest{Version: 1, Arch: "amd64", Kver: "6.1", Kernel: Blob{File: "vmlinuz", Size: 1, SHA256: strings.Repeat("a", 64)}}
	m.ID = m.Sum()
	return m
}

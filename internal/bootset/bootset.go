// Package bootset describes a boot set on disk: a directory with a kernel,
// ordered segments and manifest.json. The builder writes it, the server
// verifies and serves it, the lab boots it. It does not build anything.
//
//	manifest.json   Manifest
//	files.json      []File: every file of the ramdisk, where from and why
//	vmlinuz         the kernel
//	00-microcode.cpio, 10-init.cpio.zst, 10-userland.cpio.zst, 15-tools.cpio.zst, 20-modules.cpio,
//	30-firmware.cpio, 40-agent.cpio, 50-config.cpio
package bootset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Version of the manifest.
const Version = 1

// Manifest is manifest.json.
type Manifest struct {
	Version  int       `json:"version"`
	ID       string    `json:"id"`   // sha256 over kernel, segments and cmdline: Sum
	Arch     string    `json:"arch"` // GOARCH word
	Kver     string    `json:"kver"`
	Kernel   Blob      `json:"kernel"`
	Segments []Segment `json:"segments"` // in boot order
	Cmdline  string    `json:"cmdline"`
	Roles    []string  `json:"roles"`
	BuildID  string    `json:"build_id"` // of the programs inside
}

// Blob is a file of the boot set.
type Blob struct {
	File   string `json:"file"` // name in the directory
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Segment is one self-contained cpio archive, zero-padded to 4 bytes.
type Segment struct {
	Kind string `json:"kind"` // microcode, userland, tools, modules, firmware, agent, config
	Blob
	Compression string `json:"compression,omitempty"` // zstd, or "" for plain
}

// File says where a file of the ramdisk comes from and why it is in.
type File struct {
	Path    string `json:"path"`
	Segment string `json:"segment"` // kind
	Size    int64  `json:"size"`
	Mode    string `json:"mode"`             // "0644", "symlink"
	SHA256  string `json:"sha256,omitempty"` // of the content before module compression
	Source  string `json:"source,omitempty"`
	Package string `json:"package,omitempty"` // that owns the source
	Why     string `json:"why"`
}

// Sum is the id that belongs to the manifest's content.
func (m *Manifest) Sum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s %s\n", m.Version, m.Arch, m.Kver, m.Kernel.SHA256)
	for _, s := range m.Segments {
		fmt.Fprintf(h, "%s %s\n", s.Kind, s.SHA256)
	}
	fmt.Fprintf(h, "%s\n%s\n", m.Cmdline, strings.Join(m.Roles, " "))
	return hex.EncodeToString(h.Sum(nil))
}

// Size is the number of bytes a machine downloads.
func (m *Manifest) Size() int64 {
	n := m.Kernel.Size
	for _, s := range m.Segments {
		n += s.Size
	}
	return n
}

// Read reads dir/manifest.json and checks its form, not the files' hashes.
func Read(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, fmt.Errorf("read boot set: %w", err)
	}
	m, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read boot set %s: %w", dir, err)
	}
	return m, nil
}

// Parse reads the text of a manifest.json and checks its form.
func Parse(text []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if m.Version != Version {
		return nil, fmt.Errorf("manifest version %d, this program knows %d", m.Version, Version)
	}
	for _, b := range m.Blobs() {
		if b.File == "" || b.File != filepath.Base(b.File) || strings.HasPrefix(b.File, ".") {
			return nil, fmt.Errorf("%q is no plain file name", b.File)
		}
	}
	if m.ID != m.Sum() {
		return nil, fmt.Errorf("manifest id %.12s does not belong to its content %.12s", m.ID, m.Sum())
	}
	return &m, nil
}

// Blobs are the kernel and the segments.
func (m *Manifest) Blobs() []Blob {
	out := []Blob{m.Kernel}
	for _, s := range m.Segments {
		out = append(out, s.Blob)
	}
	return out
}

// Verify hashes every file of the boot set in dir.
func Verify(dir string, m *Manifest) error {
	for _, b := range m.Blobs() {
		f, err := os.Open(filepath.Join(dir, b.File))
		if err != nil {
			return fmt.Errorf("verify boot set: %w", err)
		}
		h := sha256.New()
		n, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("verify boot set: %s: %w", b.File, err)
		}
		if sum := hex.EncodeToString(h.Sum(nil)); sum != b.SHA256 || n != b.Size {
			return fmt.Errorf("verify boot set: %s in %s is %d bytes with sha256 %s, the manifest says %d bytes with %s", b.File, dir, n, sum, b.Size, b.SHA256)
		}
	}
	return nil
}

package build

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxModule bounds what a compressed module may grow to.
const maxModule = 256 << 20

// readModule reads a module's file and undoes its compression, which the file's
// first bytes tell, whatever it is called. A signature at the end stays. The
// result is in buf, which grows, or in memory of its own.
func readModule(path string, buf *[]byte) ([]byte, error) {
	b, err := readFile(path, buf)
	if err != nil {
		return nil, fmt.Errorf("read kernel module: %w", err)
	}
	if b, err = decompress(b); err != nil {
		return nil, fmt.Errorf("read kernel module %s: %w", path, err)
	}
	return b, nil
}

// readFile is os.ReadFile into memory that is used again: a fresh page for each
// of a hundred megabytes costs as much as reading them.
func readFile(path string, buf *[]byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// One byte more than the file has, to see its end in one call.
	b := slices.Grow((*buf)[:0], int(min(fi.Size(), maxModule))+1)
	for {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			*buf = b
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, 1)
		}
	}
}

func decompress(b []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch {
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err == nil {
			defer z.Close()
			r = z
		}
	case bytes.HasPrefix(b, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		r, err = xz.NewReader(bytes.NewReader(b), xz.DefaultDictMax)
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(bytes.NewReader(b))
	default:
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(out) > maxModule {
		err = fmt.Errorf("it grows beyond %d MiB when decompressed", maxModule>>20)
	}
	return out, err
}

// plainName drops the compression's suffix from a module's path.
func plainName(path string) string {
	for _, s := range []string{".zst", ".xz", ".gz"} {
		path = strings.TrimSuffix(path, s)
	}
	return path
}

// moduleInfo is what a module says about itself in .modinfo.
func moduleInfo(b []byte) (firmware []string, machine elf.Machine, err error) {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, 0, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, f.Machine, nil
	}
	if s.FileSize > uint64(len(b)) {
		return nil, 0, fmt.Errorf(".modinfo of %d bytes is larger than the file", s.FileSize)
	}
	text, err := s.Data()
	if err != nil {
		return nil, 0, fmt.Errorf("read .modinfo: %w", err)
	}
	for field := range strings.SplitSeq(string(text), "\x00") {
		if name, ok := strings.CutPrefix(field, "firmware="); ok && name != "" {
			firmware = append(firmware, name)
		}
	}
	return firmware, f.Machine, nil
}

// archs maps ELF machines to the words that Go and the manifest use.
func archOf(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	case elf.EM_RISCV:
		return "riscv64"
	case elf.EM_386:
		return "386"
	}
	return m.String()
}

// program is what the builder must know of an executable.
type program struct {
	Data   []byte
	Size   int64
	Arch   string
	Static bool
}

func readProgram(path string) (*program, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s is no program for Linux: %w", path, err)
	}
	p := &program{Data: b, Size: int64(len(b)), Arch: archOf(f.Machine), Static: true}
	for _, h := range f.Progs {
		if h.Type == elf.PT_INTERP {
			p.Static = false
		}
	}
	return p, nil
}

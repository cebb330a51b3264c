package build

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// kernelRelease reads version and architecture out of a kernel's file, each ""
// if it does not tell. It knows x86's bzImage (Documentation/arch/x86/boot.rst),
// the Image of arm64 and RISC-V (Documentation/arch/arm64/booting.rst,
// riscv/boot-image-header.rst), plain, gzipped or within an EFI zboot file.
func kernelRelease(path string) (release, arch string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", "", err
	}
	head = head[:n]
	if len(head) >= 0x238 && string(head[0x202:0x206]) == "HdrS" {
		return bzImage(head)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", "", err
	}
	r, err := unwrapKernel(f, head)
	if err != nil || r == nil {
		return "", "", err
	}
	b := bufio.NewReaderSize(r, 1<<20)
	start, err := b.Peek(64)
	if err != nil {
		return "", "", nil // shorter than any kernel
	}
	switch string(start[0x38:0x3c]) {
	case "ARM\x64":
		arch = "arm64"
	case "RSC\x05":
		arch = "riscv64"
	default:
		return "", "", nil
	}
	release, err = banner(b)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	return release, arch, nil
}

func bzImage(head []byte) (release, arch string, err error) {
	arch = "386"
	if head[0x236]&1 != 0 { // XLF_KERNEL_64
		arch = "amd64"
	}
	if binary.LittleEndian.Uint16(head[0x206:]) < 0x20c {
		arch = "" // too old a protocol to tell
	}
	at := int(binary.LittleEndian.Uint16(head[0x20e:])) + 0x200
	if at == 0x200 || at >= len(head) {
		return "", arch, nil
	}
	text, _, ok := bytes.Cut(head[at:min(len(head), at+512)], []byte{0})
	if !ok {
		return "", arch, nil
	}
	release, _, _ = strings.Cut(string(text), " ")
	return release, arch, nil
}

// unwrapKernel undoes the compression around an Image; nil if it is unknown.
func unwrapKernel(f io.ReadSeeker, head []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(f)
	case len(head) > 64 && string(head[:2]) == "MZ" && string(head[4:8]) == "zimg":
		if _, err := f.Seek(int64(binary.LittleEndian.Uint32(head[8:])), io.SeekStart); err != nil {
			return nil, err
		}
		payload := io.LimitReader(f, int64(binary.LittleEndian.Uint32(head[12:])))
		switch how, _, _ := strings.Cut(string(head[24:56]), "\x00"); {
		case how == "gzip":
			return gzip.NewReader(payload)
		case strings.HasPrefix(how, "zstd"):
			z, err := zstd.NewReader(payload, zstd.WithDecoderConcurrency(1))
			if err != nil {
				return nil, err
			}
			return z, nil
		case strings.HasPrefix(how, "xz"):
			return xz.NewReader(payload, xz.DefaultDictMax)
		}
		return nil, nil
	}
	return f, nil
}

// banner finds "Linux version 6.1.0-9 (" in a kernel.
func banner(r io.Reader) (string, error) {
	const word, longest = "Linux version ", 256
	buf := make([]byte, 0, 1<<20+longest)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := err != nil
		if end && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return "", fmt.Errorf("look for the version: %w", err)
		}
		for rest := buf; ; {
			at := bytes.Index(rest, []byte(word))
			if at < 0 || !end && len(rest)-at < longest {
				break
			}
			rest = rest[at+len(word):]
			if text, _, ok := bytes.Cut(rest[:min(len(rest), longest-len(word))], []byte(" ")); ok && len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
				return string(text), nil
			}
		}
		if end {
			return "", nil
		}
		keep := copy(buf, buf[len(buf)-longest:])
		buf = buf[:keep]
	}
}

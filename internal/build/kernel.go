package build

import (
	"bufio"
	"bytes"
	"debug/elf"
	"debug/pe"
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

// errNoKernel is the error for a file that is something else.
var errNoKernel = errors.New("it is no kernel image; known are bzImage, zImage, Image (plain, gzipped, EFI zboot), vmlinux, and EFI executables with a kernel in them (UKI)")

// kernelRelease reads version and architecture out of a kernel's file, each ""
// if it does not tell. It knows x86's bzImage (Documentation/arch/x86/boot.rst),
// the Image of arm64, RISC-V and LoongArch (Documentation/arch/arm64/booting.rst,
// riscv/boot-image-header.rst), plain, gzipped or within an EFI zboot file,
// vmlinux, zImage of ARM, s390's image, and the UAPI group's unified kernel
// images. Anything else is errNoKernel.
func kernelRelease(path string) (release, arch string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if release, arch, err = readKernel(f); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return release, arch, err
}

func readKernel(f *os.File) (release, arch string, err error) {
	head := make([]byte, 65<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", "", plain(err)
	}
	head = head[:n]
	has := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", "", plain(err)
	}
	switch {
	case len(head) >= 0x238 && has(0x202, "HdrS"):
		return bzImage(head)
	case has(0x24, "\x18\x28\x6f\x01"):
		return "", "arm", nil
	case has(0x10008, "S390EP"):
		return "", "s390x", nil
	case has(0, "MZ") && has(4, "zimg"):
		return zboot(f, head)
	case has(0, "\x1f\x8b"):
		z, err := gzip.NewReader(f)
		if err != nil {
			return "", "", errNoKernel
		}
		return image(z)
	}
	release, arch, err = image(f)
	if errors.Is(err, errNoKernel) && has(0, "MZ") {
		return unified(f)
	}
	return release, arch, err
}

// image reads what is not compressed.
func image(r io.Reader) (release, arch string, err error) {
	b := bufio.NewReaderSize(r, 1<<20)
	start, err := b.Peek(64)
	if err != nil {
		return "", "", errNoKernel // shorter than any kernel
	}
	switch string(start[0x38:0x3c]) {
	case "ARM\x64":
		arch = "arm64"
	case "RSC\x05":
		arch = "riscv64"
	case "\xcd\x23\x82\x81":
		arch = "loong64"
	}
	vmlinux := arch == "" && string(start[:4]) == elf.ELFMAG
	if vmlinux {
		order := binary.ByteOrder(binary.LittleEndian)
		if elf.Data(start[elf.EI_DATA]) == elf.ELFDATA2MSB {
			order = binary.BigEndian
		}
		arch = archOf(elf.Machine(order.Uint16(start[18:])))
	}
	if arch == "" {
		return "", "", errNoKernel
	}
	if release, err = banner(b); err == nil && vmlinux && release == "" {
		return "", "", errNoKernel // another program
	}
	return release, arch, err
}

// unified reads an EFI executable that holds a kernel (the UAPI group's UKI).
func unified(f *os.File) (release, arch string, err error) {
	p, err := pe.NewFile(f)
	if err != nil || p.Section(".linux") == nil {
		return "", "", errNoKernel
	}
	switch p.Machine {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		arch = "amd64"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		arch = "arm64"
	case pe.IMAGE_FILE_MACHINE_RISCV64:
		arch = "riscv64"
	}
	if u := p.Section(".uname"); u != nil && u.Size < 4096 {
		text, err := u.Data()
		if err != nil {
			return "", "", fmt.Errorf("read its version: %w", err)
		}
		release = strings.TrimRight(string(text), "\x00\n")
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

// zboot reads the Image that an EFI zboot file holds, if its compression is one
// that is known here.
func zboot(f io.ReadSeeker, head []byte) (release, arch string, err error) {
	if len(head) < 64 {
		return "", "", errNoKernel
	}
	if _, err := f.Seek(int64(binary.LittleEndian.Uint32(head[8:])), io.SeekStart); err != nil {
		return "", "", plain(err)
	}
	payload := io.LimitReader(f, int64(binary.LittleEndian.Uint32(head[12:])))
	var r io.Reader
	switch how, _, _ := strings.Cut(string(head[24:56]), "\x00"); {
	case how == "gzip":
		r, err = gzip.NewReader(payload)
	case strings.HasPrefix(how, "zstd"):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(payload, zstd.WithDecoderConcurrency(1)); err == nil {
			defer z.Close()
		}
		r = z
	case strings.HasPrefix(how, "xz"):
		r, err = xz.NewReader(payload, xz.DefaultDictMax)
	default:
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("unpack the kernel in it: %w", err)
	}
	return image(r)
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

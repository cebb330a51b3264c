package dracut

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"bareroot/internal/build"
	"bareroot/internal/cpio"
)

// Version is the dracut whose words and defaults are taken.
func Version(compat string) string {
	if compat == "ng" {
		return "111"
	}
	return "059"
}

// stored is where dracut and we keep an image's own options.
const stored = "lib/dracut/build-parameter.txt"

// metadata are the files by which lsinitrd knows an image of dracut, and by
// which --rebuild builds it again.
func (p *Plan) metadata(a *Args, _ Machine) error {
	v := "dracut-" + Version(a.Compat)
	const why = "dracut's metadata, for lsinitrd and --rebuild"
	file := func(name, text string) {
		p.Build.Extra = append(p.Build.Extra, build.ExtraFile{Path: name, Mode: 0o644, Data: []byte(text), Why: why})
	}
	file("usr/lib/dracut/"+v, v+" (bareroot)\n")
	file("usr/"+stored, " "+strings.Join(a.Stored, " ")+"\n")
	p.Build.Extra = append(p.Build.Extra, build.ExtraFile{
		Path: "usr/lib/dracut/modules.txt", Mode: 0o644, Why: why,
		OfFeatures: func(names []string) []byte {
			return []byte(strings.Join(append(ModulesTxt(names), ""), "\n"))
		},
	})
	return nil
}

// Stored reads the options that an image was built with, ours or dracut's own:
// in its plain archives, or in the first compressed one.
func Stored(image string) ([]string, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, fmt.Errorf("read the image to rebuild: %w", err)
	}
	defer f.Close()
	text, err := findStored(f)
	if err != nil {
		return nil, fmt.Errorf("read %s to rebuild it: %w", image, err)
	}
	words, err := Split(text)
	if err != nil {
		return nil, fmt.Errorf("read %s to rebuild it: %w", image, err)
	}
	return words, nil
}

// ErrNothingStored is the error for an image that does not say how it was built.
var ErrNothingStored = errors.New("it keeps no options that it was built with")

// maxStored bounds the text that is believed to be options.
const maxStored = 1 << 20

func findStored(r io.ReadSeeker) (string, error) {
	text, next, err := inArchives(r)
	if !errors.Is(err, cpio.ErrFormat) {
		return text, err
	}
	if _, err := r.Seek(next, io.SeekStart); err != nil {
		return "", err
	}
	br := bufio.NewReader(r)
	head, err := br.Peek(6)
	if err != nil {
		return "", ErrNothingStored
	}
	plain, err := unpack(br, head)
	if err != nil {
		return "", err
	}
	defer plain.Close()
	text, _, err = inArchives(plain)
	if errors.Is(err, cpio.ErrFormat) { // another compression, of a later part
		err = ErrNothingStored
	}
	return text, err
}

// inArchives looks through plain archives, up to what is none; next is where
// that starts.
func inArchives(r io.Reader) (text string, next int64, err error) {
	a := cpio.NewReader(r)
	for {
		h, err := a.Next()
		switch {
		case errors.Is(err, io.EOF):
			return "", 0, ErrNothingStored
		case err != nil:
			return "", a.Foreign(), err
		case strings.TrimPrefix(path.Clean(h.Name), "usr/") != stored:
			continue
		case h.Size > maxStored:
			return "", 0, fmt.Errorf("%s has %d bytes", h.Name, h.Size)
		}
		b, err := io.ReadAll(a)
		return string(b), 0, err
	}
}

// unpack finds out how an archive is compressed.
func unpack(r io.Reader, head []byte) (io.ReadCloser, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		d, err := xz.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(d), nil
	case bytes.HasPrefix(head, []byte{0x02, 0x21, 0x4c, 0x18}):
		return io.NopCloser(lz4.NewReader(r)), nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return io.NopCloser(bzip2.NewReader(r)), nil
	case bytes.HasPrefix(head, []byte("MZ")):
		return nil, errors.New("it is a UEFI executable; these are not read yet")
	}
	return nil, fmt.Errorf("it is no ramdisk: it starts with %q", head)
}

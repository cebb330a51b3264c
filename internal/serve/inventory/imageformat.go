package inventory

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"bareroot/api"
	"bareroot/internal/sys"
)

// formatError says why a file cannot be a system image.
type formatError struct{ why string }

func (e *formatError) Error() string { return e.why }

// Starts of files that are not what they would be taken for.
var foreign = []struct{ magic, why string }{
	{"QFI\xfb", "is a qcow2 image; convert it with: qemu-img convert -O raw"},
	{"\x1f\x8b", "is compressed with gzip; only zstd is taken, or no compression"},
	{"\xfd7zXZ\x00", "is compressed with xz; only zstd is taken, or no compression"},
	{"BZh", "is compressed with bzip2; only zstd is taken, or no compression"},
	{"KDMV", "is a VMDK image; convert it with: qemu-img convert -O raw"},
	{"<!DOCTYPE", "is an HTML page, not an image"},
	{"<html", "is an HTML page, not an image"},
}

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// takeImage copies src to dst in one pass that also hashes it and, if it is
// compressed, decompresses it: RawSize is counted, not believed, and a
// damaged file is refused here and not on a machine's disk.
func takeImage(ctx context.Context, dst io.Writer, src io.Reader) (api.Image, error) {
	h := sha256.New()
	counted := &counter{w: io.MultiWriter(dst, h)}
	in := bufio.NewReaderSize(sys.UntilDone(ctx, src), 1<<20)
	head, err := in.Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return api.Image{}, err
	}
	if len(head) == 0 {
		return api.Image{}, &formatError{"is empty"}
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return api.Image{}, &formatError{f.why}
		}
	}
	i := api.Image{}
	tee := io.TeeReader(in, counted)
	content := tee
	if bytes.HasPrefix(head, zstdMagic) {
		z, err := zstd.NewReader(tee, zstd.WithDecoderConcurrency(2))
		if err != nil {
			return api.Image{}, err
		}
		defer z.Close()
		i.Compression, content = "zstd", z
	}
	start := make([]byte, 4)
	n, err := io.ReadFull(content, start)
	var raw int64
	if err == nil {
		raw, err = io.Copy(io.Discard, content)
	} else if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil && ctx.Err() == nil && i.Compression != "" {
		return api.Image{}, &formatError{fmt.Sprintf("is no intact zstd file: %s", err)}
	}
	if err != nil {
		return api.Image{}, err
	}
	i.RawSize = raw + int64(n)
	i.Format = "raw"
	if bytes.Equal(start, []byte("hsqs")) {
		i.Format = "squashfs"
	}
	if i.RawSize == 0 {
		return api.Image{}, &formatError{"is empty"}
	}
	// The decoder may stop before it has read all: what is left belongs to
	// the file and its hash.
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return api.Image{}, err
	}
	i.Size, i.SHA256 = counted.n, hex.EncodeToString(h.Sum(nil))
	return i, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

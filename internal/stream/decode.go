package stream

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd stream may ask for: what
// "zstd --long=27" makes, the most that the zstd program itself takes unasked.
const maxWindow = 128 << 20

// Decode wraps r by its compression: "" or "zstd". Close does not close r.
func Decode(r io.Reader, compression string) (io.ReadCloser, error) {
	switch compression {
	case "":
		return io.NopCloser(r), nil
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("start zstd: %w", err)
		}
		return &zstdReader{d}, nil
	}
	return nil, fmt.Errorf("compression %q is not known here; known are zstd and none", compression)
}

type zstdReader struct{ d *zstd.Decoder }

func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.d.Read(p)
	switch {
	case err == nil || err == io.EOF:
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		err = errors.New("decompress zstd: it needs a window of more than 128 MiB; compress with --long=27 or less")
	default:
		err = fmt.Errorf("decompress zstd: %w", err)
	}
	return n, err
}

func (z *zstdReader) Close() error { z.d.Close(); return nil }

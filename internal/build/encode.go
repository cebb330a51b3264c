package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"bareroot/internal/build/cache"
)

// aligner is an encoder whose stream can be brought to end on a multiple of 4
// bytes by a few zeros more of input; n is the bytes written before it.
type aligner interface {
	align(written func() int64) error
}

// making is how a segment is made.
type making struct {
	cache    *cache.Cache // of gzip's pieces
	jobs     int          // how many of them at a time; one if 0
	unhashed bool         // nobody asks for the hashes of files and segment
	known    *knownFiles  // whose hashes need no reading; nil without
}

// writer returns an encoder to w; Close ends the stream, not w.
func (c codec) writer(ctx context.Context, w io.Writer, m making) (io.WriteCloser, error) {
	switch {
	case c.program != "":
		return startProgram(ctx, c, w, -1)
	case c.name == "zstd":
		z, err := newEncoder(w, c.level)
		return zstdStream{z}, err
	case c.name == "xz":
		return newXZ(w, c.level)
	case c.name == "gzip":
		level := c.level
		if level == 0 {
			level = 1 // less than half of level 6's work; the whole is 3.5 % larger
		}
		return newGzip(w, level, m.jobs, openPieces(m.cache, c))
	case c.name == "lz4":
		return &lz4Stream{w: w, level: c.level}, nil
	}
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// newXZ makes what the kernel reads: CRC32 as the check (Documentation/staging/xz.rst)
// and a dictionary that fits in its memory.
func newXZ(w io.Writer, level int) (io.WriteCloser, error) {
	if level == 0 {
		level = 6
	}
	conf := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << (18 + min(level, 5))}
	return conf.NewWriter(w)
}

// newEncoder makes a zstd encoder whose output does not depend on the machine.
func newEncoder(w io.Writer, level int) (*zstd.Encoder, error) {
	speed := zstd.SpeedDefault
	if level > 0 {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(speed))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return e, nil
}

type zstdStream struct{ *zstd.Encoder }

// align lets the zstd frame end on a multiple of 4 by itself, by a few zeros
// after the archive, so that the zstd program does not stumble over zeros after
// the frame. A short block is stored as it is, 3 bytes of header before it; the
// frame's end is an empty block and a checksum, 7 bytes. Should another encoder
// do otherwise, the segment is padded.
func (z zstdStream) align(written func() int64) error {
	const head, end = 3, 3 + 4
	if err := z.Flush(); err != nil {
		return err
	}
	n := written()
	if (n+end)%4 == 0 {
		return nil
	}
	if _, err := z.Write(make([]byte, 4-(n+head+end)%4)); err != nil {
		return err
	}
	return z.Flush()
}

// moduleCompressor compresses modules, or the agent, one by one, for one goroutine.
type moduleCompressor struct {
	codec codec
	zstd  *zstd.Encoder
	buf   []byte // for what is read of a module
}

func newModuleCompressor(c codec) (*moduleCompressor, error) {
	m := &moduleCompressor{codec: c}
	if c.name == "zstd" && c.program == "" {
		var err error
		if m.zstd, err = newEncoder(nil, c.level); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// compress puts the result into out, if it fits.
func (m *moduleCompressor) compress(ctx context.Context, b, out []byte) ([]byte, error) {
	switch {
	case m.zstd != nil:
		return m.zstd.EncodeAll(b, slices.Grow(out[:0], len(b)/2)), nil
	case m.codec.name == "none":
		return append(out[:0], b...), nil // b's memory is used for the next one
	}
	packed := bytes.NewBuffer(out[:0])
	w, err := startProgram(ctx, m.codec, packed, len(b))
	if err != nil {
		return nil, err
	}
	_, err = w.Write(b)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func (m *moduleCompressor) close() {
	if m.zstd != nil {
		m.zstd.Close()
	}
}

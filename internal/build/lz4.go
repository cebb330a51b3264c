package build

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"
)

// lz4Stream writes LZ4's legacy frame, the only one that the kernel reads: a
// magic number and, for each block, its compressed length and content
// (lz4_Frame_format.md, "Legacy frame"). All blocks but the last hold lz4Block
// bytes of content.
type lz4Stream struct {
	w      io.Writer
	level  int // 0: fast, 1 to 9: slower and smaller
	buf    []byte
	out    []byte
	opened bool
	err    error
}

const (
	lz4Magic = 0x184c2102
	lz4Block = 8 << 20
)

func (l *lz4Stream) Write(b []byte) (n int, err error) {
	for len(b) > 0 && l.err == nil {
		k := min(len(b), lz4Block-len(l.buf))
		l.buf = append(l.buf, b[:k]...)
		n, b = n+k, b[k:]
		if len(l.buf) == lz4Block {
			l.flush()
		}
	}
	return n, l.err
}

// Close ends the stream; it has no end mark of its own.
func (l *lz4Stream) Close() error {
	if l.err == nil && (len(l.buf) > 0 || !l.opened) {
		l.flush()
	}
	return l.err
}

func (l *lz4Stream) flush() {
	if l.out == nil {
		l.out = make([]byte, 4+lz4.CompressBlockBound(lz4Block))
	}
	if !l.opened {
		l.opened = true
		if _, l.err = l.w.Write(binary.LittleEndian.AppendUint32(nil, lz4Magic)); l.err != nil {
			return
		}
	}
	if len(l.buf) == 0 {
		return
	}
	var n int
	if l.level > 0 {
		n, l.err = lz4.CompressBlockHC(l.buf, l.out[4:], lz4.CompressionLevel(1<<(8+l.level)), nil, nil)
	} else {
		n, l.err = lz4.CompressBlock(l.buf, l.out[4:], nil)
	}
	if l.err == nil && n == 0 {
		l.err = fmt.Errorf("lz4 made nothing of %d bytes", len(l.buf))
	}
	if l.err != nil {
		l.err = fmt.Errorf("compress: %w", l.err)
		return
	}
	binary.LittleEndian.PutUint32(l.out, uint32(n))
	_, l.err = l.w.Write(l.out[:4+n])
	l.buf = l.buf[:0]
}

package elfdep

import (
	"io"
	"sync"
)

const blockSize = 16 << 10

// blocks reads a file a block at a time and keeps what it read until it is freed:
// debug/elf asks for a few bytes at a time, near each other.
type blocks struct {
	r    io.ReaderAt
	kept map[int64][]byte
}

// spare blocks are used for the next of hundreds of files.
var spare = sync.Pool{New: func() any { return new([blockSize]byte) }}

func newBlocks(r io.ReaderAt) *blocks { return &blocks{r, map[int64][]byte{}} }

func (b *blocks) free() {
	for _, block := range b.kept {
		spare.Put((*[blockSize]byte)(block[:blockSize]))
	}
	b.kept = nil
}

func (b *blocks) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at < 0 {
			return done, io.EOF
		}
		start := at - at%blockSize
		block, ok := b.kept[start]
		if !ok {
			block = spare.Get().(*[blockSize]byte)[:]
			n, err := b.r.ReadAt(block, start)
			if err != nil && err != io.EOF {
				return done, err
			}
			block = block[:n]
			b.kept[start] = block
		}
		if at-start >= int64(len(block)) {
			return done, io.EOF
		}
		done += copy(p[done:], block[at-start:])
	}
	return done, nil
}

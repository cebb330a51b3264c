package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
)

// gzipStream writes one gzip member (RFC 1952) whose deflate data is made of
// pieces: each is compressed without regard to those before it and ends on a
// whole byte, with an empty stored block, as zlib's full flush leaves it (RFC
// 1951, 3.2.4). So pieces are compressed side by side, and one that has been seen
// comes out of the cache; the bytes depend on the content and on where pieces end.
type gzipStream struct {
	w       io.Writer
	keep    *pieces // nil if nothing is kept
	piece   *piece  // that is being filled
	whole   *whole  // the file it is of, nil for what has none of its own
	wholes  []*whole
	crc     uint32 // of what join has written
	size    uint32
	work    chan *piece
	queue   chan *piece // in the order of writing; its length bounds memory
	packers sync.WaitGroup
	joined  chan error
	spare   sync.Pool // of *piece
	closed  bool
}

// pieceSize bounds a piece. Shorter ones can be made side by side better, and
// repeat more of what deflate would point back to.
const pieceSize = 1 << 20

// ownPiece is the size from which on a file begins a piece, and with which a piece
// of smaller files ends; so a change of some files changes few pieces.
const ownPiece = 64 << 10

// gzipHead has neither time nor name, and no system.
const gzipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// deflateEnd is an empty block with fixed codes, which is the last.
const deflateEnd = "\x03\x00"

type piece struct {
	data  []byte
	n     int64 // bytes that it holds
	crc   uint32
	out   []byte
	kept  bool
	whole *whole
	done  chan error
}

// whole is a file that has pieces of its own, all of which are kept as one.
type whole struct {
	name [32]byte // set when it is known
	out  [][]byte
	crc  uint32
	n    int64
	size int64
}

// wholeHead is the length of what is kept of a file before its pieces: their CRC
// and how much they hold.
const wholeHead = 4 + 8

func (f *whole) add(p *piece) {
	f.out = append(f.out, slices.Clip(p.out))
	f.crc, f.n = joinCRC(f.crc, p.crc, p.n), f.n+p.n
	p.kept = true
}

// newGzip starts goroutines that Close waits for, jobs to compress.
func newGzip(w io.Writer, level, jobs int, keep *pieces) (*gzipStream, error) {
	jobs = max(jobs, 1)
	g := &gzipStream{w: w, keep: keep, work: make(chan *piece), queue: make(chan *piece, 2*jobs), joined: make(chan error, 1)}
	g.spare.New = func() any { return &piece{done: make(chan error, 1)} }
	for range jobs {
		z, err := flate.NewWriter(nil, level)
		if err != nil {
			close(g.work)
			return nil, fmt.Errorf("compress: %w", err)
		}
		g.packers.Go(func() {
			for p := range g.work {
				p.done <- g.pack(z, p)
			}
		})
	}
	go func() { g.joined <- g.join() }()
	return g, nil
}

// pack compresses a piece, or takes it from where it was kept.
func (g *gzipStream) pack(z *flate.Writer, p *piece) (err error) {
	var name [32]byte
	p.n, p.crc = int64(len(p.data)), crc32.ChecksumIEEE(p.data)
	keep := g.keep != nil && p.whole == nil
	if keep {
		name = sha256.Sum256(p.data)
		var ok bool
		if p.out, ok = g.keep.get(name, p.out); ok {
			return nil
		}
	}
	b := bytes.NewBuffer(slices.Grow(p.out[:0], len(p.data)/2))
	z.Reset(b)
	if _, err = z.Write(p.data); err == nil {
		err = z.Flush()
	}
	p.out = b.Bytes()
	if err == nil && keep {
		p.kept = true
		g.keep.put(name, p.out)
	}
	return err
}

// join writes the pieces in their order. After an error it only takes them off
// the queue.
func (g *gzipStream) join() error {
	_, err := io.WriteString(g.w, gzipHead)
	for p := range g.queue {
		if packed := <-p.done; err == nil {
			err = packed
		}
		if err == nil {
			_, err = g.w.Write(p.out)
			g.crc, g.size = joinCRC(g.crc, p.crc, p.n), g.size+uint32(p.n)
		}
		if err == nil && p.whole != nil {
			p.whole.add(p)
		}
		if p.data, p.whole = p.data[:0], nil; p.kept {
			p.out, p.kept = nil, false
		}
		g.spare.Put(p)
	}
	return err
}

// Write fills pieces. What goes wrong with them is Close's error.
func (g *gzipStream) Write(b []byte) (n int, err error) {
	n = len(b)
	for len(b) > 0 {
		if g.piece == nil {
			g.piece = g.spare.Get().(*piece)
		}
		k := min(len(b), pieceSize-len(g.piece.data))
		g.piece.data = append(g.piece.data, b[:k]...)
		if b = b[k:]; len(g.piece.data) == pieceSize {
			g.cut()
		}
	}
	return n, nil
}

// cut ends a piece.
func (g *gzipStream) cut() {
	if p := g.piece; p != nil {
		p.whole = g.whole
		g.work <- p
		g.queue <- p
		g.piece = nil
	}
}

// take puts a file of size bytes into the stream that was kept under name, if it
// was. The piece before has been cut.
func (g *gzipStream) take(name [32]byte, size int64) bool {
	p := g.spare.Get().(*piece)
	b, ok := g.keep.get(name, p.out)
	if p.out = b; !ok || len(b) < wholeHead || int64(binary.LittleEndian.Uint64(b[4:])) != size {
		p.out = p.out[:0]
		g.spare.Put(p)
		return false
	}
	p.crc, p.n, p.out = binary.LittleEndian.Uint32(b), size, b[wholeHead:]
	p.done <- nil
	g.queue <- p
	return true
}

// begin makes what is written until end one file of size bytes. The piece before
// has been cut.
func (g *gzipStream) begin(size int64) {
	g.whole = &whole{size: size}
}

// end keeps the file under name.
func (g *gzipStream) end(name [32]byte) {
	g.cut()
	g.whole.name = name
	g.wholes = append(g.wholes, g.whole)
	g.whole = nil
}

// Close ends the stream, once.
func (g *gzipStream) Close() error {
	if g.closed {
		return nil
	}
	g.closed = true
	g.cut()
	close(g.work)
	close(g.queue)
	g.packers.Wait()
	err := <-g.joined
	for _, f := range g.wholes {
		if f.n == f.size {
			head := binary.LittleEndian.AppendUint32(make([]byte, 0, wholeHead), f.crc)
			g.keep.put(f.name, append([][]byte{binary.LittleEndian.AppendUint64(head, uint64(f.size))}, f.out...)...)
		}
	}
	g.keep.close()
	if err == nil {
		end := binary.LittleEndian.AppendUint32([]byte(deflateEnd), g.crc)
		_, err = g.w.Write(binary.LittleEndian.AppendUint32(end, g.size))
	}
	return err
}

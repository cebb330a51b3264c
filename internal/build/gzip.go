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

	"bareroot/internal/build/cache"
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
	crc     uint32
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
	data []byte
	out  []byte
	kept bool
	done chan error
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
	if g.keep != nil {
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
	if err == nil && g.keep != nil {
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
		}
		if p.data = p.data[:0]; p.kept {
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
		g.crc = crc32.Update(g.crc, crc32.IEEETable, p.data)
		g.size += uint32(len(p.data))
		g.work <- p
		g.queue <- p
		g.piece = nil
	}
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
	g.keep.close()
	if err == nil {
		end := binary.LittleEndian.AppendUint32([]byte(deflateEnd), g.crc)
		_, err = g.w.Write(binary.LittleEndian.AppendUint32(end, g.size))
	}
	return err
}

// pieces keeps compressed pieces in the cache: in one pack, and as units of their
// own if a build adds a few.
type pieces struct {
	cache  *cache.Cache
	params string
	key    cache.Key
	pack   *cache.Pack
	mu     sync.Mutex
	added  []addedPiece
}

type addedPiece struct {
	name [32]byte
	data []byte
}

// openPieces is nil without a cache.
func openPieces(c *cache.Cache, codec codec) *pieces {
	if c == nil {
		return nil
	}
	k := cache.Key{Kind: "pack", Content: sha256.Sum256([]byte("pieces")), Params: "piece " + unitVersion + " " + codec.params()}
	return &pieces{cache: c, key: k, params: k.Params, pack: c.OpenPack(k)}
}

// get reads into buf if it can.
func (s *pieces) get(name [32]byte, buf []byte) ([]byte, bool) {
	if b, ok := s.pack.Get(name, buf); ok {
		return b, true
	}
	if b, ok := s.cache.Get(cache.Key{Kind: "piece", Content: name, Params: s.params}); ok {
		return b, true
	}
	return buf, false
}

func (s *pieces) put(name [32]byte, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = append(s.added, addedPiece{name, data})
}

// close keeps what was added.
func (s *pieces) close() {
	if s == nil {
		return
	}
	if len(s.added) > fewModules {
		w := s.cache.NewPack(s.key)
		for _, p := range s.added {
			w.Add(p.name, p.data)
		}
		w.Commit(s.pack)
	} else {
		for _, p := range s.added {
			s.cache.Put(cache.Key{Kind: "piece", Content: p.name, Params: s.params}, p.data)
		}
	}
	s.pack.Close()
}

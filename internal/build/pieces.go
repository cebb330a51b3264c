package build

import (
	"crypto/sha256"
	"hash/crc32"
	"sync"

	"bareroot/internal/build/cache"
)

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
	data [][]byte // one after the other
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

// put keeps the slices, which nobody may write to any more.
func (s *pieces) put(name [32]byte, data ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = append(s.added, addedPiece{name, data})
}

// close keeps what was added.
func (s *pieces) close() {
	if s == nil {
		return
	}
	var w *cache.PackWriter
	if len(s.added) > fewModules {
		w = s.cache.NewPack(s.key)
	}
	var buf []byte
	for i, p := range s.added {
		buf = buf[:0]
		for _, b := range p.data {
			buf = append(buf, b...)
		}
		s.added[i].data = nil
		if w != nil {
			w.Add(p.name, buf, 0)
		} else {
			s.cache.Put(cache.Key{Kind: "piece", Content: p.name, Params: s.params}, buf)
		}
	}
	if w != nil {
		w.Commit(s.pack)
	}
	s.pack.Close()
}

// joinCRC is the CRC-32 of two runs of bytes one after the other, from those of
// each and the length of the second. As polynomials over GF(2) modulo that of the
// CRC, with the first coefficient in the highest bit: a times x to the number of
// bits that follow, plus b.
func joinCRC(a, b uint32, n int64) uint32 {
	power := uint32(1) << 31  // 1
	square := uint32(1) << 23 // x^8: a byte
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = timesCRC(square, power)
		}
		square = timesCRC(square, square)
	}
	return timesCRC(power, a) ^ b
}

// timesCRC multiplies.
func timesCRC(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 == 1 {
			product ^= b
		}
		if b&1 == 1 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}

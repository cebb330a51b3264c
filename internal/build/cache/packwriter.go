package cache

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"

	"bareroot/internal/sys"
)

// PackWriter makes a pack. It never fails a build: see Cache.Notice. A nil
// PackWriter keeps nothing.
type PackWriter struct {
	c     *Cache
	key   Key
	f     *os.File
	w     *bufio.Writer
	at    int64
	of    *Making // nil for none
	added []added
	have  map[[32]byte]bool
	err   error
}

type added struct {
	name [32]byte
	row
	inFile bool
}

// NewPack starts a pack, which appears under k when it is committed.
func (c *Cache) NewPack(k Key) *PackWriter {
	if !kinds.MatchString(k.Kind) {
		return nil
	}
	f := c.temp()
	if f == nil {
		return nil
	}
	w := &PackWriter{c: c, key: k, f: f, w: bufio.NewWriterSize(sys.InPieces(f), 64<<10), have: map[[32]byte]bool{}}
	w.write(make([]byte, packHead))
	return w
}

// Of tells that m makes a file of the pieces: they need not be written here, too.
// Commit must come before m is dropped. It may be nil.
func (w *PackWriter) Of(m *Making) {
	if w != nil {
		w.of = m
	}
}

func (w *PackWriter) write(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
		w.at += int64(len(b))
	}
}

// Add puts a piece in, which is at that place of the file that it is Of, if it is
// of one. One of that name that is there already stays.
func (w *PackWriter) Add(name [32]byte, data []byte, at int64) {
	if w == nil || w.err != nil || w.have[name] {
		return
	}
	if w.of == nil {
		w.put(name, data)
		return
	}
	w.have[name] = true
	w.added = append(w.added, added{name, row{at: at, n: int64(len(data)), sum: sum64(data)}, true})
}

// put writes a piece at the end.
func (w *PackWriter) put(name [32]byte, data []byte) {
	w.have[name] = true
	w.added = append(w.added, added{name, row{at: w.at, n: int64(len(data)), sum: sum64(data)}, false})
	w.write(data)
}

// ends gives the pieces that are in a file its id, and lets go of those that did
// not come to be there. What was made before an error is kept as well: it is right
// by itself.
func (w *PackWriter) ends() (id [32]byte) {
	if w.of == nil || len(w.added) == 0 {
		return id
	}
	n := w.of.n
	if w.of.id == id { // the build did not come to its end
		w.of.Keep(Key{Kind: fileKind, Content: sha256.Sum256(w.table(id)), Params: "pieces"}, nil)
	}
	if w.of.id == id {
		n = 0
	}
	w.added = slices.DeleteFunc(w.added, func(a added) bool {
		gone := a.inFile && a.at+a.n > n
		if gone {
			delete(w.have, a.name)
		}
		return gone
	})
	return w.of.id
}

func (w *PackWriter) table(file [32]byte) []byte {
	b := file[:]
	for _, a := range w.added {
		b = append(b, a.name[:]...)
		at := uint64(a.at)
		if a.inFile {
			at |= inFile
		}
		for _, n := range []uint64{at, uint64(a.n), a.sum} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
	}
	return b
}

// Commit adds what old holds besides, as long as the pack stays below an eighth
// of the store's bound, and makes the pack appear.
func (w *PackWriter) Commit(old *Pack) {
	if w == nil {
		return
	}
	file := w.ends()
	if w.of != nil && len(w.added) == 0 { // nothing of it came to be
		w.Abort()
		return
	}
	if old != nil {
		names := make([][32]byte, 0, len(old.rows))
		for n := range old.rows {
			names = append(names, n)
		}
		slices.SortFunc(names, func(a, b [32]byte) int { return cmp.Compare(old.rows[a].at, old.rows[b].at) })
		var buf []byte
		for _, n := range names {
			if w.have[n] || w.at+old.rows[n].n > w.c.max/8 {
				continue
			}
			if b, ok := old.Get(n, buf); ok {
				w.put(n, b)
				buf = b
			}
		}
	}
	id := w.key.id()
	start, table := w.at, w.table(file)
	w.write(table)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	if w.err == nil {
		_, w.err = w.f.WriteAt(binary.LittleEndian.AppendUint64(header(id, table), uint64(start)), 0)
	}
	if w.err == nil && w.at > w.c.max {
		w.Abort()
		return
	}
	tmp := w.f.Name()
	err := w.err
	if cerr := w.f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = place(tmp, w.c.path(w.key, id))
	}
	if err != nil {
		os.Remove(tmp)
		w.c.fail(err)
		return
	}
	w.c.grown(w.at)
}

// Abort gives the pack up.
func (w *PackWriter) Abort() {
	if w != nil {
		w.f.Close()
		os.Remove(w.f.Name())
	}
}

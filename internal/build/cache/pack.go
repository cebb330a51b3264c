package cache

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"bareroot/internal/sys"
)

// A pack holds many pieces in one unit: the modules of a kernel are 900 files
// to open otherwise. Its file, numbers little-endian, has a unit's header, but
// for the length and hash of its table instead of all that follows:
//
//	 0          a unit's header, for the table
//	64  8 bytes where the table starts
//	72          the pieces, one after the other
//	            the table: of each piece 32 bytes of its name, where it starts, its length, xxh64 of it
//
// A piece is checked when it is read, by the table, which is checked when the
// pack is opened.
const (
	rowSize  = 32 + 3*8
	packHead = headerSize + 8
)

// Pack is an open pack. A nil Pack holds nothing. Pieces may be read by several
// goroutines.
type Pack struct {
	f    *os.File
	rows map[[32]byte]row
}

type row struct {
	at, n int64
	sum   uint64
}

// OpenPack returns the pack that was made under k; nil if there is none.
func (c *Cache) OpenPack(k Key) *Pack {
	if c == nil || !kinds.MatchString(k.Kind) || !c.isReady() {
		return nil
	}
	id := k.id()
	path := c.path(k, id)
	p, err := openPack(path, id)
	if err != nil {
		if errors.Is(err, errDamaged) {
			os.Remove(path)
		}
		return nil
	}
	if fi, err := p.f.Stat(); err == nil {
		if now := c.now(); now.Sub(fi.ModTime()).Abs() > touchAfter {
			os.Chtimes(path, now, now)
		}
	}
	return p
}

func openPack(path string, id [32]byte) (_ *Pack, err error) {
	f, fi, err := openRegular(path, packHead)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	var head [packHead]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	at := binary.LittleEndian.Uint64(head[headerSize:])
	if at < packHead || at > uint64(fi.Size()) || (uint64(fi.Size())-at)%rowSize != 0 || fi.Size()-int64(at) > math.MaxInt32 {
		return nil, errDamaged
	}
	table := make([]byte, fi.Size()-int64(at))
	if _, err := f.ReadAt(table, int64(at)); err != nil {
		return nil, err
	}
	if string(header(id, table)) != string(head[:headerSize]) {
		return nil, errDamaged
	}
	p := &Pack{f: f, rows: make(map[[32]byte]row, len(table)/rowSize)}
	for b := table; len(b) > 0; b = b[rowSize:] {
		n := binary.LittleEndian.Uint64
		r := row{int64(n(b[32:])), int64(n(b[40:])), n(b[48:])}
		if r.at < packHead || r.n < 0 || r.at > int64(at) || r.n > int64(at)-r.at {
			return nil, errDamaged
		}
		p.rows[[32]byte(b)] = r
	}
	return p, nil
}

// Has tells whether a piece of that name is there; it may still be damaged.
func (p *Pack) Has(name [32]byte) bool {
	if p == nil {
		return false
	}
	_, ok := p.rows[name]
	return ok
}

// Get reads a piece, into buf if it fits. It has been checked to be whole.
func (p *Pack) Get(name [32]byte, buf []byte) ([]byte, bool) {
	if p == nil {
		return nil, false
	}
	r, ok := p.rows[name]
	if !ok {
		return nil, false
	}
	if int64(cap(buf)) < r.n {
		buf = make([]byte, r.n)
	}
	b := buf[:r.n]
	if _, err := p.f.ReadAt(b, r.at); err != nil {
		return nil, false
	}
	if sum64(b) != r.sum {
		return nil, false // the next pack has it again; the others are still good
	}
	return b, true
}

// Close ends the use of the pack.
func (p *Pack) Close() {
	if p != nil {
		p.f.Close()
	}
}

// PackWriter makes a pack. It never fails a build: see Cache.Notice. A nil
// PackWriter keeps nothing.
type PackWriter struct {
	c     *Cache
	key   Key
	f     *os.File
	w     *bufio.Writer
	at    int64
	table []byte
	have  map[[32]byte]bool
	err   error
}

// NewPack starts a pack, which appears under k when it is committed.
func (c *Cache) NewPack(k Key) *PackWriter {
	if c == nil || !kinds.MatchString(k.Kind) || !c.prepare() {
		return nil
	}
	f, err := c.createTemp()
	if err != nil {
		c.fail(err)
		return nil
	}
	w := &PackWriter{c: c, key: k, f: f, w: bufio.NewWriterSize(sys.InPieces(f), 64<<10), have: map[[32]byte]bool{}}
	w.write(make([]byte, packHead))
	return w
}

func (w *PackWriter) write(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
		w.at += int64(len(b))
	}
}

// Add puts a piece at the end. One of that name that is there already stays.
func (w *PackWriter) Add(name [32]byte, data []byte) {
	if w == nil || w.err != nil || w.have[name] {
		return
	}
	w.have[name] = true
	w.table = append(w.table, name[:]...)
	for _, n := range []uint64{uint64(w.at), uint64(len(data)), sum64(data)} {
		w.table = binary.LittleEndian.AppendUint64(w.table, n)
	}
	w.write(data)
}

// Commit adds what old holds besides, as long as the pack stays below an eighth
// of the store's bound, and makes the pack appear.
func (w *PackWriter) Commit(old *Pack) {
	if w == nil {
		return
	}
	if old != nil {
		names := make([][32]byte, 0, len(old.rows))
		for n := range old.rows {
			names = append(names, n)
		}
		slices.SortFunc(names, func(a, b [32]byte) int { return int(old.rows[a].at - old.rows[b].at) })
		var buf []byte
		for _, n := range names {
			if w.have[n] || w.at+old.rows[n].n > w.c.max/8 {
				continue
			}
			if b, ok := old.Get(n, buf); ok {
				w.Add(n, b)
				buf = b
			}
		}
	}
	id := w.key.id()
	start := w.at
	w.write(w.table)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	if w.err == nil {
		_, w.err = w.f.WriteAt(binary.LittleEndian.AppendUint64(header(id, w.table), uint64(start)), 0)
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

// createTemp makes a file for a unit that is being written. A Clean by another
// process may take it or the folder away at any time.
func (c *Cache) createTemp() (*os.File, error) {
	f, err := os.CreateTemp(c.dir, tmpPrefix+"*")
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(c.dir, 0o700); err == nil {
			f, err = os.CreateTemp(c.dir, tmpPrefix+"*")
		}
	}
	return f, err
}

// place makes a unit appear. A Clean by another process may take the temporary
// file or the folder away, the folder as often as it is made: then there is no
// unit, which is no error, and nothing stays behind.
func place(tmp, path string) error {
	for range 3 {
		err := os.Rename(tmp, path)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = os.Mkdir(filepath.Dir(path), 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	os.Remove(tmp)
	return nil
}

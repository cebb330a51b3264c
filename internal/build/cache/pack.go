package cache

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// A pack holds many pieces in one unit: the modules of a kernel are 900 files
// to open otherwise. Its file, numbers little-endian, has a unit's header, but
// for the length and hash of its table instead of all that follows:
//
//	 0          a unit's header, for the table
//	64  8 bytes where the table starts
//	72          the pieces, one after the other
//	            the table: 32 bytes of the id of a kept file, zeros for none, then
//	            of each piece 32 bytes of its name, where it starts, its length, xxh64 of it
//
// Where the start has the bit inFile, the piece is in the kept file, which is made
// of pieces as the modules' part of a ramdisk is, and is not written twice. Without
// that file the pack does not hold it.
//
// A piece is checked when it is read, by the table, which is checked when the
// pack is opened.
const (
	rowSize  = 32 + 3*8
	packHead = headerSize + 8
	inFile   = 1 << 63
)

// Pack is an open pack. A nil Pack holds nothing. Pieces may be read by several
// goroutines.
type Pack struct {
	f    *os.File
	file *os.File // nil if there is none
	rows map[[32]byte]row
}

type row struct {
	f     *os.File
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
	p, err := c.openPack(path, id)
	if err != nil {
		if errors.Is(err, errDamaged) {
			os.Remove(path)
		}
		return nil
	}
	return p
}

func (c *Cache) openPack(path string, id [32]byte) (_ *Pack, err error) {
	f, fi, err := openRegular(path, packHead)
	if err != nil {
		return nil, err
	}
	p := &Pack{f: f}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	var head [packHead]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	at, size := binary.LittleEndian.Uint64(head[headerSize:]), uint64(fi.Size())
	if at < packHead || at > size || size-at < 32 || (size-at-32)%rowSize != 0 || size-at > math.MaxInt32 {
		return nil, errDamaged
	}
	table := make([]byte, size-at)
	if _, err := f.ReadAt(table, int64(at)); err != nil {
		return nil, err
	}
	if string(header(id, table)) != string(head[:headerSize]) {
		return nil, errDamaged
	}
	c.use(path, fi.ModTime())
	p.rows = make(map[[32]byte]row, len(table)/rowSize)
	var inKept int64
	if of := [32]byte(table); of != [32]byte{} {
		p.file, inKept = c.ofPack(of)
	}
	for b := table[32:]; len(b) > 0; b = b[rowSize:] {
		n := binary.LittleEndian.Uint64
		start := n(b[32:])
		r := row{f, int64(start &^ inFile), int64(n(b[40:])), n(b[48:])}
		from, end := int64(packHead), int64(at)
		if start&inFile != 0 {
			r.f, from, end = p.file, 0, inKept
		}
		switch within := r.n >= 0 && r.at >= from && r.at <= end && r.n <= end-r.at; {
		case within && r.f != nil:
			p.rows[[32]byte(b)] = r
		case start&inFile == 0:
			return nil, errDamaged
		}
	}
	return p, nil
}

// ofPack opens the kept file that pieces are in; nil if it is not there, or may
// have been written to by others.
func (c *Cache) ofPack(id [32]byte) (*os.File, int64) {
	path := c.path(Key{Kind: fileKind}, id)
	unit, err := os.Stat(path)
	if err != nil {
		return nil, 0
	}
	f, fi, err := openRegular(path+dataSuffix, 0)
	if err != nil {
		return nil, 0
	}
	if !ours(fi) {
		f.Close()
		return nil, 0
	}
	c.use(path, unit.ModTime())
	return f, fi.Size()
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
	if _, err := r.f.ReadAt(b, r.at); err != nil {
		return nil, false
	}
	if sum64(b) != r.sum {
		return nil, false // the next pack has it again; the others are still good
	}
	return b, true
}

// Close ends the use of the pack.
func (p *Pack) Close() {
	if p == nil {
		return
	}
	p.f.Close()
	if p.file != nil {
		p.file.Close()
	}
}

// temp makes a file for a unit that is being written; nil, and a notice if that is
// an error, where nothing can be.
func (c *Cache) temp() *os.File {
	if c == nil || !c.prepare() {
		return nil
	}
	f, err := c.createTemp()
	if err != nil {
		c.fail(err)
		return nil
	}
	return f
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

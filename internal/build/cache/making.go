package cache

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"bareroot/internal/sys"
)

// Seen tells whether k was asked for here before, and remembers that it was. What
// takes as long to copy as to make is worth keeping only when it comes again.
func (c *Cache) Seen(k Key) bool {
	seen := Key{"seen", k.Content, k.Params}
	if _, ok := c.Get(seen); ok {
		return true
	}
	c.Put(seen, nil)
	return false
}

// largest is the part of the store's bound that one kept file may have.
const largest = 2

// Making is a kept file that is being made. All methods may be called on a nil
// Making, which keeps nothing, and none of them fails a build: see Notice.
type Making struct {
	c     *Cache
	file  *os.File // nil when it is over
	n     int64
	sums  []byte   // of the blocks, see sumFile
	block []byte   // what is no whole block yet
	id    [32]byte // of what was kept; zeros before
}

// Make begins to keep what is written; Keep or Drop must follow. It returns nil if
// nothing can be kept.
func (c *Cache) Make() *Making {
	f := c.temp()
	if f == nil {
		return nil
	}
	return &Making{c: c, file: f}
}

// Write takes all of b, also what is too much to be kept.
func (m *Making) Write(b []byte) (int, error) {
	if m == nil || m.file == nil {
		return len(b), nil
	}
	_, err := sys.InPieces(m.file).Write(b)
	if m.n += int64(len(b)); err != nil {
		m.c.fail(err)
	}
	if err != nil || m.n > m.c.max/largest {
		m.Drop()
		return len(b), nil
	}
	m.add(b)
	return len(b), nil
}

// add makes sums while the bytes are near.
func (m *Making) add(b []byte) {
	for len(b) > 0 {
		n := min(len(b), sumBlock-len(m.block))
		if n == sumBlock {
			m.sums = binary.LittleEndian.AppendUint64(m.sums, sum64(b[:n]))
		} else if m.block = append(m.block, b[:n]...); len(m.block) == sumBlock {
			m.sums = binary.LittleEndian.AppendUint64(m.sums, sum64(m.block))
			m.block = m.block[:0]
		}
		b = b[n:]
	}
}

// Keep makes the file appear under k, whose Kind is "file". info is for whoever
// finds it.
func (m *Making) Keep(k Key, info []byte) {
	if m == nil || m.file == nil || k.Kind != fileKind {
		return
	}
	f := m.file
	m.file = nil
	if len(m.block) > 0 {
		m.sums = binary.LittleEndian.AppendUint64(m.sums, sum64(m.block))
	}
	err := errors.Join(f.Chmod(0o400), f.Close())
	if m.c.placeFile(k, info, f.Name(), sum64(m.sums), m.n, err) {
		m.id = k.id()
	}
}

// Drop ends it without a file; after Keep it does nothing.
func (m *Making) Drop() {
	if m == nil || m.file == nil {
		return
	}
	m.file.Close()
	os.Remove(m.file.Name())
	m.file = nil
}

// Links tells whether files in dir and in the store can be links to the same bytes,
// as Share and File.Link make them.
func (c *Cache) Links(dir string) bool {
	f := c.temp()
	if f == nil {
		return false
	}
	f.Close()
	link := filepath.Join(dir, filepath.Base(f.Name()))
	err := os.Link(f.Name(), link)
	_ = errors.Join(os.Remove(f.Name()), os.Remove(link))
	return err == nil
}

// Share keeps the file at path under k, whose Kind is "file", by a hard link. Nobody
// may write to it.
func (c *Cache) Share(k Key, info []byte, path string) {
	if c == nil || k.Kind != fileKind {
		return
	}
	f, fi, err := openRegular(path, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if !unwritable(fi) || fi.Size() > c.max/largest {
		return
	}
	tmp := c.temp() // a name of its own
	if tmp == nil {
		return
	}
	name := tmp.Name()
	if errors.Join(tmp.Close(), os.Remove(name), os.Link(path, name)) != nil {
		return
	}
	sum, err := sumFile(f, fi.Size())
	c.placeFile(k, info, name, sum, fi.Size(), err)
}

// placeFile makes a kept file appear whose n bytes are at tmp, unless err says that
// they are not.
func (c *Cache) placeFile(k Key, info []byte, tmp string, sum uint64, n int64, err error) bool {
	id := k.id()
	path := c.path(k, id)
	if err == nil {
		err = place(tmp, path+dataSuffix)
	}
	if err == nil {
		head := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(n)), sum)
		head = binary.LittleEndian.AppendUint64(head, 0)
		err = c.write(path, id, append(head, info...))
	}
	if err != nil {
		os.Remove(tmp)
		c.fail(err)
		return false
	}
	c.grown(n + headerSize)
	return true
}

package build

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"bareroot/internal/build/cache"
	"bareroot/internal/sys"
)

// joiner writes parts that are made side by side into one file, one behind the
// other. A part has its place as soon as the sizes of those before it are known,
// and is written there, also while they still are; one without a place waits in
// memory, and what does not fit there in a file of its own.
type joiner struct {
	dir    string
	file   *os.File
	memory int // what a part without a place may hold there

	mu    sync.Mutex
	err   error // the first thing that went wrong
	parts [parts]joinedPart
}

func newJoiner(dir string, file *os.File, memory int) *joiner {
	j := &joiner{dir: dir, file: file, memory: memory}
	for i := range j.parts {
		j.parts[i].j = j
	}
	j.place()
	return j
}

// joinedPart belongs to who writes it until it is done, then to who finds it in
// place.
type joinedPart struct {
	j     *joiner
	taken bool // somebody makes it

	// These need the lock.
	placed bool
	at     int64 // if placed
	done   bool  // its size is known: it is closed, kept, or does not come
	size   int64 // if done
	over   bool  // somebody writes what waits of it, or did

	total   int64 // bytes so far
	early   bytes.Buffer
	spilled *os.File    // what is before early, nil for nothing
	kept    *cache.File // what it is, nil if it is written
	out     *os.File    // where it goes on in the file, nil before the first byte
	behind  int64       // bytes written that the disk has not been told of
}

func (j *joiner) create(part int, _ string) (io.WriteCloser, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := &j.parts[part]
	p.taken = true
	return p, nil
}

func (j *joiner) links() bool { return false }

func (j *joiner) kept(part int, _ string, f *cache.File) error {
	p := &j.parts[part]
	p.taken, p.kept, p.total = true, f, f.Size
	return j.ends(p)
}

func (j *joiner) skip(part int) {
	j.mu.Lock()
	p := &j.parts[part]
	taken := p.taken
	j.mu.Unlock()
	if !taken {
		_ = j.ends(p) // what went wrong is said by the end
	}
}

// place gives parts their places, as far as they are known. The lock is held.
func (j *joiner) place() {
	at := int64(0)
	for i := range j.parts {
		p := &j.parts[i]
		if !p.placed {
			p.placed, p.at = true, at
		}
		if !p.done {
			return
		}
		at += p.size
	}
}

// ends is the end of a part. It writes what waits of parts that are done and have
// their place by it.
func (j *joiner) ends(p *joinedPart) error {
	j.mu.Lock()
	if !p.done {
		p.done, p.size = true, p.total
		j.place()
	}
	var ready []*joinedPart
	for i := range j.parts {
		if p := &j.parts[i]; p.placed && p.done && !p.over {
			p.over = true
			ready = append(ready, p)
		}
	}
	err := j.err
	j.mu.Unlock()
	for _, p := range ready {
		if err == nil {
			err = p.drain()
		}
		err = p.close(err)
	}
	return j.failed(err)
}

// failed notes what went wrong. Then nothing more is written: some of it may
// be in the file.
func (j *joiner) failed(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = err
	}
	return j.err
}

func (p *joinedPart) Write(b []byte) (int, error) {
	p.j.mu.Lock()
	placed, err := p.placed, p.j.err
	p.j.mu.Unlock()
	if err != nil || len(b) == 0 {
		return 0, err
	}
	p.total += int64(len(b))
	if placed {
		if err = p.drain(); err == nil {
			_, err = sys.InPieces(p.out).Write(b)
			p.ahead(int64(len(b)))
		}
	} else {
		if p.early.Len()+len(b) > p.j.memory {
			err = p.spill()
		}
		if err == nil {
			_, err = p.early.Write(b)
		}
	}
	if err != nil {
		return 0, p.j.failed(plain(err))
	}
	return len(b), nil
}

func (p *joinedPart) Close() error { return p.j.ends(p) }

// drain writes what waited. The part has its place.
func (p *joinedPart) drain() error {
	if p.total == 0 {
		return nil
	}
	if p.out == nil {
		// A descriptor of its own, for an offset of its own.
		out, err := os.OpenFile(p.j.file.Name(), os.O_WRONLY, 0)
		if err != nil {
			return plain(err)
		}
		p.out = out
		if _, err := out.Seek(p.at, io.SeekStart); err != nil {
			return plain(err)
		}
	}
	if p.spilled != nil {
		_, err := p.spilled.Seek(0, io.SeekStart)
		if err == nil {
			_, err = io.Copy(p.out, p.spilled)
		}
		if err != nil {
			return plain(err)
		}
		p.spilled.Close()
		p.spilled = nil
	}
	if p.kept != nil {
		return p.copyKept()
	}
	if p.early.Len() > 0 {
		_, err := p.early.WriteTo(sys.InPieces(p.out))
		p.early = bytes.Buffer{}
		return plain(err)
	}
	return nil
}

// copyKept writes the file that the part is, a piece at a time, so that the disk
// begins with the first while the next is copied.
func (p *joinedPart) copyKept() error {
	for at := int64(0); at < p.kept.Size; {
		n, err := p.kept.CopyTo(p.out, at, min(p.kept.Size-at, writeAhead))
		if err != nil {
			return plain(err)
		}
		p.ahead(n)
		at += n
	}
	return nil
}

// spill moves what is in memory into a file without a name.
func (p *joinedPart) spill() error {
	if p.spilled == nil {
		f, err := os.CreateTemp(p.j.dir, "part-*")
		if err != nil {
			return plain(err)
		}
		p.spilled = f
		if err := os.Remove(f.Name()); err != nil {
			return plain(err)
		}
	}
	_, err := p.early.WriteTo(sys.InPieces(p.spilled))
	p.early.Reset()
	return plain(err)
}

// close lets go of the part's files after err.
func (p *joinedPart) close(err error) error {
	if p.out != nil {
		err = errors.Join(err, plain(p.out.Close()))
	}
	if p.spilled != nil {
		p.spilled.Close()
	}
	if p.kept != nil {
		p.kept.Close()
	}
	p.out, p.spilled, p.kept = nil, nil, nil
	return err
}

// writeAhead is the size of what the disk is told of at once.
const writeAhead = 4 << 20

// ahead lets the disk begin with what was written, before the end waits for all of
// it, and takes out of memory what it has: the next piece has that memory then.
func (p *joinedPart) ahead(n int64) {
	if p.behind += n; p.behind < writeAhead {
		return
	}
	if at, err := p.out.Seek(0, io.SeekCurrent); err == nil { // these are only hints
		fd := int(p.out.Fd())
		_ = unix.SyncFileRange(fd, at-p.behind, p.behind, unix.SYNC_FILE_RANGE_WRITE)
		_ = unix.Fadvise(fd, p.at, at-p.behind-p.at, unix.FADV_DONTNEED)
	}
	p.behind = 0
}

// finish writes what still waits and makes the file durable. All parts are closed.
func (j *joiner) finish() error {
	var err error
	for i := range j.parts {
		err = j.ends(&j.parts[i])
	}
	if err == nil {
		err = plain(j.file.Sync())
	}
	return errors.Join(err, j.file.Close())
}

// abort after finish does nothing.
func (j *joiner) abort() {
	j.file.Close()
	for i := range j.parts {
		_ = j.parts[i].close(nil)
	}
}

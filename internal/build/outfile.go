package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
)

// fileOutput makes one ramdisk: all segments, one after the other. Each is
// padded to 4 bytes, so that plain ones start where the kernel finds them.
type fileOutput struct {
	path  string
	force bool
	work  folder
	join  *joiner
}

func (f *fileOutput) name() string { return f.path }

func (f *fileOutput) wantsKernel() bool { return false }

func (f *fileOutput) check() error {
	there, err := existing(f.path, fs.FileMode.IsRegular, "regular file")
	if err == nil && there && !f.force {
		err = fmt.Errorf("%s exists: %w without --force", f.path, ErrExists)
	}
	return err
}

func (f *fileOutput) begin() (target, error) {
	var err error
	if f.work, err = newFolder(f.path); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(f.work.path, "ramdisk"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, plain(err)
	}
	f.join = &joiner{dir: f.work.path, file: file, memory: 8 << 20}
	return f.join, nil
}

func (f *fileOutput) abort() {
	if f.join != nil {
		f.join.abort()
	}
	f.work.remove()
}

func (f *fileOutput) finish(res *Result, _ []bootset.File, c *cache.Cache, keep []keeping) error {
	res.Output = f.path
	if err := f.join.finish(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	name := filepath.Join(f.work.path, "ramdisk")
	if len(keep) > 0 {
		whole, err := os.Open(name)
		if err != nil {
			return err
		}
		for _, k := range keep {
			k.keepIn(c, cache.Source{File: whole, At: k.at})
		}
		whole.Close()
	}
	if err := os.Rename(name, f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

// joiner writes parts that are made side by side into one file. The part whose
// turn it is writes to the file itself, those that are early wait in memory, and
// what does not fit there in a file of their own.
type joiner struct {
	dir    string
	file   *os.File
	memory int // what a part may hold there that is early

	mu    sync.Mutex
	next  int   // the part whose turn it is; below it all are in the file
	err   error // the first thing that went wrong
	parts [parts]joinedPart

	behind int64 // bytes written that the disk has not been told of
}

type joinedPart struct {
	j       *joiner
	i       int
	early   bytes.Buffer
	spilled *os.File    // what is before early, nil for nothing
	file    *cache.File // what it is, nil if it is written
	done    bool        // it is closed, or does not come
}

func (j *joiner) create(part int, _ string) (io.WriteCloser, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := &j.parts[part]
	p.j, p.i = j, part
	return p, nil
}

func (j *joiner) kept(part int, _ string, f *cache.File) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := &j.parts[part]
	p.j, p.i, p.file = j, part, f
	if j.next == part && j.err == nil { // until this part is done, and only that ends it
		j.mu.Unlock()
		err := p.drain()
		j.mu.Lock()
		j.err = err
	}
	p.done = true
	return j.advance()
}

func (j *joiner) skip(part int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p := &j.parts[part]; p.j == nil {
		p.done = true
		j.advance()
	}
}

// advance lets the next parts have their turn. The lock is held. What fails is
// not tried again: some of it may be in the file.
func (j *joiner) advance() error {
	for j.next < len(j.parts) && j.parts[j.next].done && j.err == nil {
		if j.err = j.parts[j.next].drain(); j.err == nil {
			j.next++
		}
	}
	return j.err
}

// drain writes what waited. The part has its turn.
func (p *joinedPart) drain() error {
	if p.spilled != nil {
		_, err := p.spilled.Seek(0, io.SeekStart)
		if err == nil {
			_, err = io.Copy(p.j.file, p.spilled)
		}
		if err != nil {
			return plain(err)
		}
		p.spilled.Close()
		p.spilled = nil
	}
	if p.file != nil {
		return p.copyFile()
	}
	if p.early.Len() > 0 {
		_, err := p.early.WriteTo(p.j.file)
		p.early = bytes.Buffer{}
		return plain(err)
	}
	return nil
}

// copyFile writes the file that the part is, a piece at a time, so that the disk
// begins with the first while the next is copied.
func (p *joinedPart) copyFile() error {
	from := p.file
	defer from.Close()
	p.file = nil
	for at := int64(0); at < from.Size; {
		n, err := from.CopyTo(p.j.file, at, min(from.Size-at, writeAhead))
		if err != nil {
			return plain(err)
		}
		p.j.ahead(n)
		at += n
	}
	return nil
}

func (p *joinedPart) Write(b []byte) (int, error) {
	p.j.mu.Lock()
	turn, err := p.j.next == p.i, p.j.err
	p.j.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if turn { // until this part is closed, and only that ends it
		if err := p.drain(); err != nil {
			return 0, err
		}
		n, err := p.j.file.Write(b)
		p.j.ahead(int64(n))
		return n, plain(err)
	}
	if p.early.Len()+len(b) > p.j.memory {
		if err := p.spill(); err != nil {
			return 0, err
		}
	}
	return p.early.Write(b)
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
	_, err := p.early.WriteTo(p.spilled)
	p.early.Reset()
	return plain(err)
}

func (p *joinedPart) Close() error {
	p.j.mu.Lock()
	defer p.j.mu.Unlock()
	if p.done {
		return nil
	}
	p.done = true
	return p.j.advance()
}

// writeAhead is the size of what the disk is told of at once.
const writeAhead = 4 << 20

// ahead lets the disk begin with what was written, before the end waits for all of
// it. It is for the part whose turn it is.
func (j *joiner) ahead(n int64) {
	if j.behind += n; j.behind < writeAhead {
		return
	}
	if at, err := j.file.Seek(0, io.SeekCurrent); err == nil {
		_ = unix.SyncFileRange(int(j.file.Fd()), at-j.behind, j.behind, unix.SYNC_FILE_RANGE_WRITE) // only a hint
	}
	j.behind = 0
}

func (j *joiner) finish() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.parts {
		j.parts[i].done = true
	}
	err := j.advance()
	if err == nil {
		err = plain(j.file.Sync())
	}
	return errors.Join(err, j.file.Close())
}

// abort after finish does nothing.
func (j *joiner) abort() {
	j.file.Close()
	for i := range j.parts {
		if f := j.parts[i].spilled; f != nil {
			f.Close()
		}
		if f := j.parts[i].file; f != nil {
			f.Close()
		}
	}
}

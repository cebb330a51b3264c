package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A kept file is a unit whose bytes are a file of their own, without a header, so
// that a boot set can have it by a hard link. It is two files of one name: a unit
// of kind "file", which says what the bytes are, and the bytes, with dataSuffix:
//
//	 0  8 bytes   length of the bytes, little-endian
//	 8  8 bytes   their sum, see sumFile
//	16  8 bytes   the file that was last compared with it, see proof; 0 for none
//	24            what whoever keeps it wants to know of it
//
// Nobody may write to the bytes (mode 0444 or less), and they are compared with
// their sum unless the file is on the disk and still the one that was compared: a
// boot set shares them, and its owner may be root and edit there. What is damaged
// or has another owner is a miss and removed from the store; the boot set keeps its
// link, as it does when the store is emptied.
const (
	fileKind   = "file"
	dataKind   = "file-data"
	dataSuffix = "-data"
	fileHead   = 24
)

// File is an open kept file, which has been checked to be whole.
type File struct {
	Info  []byte // as it was given
	Size  int64
	f     *os.File
	proof uint64 // of a comparison that is to be remembered, 0 for none
}

// OpenFile returns what was kept under k, whose Kind is "file"; nil if nothing was.
func (c *Cache) OpenFile(k Key) *File {
	head, ok := c.Get(k)
	if !ok || k.Kind != fileKind {
		return nil
	}
	id := k.id()
	path := c.path(k, id)
	f, err := openFile(path+dataSuffix, head, c.now())
	if err != nil {
		if errors.Is(err, errDamaged) {
			errors.Join(os.Remove(path), os.Remove(path+dataSuffix)) // it stays a miss
		}
		return nil
	}
	if f.proof != 0 && f.f.Sync() == nil {
		binary.LittleEndian.PutUint64(head[16:], f.proof)
		_ = c.write(path, id, head) // or it is compared again
	}
	return f
}

func openFile(path string, head []byte, now time.Time) (_ *File, err error) {
	if len(head) < fileHead {
		return nil, errDamaged
	}
	f, fi, err := openRegular(path, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	size := int64(binary.LittleEndian.Uint64(head))
	if !ours(fi) || fi.Size() != size {
		return nil, errDamaged
	}
	out := &File{Info: head[fileHead:], Size: size, f: f}
	p := proof(fi)
	if p == binary.LittleEndian.Uint64(head[16:]) {
		return out, nil
	}
	sum, err := sumFile(f, size)
	if err == nil && sum != binary.LittleEndian.Uint64(head[8:]) {
		err = errDamaged
	}
	if now.Sub(fi.ModTime()) > Settled {
		out.proof = p
	}
	return out, err
}

// Settled is the age from which on a file's times tell every change of it: it is
// longer than the grain of any file system's clock.
const Settled = 2 * time.Second

// proof tells a file that was compared from others: which it is, its size and time
// of change. The inode's own time is no part of it, a link changes that.
func proof(fi os.FileInfo) uint64 {
	st := fi.Sys().(*syscall.Stat_t)
	return sum64(fmt.Appendf(nil, "%d %d %d %d", st.Dev, st.Ino, fi.Size(), fi.ModTime().UnixNano()))
}

// ours is a file that only who builds may have written to.
func ours(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && unwritable(fi) && int(st.Uid) == os.Geteuid()
}

func unwritable(fi os.FileInfo) bool { return fi.Mode().IsRegular() && fi.Mode().Perm()&0o222 == 0 }

const sumBlock = 256 << 10

var sumBlocks = sync.Pool{New: func() any { return new([sumBlock]byte) }}

// sumFile is the sum of the sums of each block of n bytes, which fits into the
// processor's cache. A second goroutine reads every other block.
func sumFile(f io.ReaderAt, n int64) (uint64, error) {
	const readers = 2
	sums := make([]byte, 8*((n+sumBlock-1)/sumBlock))
	var g errgroup.Group
	for i := range int64(readers) {
		g.Go(func() error {
			buf := sumBlocks.Get().(*[sumBlock]byte)
			defer sumBlocks.Put(buf)
			for done := i * sumBlock; done < n; done += readers * sumBlock {
				b := buf[:min(n-done, sumBlock)]
				if _, err := f.ReadAt(b, done); err != nil {
					return err
				}
				binary.LittleEndian.PutUint64(sums[done/sumBlock*8:], sum64(b))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	return sum64(sums), nil
}

// Link makes path a hard link to the bytes. It fails where the file system is
// another one, and where a file made under this umask would have another mode:
// then they must be copied.
func (f *File) Link(path string, mode os.FileMode) error {
	fi, err := f.f.Stat()
	if err != nil {
		return err
	}
	if fi.Mode().Perm() != mode {
		if st, ok := fi.Sys().(*syscall.Stat_t); !ok || st.Nlink > 1 {
			return fmt.Errorf("mode %04o, not %04o", fi.Mode().Perm(), mode)
		}
		if err := f.f.Chmod(mode); err != nil { // nobody shares them
			return err
		}
	}
	// By its descriptor: the name may be another file's by now.
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// CopyTo copies n bytes from at on, from file to file within the kernel.
func (f *File) CopyTo(w io.Writer, at, n int64) (int64, error) {
	if _, err := f.f.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	return io.CopyN(w, f.f, n)
}

// Sync makes the bytes durable.
func (f *File) Sync() error { return f.f.Sync() }

// Close ends the use of the file.
func (f *File) Close() error { return f.f.Close() }

// withData gives the bytes of kept files the last use of the units that describe
// them, so that both stay or go; bytes without such a unit are the first to go.
func withData(list []entry) []entry {
	used := map[string]time.Time{}
	for _, e := range list {
		if e.kind == fileKind {
			used[e.path] = e.used
		}
	}
	for i, e := range list {
		if e.kind == dataKind {
			list[i].used = used[strings.TrimSuffix(e.path, dataSuffix)]
		}
	}
	return list
}

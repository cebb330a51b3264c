package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/sys"
)

// Device is a disk open for writing: a block device, taken exclusively and
// without the page cache, or a regular file in its place.
type Device struct {
	Path   string
	Size   int64
	Sector int // logical
	Direct bool
	Block  bool

	f *os.File
}

// Open opens path for writing. A block device that is mounted or otherwise
// claimed is refused by the kernel.
func Open(path string) (*Device, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	d := &Device{Path: path, Direct: true, Block: st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0}
	if !d.Block && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("open disk %s: neither a block device nor a file", path)
	}
	flags := os.O_RDWR | unix.O_CLOEXEC
	if d.Block {
		flags |= os.O_EXCL
	}
	d.f, err = os.OpenFile(path, flags|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) { // a filesystem without O_DIRECT
		d.Direct = false
		d.f, err = os.OpenFile(path, flags, 0)
	}
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("open disk: %w: it is mounted or part of an array", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	d.Size, d.Sector = st.Size(), 512
	if d.Block {
		if d.Size, d.Sector, err = sys.BlockSize(d.f); err != nil {
			d.f.Close()
			return nil, err
		}
	}
	if d.Sector < 512 || d.Sector > 64<<10 || d.Sector&(d.Sector-1) != 0 {
		d.f.Close()
		return nil, fmt.Errorf("open disk %s: sectors of %d bytes are not handled", path, d.Sector)
	}
	d.Size -= d.Size % int64(d.Sector)
	return d, nil
}

// Close does not flush; see Sync.
func (d *Device) Close() error { return d.f.Close() }

// Sync makes what was written survive a power cut.
func (d *Device) Sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("flush %s: %w", d.Path, err)
	}
	return nil
}

// writeAt writes an aligned buffer of whole sectors.
func (d *Device) writeAt(b []byte, off int64) error {
	if _, err := d.f.WriteAt(b, off); err != nil {
		return fmt.Errorf("write %d bytes at %d of %s: %w", len(b), off, d.Path, err)
	}
	return nil
}

// writeCopy writes b at off through an aligned buffer.
func (d *Device) writeCopy(b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	buf, err := sys.AlignedBuffer(roundUp(len(b), d.Sector))
	if err != nil {
		return err
	}
	defer sys.FreeBuffer(buf)
	copy(buf, b)
	return d.writeAt(buf, off)
}

// readCopy reads n bytes at off past the page cache.
func (d *Device) readCopy(n int, off int64) ([]byte, error) {
	buf, err := sys.AlignedBuffer(roundUp(n, d.Sector))
	if err != nil {
		return nil, err
	}
	defer sys.FreeBuffer(buf)
	if _, err := d.f.ReadAt(buf, off); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read back %d bytes at %d of %s: %w", n, off, d.Path, err)
	}
	return append([]byte(nil), buf[:n]...), nil
}

// zero makes a range of whole sectors read as zeros, whatever was there. A
// block device does it by its own command or the kernel writes zeros; what a
// discarded block reads as is not known, so discarding would not be enough.
func (d *Device) zero(off, n int64) error {
	if n <= 0 {
		return nil
	}
	var err error
	if d.Block {
		err = sys.BlockZero(d.f, off, n)
	} else {
		err = punch(d.f, off, n)
	}
	if err == nil || !sys.Unsupported(err) {
		return err
	}
	const most = 1 << 20
	buf, err := sys.AlignedBuffer(int(min(n, most)))
	if err != nil {
		return err
	}
	defer sys.FreeBuffer(buf)
	for n > 0 {
		b := buf[:min(n, most)]
		if err := d.writeAt(b, off); err != nil {
			return err
		}
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return nil
}

func punch(f *os.File, off, n int64) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = c.Control(func(fd uintptr) {
		inner = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
	return errors.Join(err, inner)
}

// rereadBound is how long another program may keep the disk from re-reading:
// a device manager that looks at the new partitions has them open for a moment.
const rereadBound = 10 * time.Second

// Reread makes the kernel read the new partition table. It reports false if
// the device has no partitions at all (a plain loop device or a file).
func (d *Device) Reread() (bool, error) {
	if !d.Block {
		return false, nil
	}
	for end := time.Now().Add(rereadBound); ; time.Sleep(100 * time.Millisecond) {
		err := sys.RereadPartitions(d.f)
		switch {
		case err == nil:
			return true, nil
		case sys.Unsupported(err):
			return false, nil
		case !errors.Is(err, unix.EBUSY) || time.Now().After(end):
			return false, err
		}
	}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

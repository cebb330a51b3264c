package sys

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AlignedBuffer is size bytes that start at a multiple of align (a power of
// two), as O_DIRECT wants. It comes from mmap, so it is page-aligned at
// least and never moved; FreeBuffer gives it back.
func AlignedBuffer(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("allocate %d aligned bytes: %w", size, err)
	}
	return b, nil
}

// FreeBuffer unmaps a buffer of AlignedBuffer.
func FreeBuffer(b []byte) error { return unix.Munmap(b) }

// BlockSize is the size of a block device in bytes and its logical sector.
func BlockSize(f *os.File) (size int64, sector int, err error) {
	var n uint64
	if err := control(f, func(fd uintptr) error { return ioctlPtr(fd, unix.BLKGETSIZE64, unsafe.Pointer(&n)) }); err != nil {
		return 0, 0, fmt.Errorf("size of %s: %w", f.Name(), err)
	}
	err = control(f, func(fd uintptr) error {
		s, err := unix.IoctlGetInt(int(fd), unix.BLKSSZGET)
		sector = s
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("sector size of %s: %w", f.Name(), err)
	}
	return int64(n), sector, nil
}

// BlockZero makes the byte range read as zeros: by the device's own command
// where it has one, else the kernel writes zeros. Range in whole sectors.
func BlockZero(f *os.File, off, n int64) error {
	if off < 0 || n <= 0 {
		return fmt.Errorf("zero %d bytes at %d of %s: not a range", n, off, f.Name())
	}
	r := [2]uint64{uint64(off), uint64(n)}
	if err := control(f, func(fd uintptr) error { return ioctlPtr(fd, unix.BLKZEROOUT, unsafe.Pointer(&r)) }); err != nil {
		return fmt.Errorf("zero %d bytes at %d of %s: %w", n, off, f.Name(), err)
	}
	return nil
}

// RereadPartitions makes the kernel read the partition table again. It fails
// with EBUSY while a partition is in use.
func RereadPartitions(f *os.File) error {
	err := control(f, func(fd uintptr) error { return unix.IoctlSetInt(int(fd), unix.BLKRRPART, 0) })
	if err != nil {
		return fmt.Errorf("re-read the partition table of %s: %w", f.Name(), err)
	}
	return nil
}

// Unsupported reports that the device or filesystem does not know a request
// at all.
func Unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL)
}

func control(f *os.File, do func(fd uintptr) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = do(fd) }); err != nil {
		return err
	}
	return inner
}

func ioctlPtr(fd uintptr, op uint, p unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(op), uintptr(p))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}

package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of linux/btrfs.h, linux/raid/md_u.h and linux/dm-ioctl.h.
const (
	btrfsScanDev      = 0x50009404 // _IOW(0x94, 4, 4096 bytes)
	btrfsDevicesReady = 0x90009427 // _IOR(0x94, 39, 4096 bytes)
	mdStopArray       = 0x932      // _IO(9, 0x32)
	dmDevRemove       = 0xc138fd04 // _IOWR(0xfd, 4, 312 bytes)
	dmSize            = 312
)

// BtrfsScan tells the kernel of a device of a btrfs, and says whether all the
// others are known too, so that it can be mounted.
func BtrfsScan(dev string) (ready bool, err error) {
	f, err := os.OpenFile("/dev/btrfs-control", os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("scan %s for btrfs: %w", dev, err)
	}
	defer f.Close()
	arg := make([]byte, 4096) // fd, then the path
	if copy(arg[8:len(arg)-1], dev) < len(dev) {
		return false, fmt.Errorf("scan %s for btrfs: %w", dev, unix.ENAMETOOLONG)
	}
	// The scan is part of the question.
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), btrfsDevicesReady, uintptr(unsafe.Pointer(&arg[0])))
	if errno == 0 {
		return n == 0, nil
	}
	if err := ioctlPtr(f.Fd(), btrfsScanDev, unsafe.Pointer(&arg[0])); err != nil {
		return false, fmt.Errorf("scan %s for btrfs: %w", dev, err)
	}
	return false, nil
}

// StopArray stops an md device that nobody uses.
func StopArray(dev string) error {
	f, err := os.OpenFile(dev, os.O_RDWR|unix.O_EXCL, 0)
	if err != nil {
		return fmt.Errorf("stop %s: %w", dev, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), mdStopArray, 0); err != nil {
		return fmt.Errorf("stop %s: %w", dev, err)
	}
	return nil
}

// RemoveMapped removes a device of the device mapper that nobody uses.
func RemoveMapped(name string) error {
	f, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("remove mapped device %s: %w", name, err)
	}
	defer f.Close()
	req := make([]byte, dmSize)
	ne := binary.NativeEndian
	ne.PutUint32(req, 4) // version 4.0.0
	ne.PutUint32(req[12:], dmSize)
	ne.PutUint32(req[16:], dmSize)
	if copy(req[48:48+127], name) < len(name) {
		return fmt.Errorf("remove mapped device %s: %w", name, unix.ENAMETOOLONG)
	}
	for {
		err = ioctlPtr(f.Fd(), dmDevRemove, unsafe.Pointer(&req[0]))
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("remove mapped device %s: %w", name, err)
	}
	return nil
}

// DetachLoop frees a loop device.
func DetachLoop(dev string) error {
	f, err := os.OpenFile(dev, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("detach %s: %w", dev, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
		return fmt.Errorf("detach %s: %w", dev, err)
	}
	return nil
}

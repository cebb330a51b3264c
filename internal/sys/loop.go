package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// AttachLoop makes file a block device and returns the device's path. The
// device frees itself after its last user (LO_FLAGS_AUTOCLEAR) only once it
// was mounted, so the returned close function must be called after mounting.
func AttachLoop(file string, readOnly bool) (dev string, closeDev func() error, err error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	back, err := os.OpenFile(file, mode, 0)
	if err != nil {
		return "", nil, fmt.Errorf("attach loop device: %w", err)
	}
	defer back.Close()
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, fmt.Errorf("attach loop device to %s: %w (is the loop module in the ramdisk?)", file, err)
	}
	defer ctl.Close()
	// Another process may take the free number first: ask again, bounded.
	for range 16 {
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil, fmt.Errorf("attach loop device to %s: no free one: %w", file, err)
		}
		dev = fmt.Sprintf("/dev/loop%d", n)
		f, err := os.OpenFile(dev, mode, 0)
		if err != nil {
			return "", nil, fmt.Errorf("attach loop device to %s: %w", file, err)
		}
		var cfg unix.LoopConfig
		cfg.Fd = uint32(back.Fd())
		cfg.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		if readOnly {
			cfg.Info.Flags |= unix.LO_FLAGS_READ_ONLY
		}
		copy(cfg.Info.File_name[:len(cfg.Info.File_name)-1], file)
		err = unix.IoctlLoopConfigure(int(f.Fd()), &cfg)
		if err == nil {
			return dev, f.Close, nil
		}
		f.Close()
		if !errors.Is(err, unix.EBUSY) {
			return "", nil, fmt.Errorf("attach %s to %s: %w", dev, file, err)
		}
	}
	return "", nil, fmt.Errorf("attach loop device to %s: every free one was taken by others", file)
}

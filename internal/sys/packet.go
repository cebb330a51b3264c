package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// SendTo is sendto(2) with an address as the kernel lays it out: x/sys has no
// link-layer addresses longer than 8 bytes, InfiniBand's have 20.
func SendTo(fd int, b, sockaddr []byte) error {
	if len(b) == 0 || len(sockaddr) == 0 {
		return unix.EINVAL
	}
	_, _, e := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0,
		uintptr(unsafe.Pointer(&sockaddr[0])), uintptr(len(sockaddr)))
	if e != 0 {
		return e
	}
	return nil
}

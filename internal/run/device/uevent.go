package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Uevent is one message of the kernel about a device
// (Documentation/ABI/stable/sysfs-uevent, lib/kobject_uevent.c).
type Uevent struct {
	Action    string // add, remove, change, bind, ...
	DevPath   string // below /sys, from "/devices"
	Subsystem string
	Modalias  string
	DevName   string // below /dev
	DevType   string // disk, partition
	Seq       string
}

// ParseUevent reads a message: ACTION@DEVPATH, NUL, then KEY=VALUE strings.
// Messages of udev ("libudev" header) are not the kernel's and are refused.
func ParseUevent(b []byte) (Uevent, error) {
	head, rest, ok := bytes.Cut(b, []byte{0})
	action, path, at := strings.Cut(string(head), "@")
	if !ok || !at || action == "" || !strings.HasPrefix(path, "/") {
		return Uevent{}, fmt.Errorf("parse uevent: no ACTION@DEVPATH at the start of %d bytes", len(b))
	}
	u := Uevent{Action: action, DevPath: path}
	for _, f := range bytes.Split(rest, []byte{0}) {
		k, v, _ := strings.Cut(string(f), "=")
		switch k {
		case "ACTION":
			if v != action {
				return Uevent{}, fmt.Errorf("parse uevent: ACTION=%q contradicts the header %q", v, head)
			}
		case "SUBSYSTEM":
			u.Subsystem = v
		case "MODALIAS":
			u.Modalias = v
		case "DEVNAME":
			u.DevName = strings.TrimPrefix(v, "/dev/")
		case "DEVTYPE":
			u.DevType = v
		case "SEQNUM":
			u.Seq = v
		}
	}
	if strings.Contains(u.DevName, "..") {
		return Uevent{}, fmt.Errorf("parse uevent: device name %q", u.DevName)
	}
	return u, nil
}

// errLost is returned when the kernel dropped messages.
var errLost = errors.New("uevents were lost")

// socket is a netlink socket with the kernel's uevents.
type socket struct{ f *os.File }

func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("open uevent socket: %w", err)
	}
	// A busy coldplug makes thousands of messages at once.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<20)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind uevent socket: %w", err)
	}
	return &socket{os.NewFile(uintptr(fd), "uevent")}, nil
}

// read blocks for the next message of the kernel itself.
func (s *socket) read(ctx context.Context, buf []byte) (Uevent, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	rc, err := s.f.SyscallConn()
	if err != nil {
		return Uevent{}, err
	}
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		if err := rc.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(rerr, unix.EAGAIN)
		}); err != nil {
			return Uevent{}, err
		}
		switch {
		case errors.Is(rerr, unix.ENOBUFS):
			return Uevent{}, errLost
		case errors.Is(rerr, unix.EINTR):
			continue
		case rerr != nil:
			return Uevent{}, fmt.Errorf("read uevent: %w", rerr)
		}
		// Only the kernel (port 0) is believed.
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue
		}
		u, err := ParseUevent(buf[:n])
		if err != nil {
			continue
		}
		return u, nil
	}
}

func (s *socket) close() { s.f.Close() }

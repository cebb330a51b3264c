// Package rtnl speaks rtnetlink(7), as far as a ramdisk's network needs it:
// links with their bonds, bridges and VLANs, addresses, routes, and the kernel's
// reports of changes. It is here because the library that does all of rtnetlink
// is 0.3 MiB of the 8 that init may have; tests hold it to that library.
package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long the kernel may take to answer; it does so at once.
const limit = 10 * time.Second

// message builds one request.
type message struct {
	kind, flags uint16
	body        []byte
}

func (m *message) attr(kind uint16, value []byte) {
	m.body = appendAttr(m.body, kind, value)
}

func appendAttr(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func text(s string) []byte { return append([]byte(s), 0) }

// do sends a request and waits for its acknowledgement.
func (m *message) do() error {
	_, err := m.exchange(unix.NLM_F_REQUEST | unix.NLM_F_ACK | m.flags)
	return err
}

// errAgain says that a table changed while it was read.
var errAgain = errors.New("the kernel's table changed meanwhile")

// dump reads a whole table; each is called with the body of each entry.
func (m *message) dump(each func(kind uint16, body []byte)) error {
	for try := 0; ; try++ {
		msgs, err := m.exchange(unix.NLM_F_REQUEST | unix.NLM_F_DUMP)
		if errors.Is(err, errAgain) && try < 10 {
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range msgs {
			each(r.Header.Type, r.Data)
		}
		return nil
	}
}

func (m *message) exchange(flags uint16) ([]syscall.NetlinkMessage, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(limit.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	const seq = 1
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(m.body)))
	b = binary.NativeEndian.AppendUint16(b, m.kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	if err := unix.Sendto(fd, append(b, m.body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	var out []syscall.NetlinkMessage
	torn := false
	buf := make([]byte, 64<<10)
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not from the kernel
		}
		msgs, err := syscall.ParseNetlinkMessage(append([]byte(nil), buf[:n]...))
		if err != nil {
			return nil, fmt.Errorf("read rtnetlink: %w", err)
		}
		for _, r := range msgs {
			if r.Header.Seq != seq {
				continue
			}
			torn = torn || r.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch r.Header.Type {
			case unix.NLMSG_ERROR:
				if len(r.Data) < 4 {
					return nil, unix.EIO
				}
				if e := int32(binary.NativeEndian.Uint32(r.Data)); e != 0 {
					return nil, unix.Errno(-e)
				}
				return out, nil
			case unix.NLMSG_DONE:
				if torn {
					return nil, errAgain
				}
				return out, nil
			}
			out = append(out, r)
		}
	}
}

// attrs calls each with the attributes of a list; what is cut off ends it.
func attrs(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// find is one attribute of a list.
func find(b []byte, kind uint16) ([]byte, bool) {
	var out []byte
	found := false
	attrs(b, func(k uint16, v []byte) {
		if k == kind && !found {
			out, found = v, true
		}
	})
	return out, found
}

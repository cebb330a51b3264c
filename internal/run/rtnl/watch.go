package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Event is one change that the kernel reports. One of the pointers is set, or
// Gone, or Lost.
type Event struct {
	Index int
	Link  *Link      // the link as it is now
	Gone  bool       // the link is no more
	Addr  *Addr6     // an IPv6 address that came or changed
	Lost  netip.Addr // an IPv6 address that went
	Flags *uint32    // of the link's IPv6: IF_RA_MANAGED and the like
	ND    []byte     // options of a router's advertisement that the kernel does not use itself
}

// ErrLost says that the kernel dropped reports: everything is to be looked at again.
var ErrLost = errors.New("reports about network interfaces were lost")

// Watch is a socket with the changes of links and of their IPv6.
type Watch struct {
	f  *os.File
	rc syscall.RawConn
}

// Open begins to collect reports.
func Open() (*Watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch network interfaces: %w", err)
	}
	// Hundreds of NICs that appear together say several things each.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	}
	groups := uint32(0)
	for _, g := range []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_ND_USEROPT} {
		groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch network interfaces: %w", err)
	}
	w := &Watch{f: os.NewFile(uintptr(fd), "rtnetlink")}
	if w.rc, err = w.f.SyscallConn(); err != nil {
		w.f.Close()
		return nil, fmt.Errorf("watch network interfaces: %w", err)
	}
	return w, nil
}

// Close ends it.
func (w *Watch) Close() { w.f.Close() }

// Read blocks for the next reports.
func (w *Watch) Read(ctx context.Context, buf []byte) ([]Event, error) {
	stop := context.AfterFunc(ctx, func() { _ = w.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		if err := w.rc.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(rerr, unix.EAGAIN)
		}); err != nil {
			return nil, err
		}
		switch {
		case errors.Is(rerr, unix.ENOBUFS):
			return nil, ErrLost
		case errors.Is(rerr, unix.EINTR):
			continue
		case rerr != nil:
			return nil, fmt.Errorf("watch network interfaces: %w", rerr)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not from the kernel
		}
		return Parse(append([]byte(nil), buf[:n]...)), nil
	}
}

// Parse reads reports; what is not understood is left out.
func Parse(b []byte) []Event {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil
	}
	var out []Event
	for _, m := range msgs {
		if e, ok := parseEvent(m.Header.Type, m.Data); ok {
			out = append(out, e)
		}
	}
	return out
}

// routerAdvert is the type of a router's advertisement (RFC 4861).
const routerAdvert = 134

func parseEvent(kind uint16, d []byte) (Event, bool) {
	if len(d) < 8 {
		return Event{}, false
	}
	index := int(int32(binary.NativeEndian.Uint32(d[4:])))
	switch kind {
	case unix.RTM_NEWLINK:
		switch d[0] {
		case unix.AF_UNSPEC:
			l, ok := parseLink(d)
			return Event{Index: index, Link: &l}, ok
		case unix.AF_INET6:
			if len(d) < unix.SizeofIfInfomsg {
				return Event{}, false
			}
			info, _ := find(d[unix.SizeofIfInfomsg:], unix.IFLA_PROTINFO)
			v, ok := find(info, unix.IFLA_INET6_FLAGS)
			if !ok || len(v) < 4 {
				return Event{}, false
			}
			f := binary.NativeEndian.Uint32(v)
			return Event{Index: index, Flags: &f}, true
		}
	case unix.RTM_DELLINK:
		return Event{Index: index, Gone: true}, d[0] == unix.AF_UNSPEC
	case unix.RTM_NEWADDR:
		a, ok := parseAddr6(d)
		return Event{Index: index, Addr: &a}, ok
	case unix.RTM_DELADDR:
		a, ok := parseAddr6(d)
		return Event{Index: index, Lost: a.Prefix.Addr()}, ok
	case unix.RTM_NEWNDUSEROPT:
		// struct nduseroptmsg: family, pad, length of the options, ifindex, type and
		// code of the ICMP message, 6 bytes of padding.
		if d[0] != unix.AF_INET6 || len(d) < 16 || d[8] != routerAdvert {
			return Event{}, false
		}
		if n := int(binary.NativeEndian.Uint16(d[2:])); 16+n <= len(d) {
			return Event{Index: index, ND: d[16 : 16+n]}, true
		}
	}
	return Event{}, false
}

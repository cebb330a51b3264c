package netconf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// event is one change that the kernel reports by rtnetlink(7).
type event struct {
	index int
	link  netlink.Link // the link as it is now
	gone  bool         // the link is no more
	addr  *addr6       // an IPv6 address that came or changed
	lost  netip.Addr   // an IPv6 address that went
	flags *uint32      // of the link's IPv6: IF_RA_MANAGED and the like
	ra    *raOptions   // options of a router's advertisement that the kernel does not use itself
}

// addr6 is an IPv6 address of a link.
type addr6 struct {
	prefix netip.Prefix
	flags  uint32 // IFA_F_...
}

// errLost says that the kernel dropped messages.
var errLost = errors.New("messages about network interfaces were lost")

// rtnl is a netlink socket with the changes of links and IPv6.
type rtnl struct {
	f  *os.File
	rc syscallConn
}

func openRtnl() (*rtnl, error) {
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
	r := &rtnl{f: os.NewFile(uintptr(fd), "rtnetlink")}
	if r.rc, err = r.f.SyscallConn(); err != nil {
		r.f.Close()
		return nil, fmt.Errorf("watch network interfaces: %w", err)
	}
	return r, nil
}

func (r *rtnl) close() { r.f.Close() }

// read blocks for the next messages of the kernel.
func (r *rtnl) read(ctx context.Context, buf []byte) ([]event, error) {
	stop := context.AfterFunc(ctx, func() { _ = r.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		if err := r.rc.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(rerr, unix.EAGAIN)
		}); err != nil {
			return nil, err
		}
		switch {
		case errors.Is(rerr, unix.ENOBUFS):
			return nil, errLost
		case errors.Is(rerr, unix.EINTR):
			continue
		case rerr != nil:
			return nil, fmt.Errorf("watch network interfaces: %w", rerr)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not from the kernel
		}
		return parseRtnl(buf[:n]), nil
	}
}

// parseRtnl reads messages; what is not understood is left out.
func parseRtnl(b []byte) []event {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil
	}
	var out []event
	for _, m := range msgs {
		if e, ok := parseMessage(m.Header.Type, m.Data); ok {
			out = append(out, e)
		}
	}
	return out
}

func parseMessage(kind uint16, d []byte) (event, bool) {
	if len(d) < 8 {
		return event{}, false
	}
	index := int(int32(binary.NativeEndian.Uint32(d[4:])))
	switch kind {
	case unix.RTM_NEWLINK:
		if d[0] == unix.AF_INET6 {
			if len(d) < unix.SizeofIfInfomsg {
				return event{}, false
			}
			info, ok := attr(attr1(d[unix.SizeofIfInfomsg:], unix.IFLA_PROTINFO), unix.IFLA_INET6_FLAGS)
			if !ok || len(info) < 4 {
				return event{}, false
			}
			f := binary.NativeEndian.Uint32(info)
			return event{index: index, flags: &f}, true
		}
		if d[0] != unix.AF_UNSPEC || len(d) < unix.SizeofIfInfomsg {
			return event{}, false // AF_BRIDGE: the state of a port
		}
		l, err := netlink.LinkDeserialize(nil, d)
		if err != nil {
			return event{}, false
		}
		return event{index: index, link: l}, true
	case unix.RTM_DELLINK:
		return event{index: index, gone: true}, d[0] == unix.AF_UNSPEC
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if d[0] != unix.AF_INET6 {
			return event{}, false
		}
		raw, ok := attr(d[8:], unix.IFA_LOCAL)
		if !ok {
			raw, _ = attr(d[8:], unix.IFA_ADDRESS)
		}
		a, ok := netip.AddrFromSlice(raw)
		if !ok || !a.Is6() {
			return event{}, false
		}
		if kind == unix.RTM_DELADDR {
			return event{index: index, lost: a}, true
		}
		flags := uint32(d[2])
		if f, ok := attr(d[8:], unix.IFA_FLAGS); ok && len(f) >= 4 {
			flags = binary.NativeEndian.Uint32(f)
		}
		return event{index: index, addr: &addr6{netip.PrefixFrom(a, int(d[1])), flags}}, d[1] <= 128
	case unix.RTM_NEWNDUSEROPT:
		// struct nduseroptmsg: family, pad, length of the options, ifindex, type and
		// code of the ICMP message, 6 bytes of padding.
		if d[0] != unix.AF_INET6 || len(d) < 16 || d[8] != icmpRouterAdvert {
			return event{}, false
		}
		n := int(binary.NativeEndian.Uint16(d[2:]))
		if 16+n > len(d) {
			return event{}, false
		}
		o := parseRA(d[16 : 16+n])
		return event{index: index, ra: &o}, true
	}
	return event{}, false
}

// attr finds an attribute in a list of them.
func attr(b []byte, kind uint16) ([]byte, bool) {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil, false
		}
		if binary.NativeEndian.Uint16(b[2:])&0x3fff == kind {
			return b[4:n], true
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil, false
}

func attr1(b []byte, kind uint16) []byte {
	v, _ := attr(b, kind)
	return v
}

package netconf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The sockets here are made by hand: Go's dialer brings a resolver along, which
// is 0.3 MiB of init.

// reachLimit bounds one try to connect.
const reachLimit = 5 * time.Second

// connect opens a TCP connection to address, host:port, by way of one NIC and
// closes it again.
func (m *Manager) connect(ctx context.Context, ifname, address string) error {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("port %s: %w", port, err)
	}
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if m.cfg.Lookup == nil {
		return fmt.Errorf("%s is no address, and nobody is there to ask for it", host)
	} else if addrs, err = m.cfg.Lookup(ctx, host); err != nil {
		return err
	}
	if len(addrs) == 0 {
		return fmt.Errorf("%s has no address", host)
	}
	var errs []error
	for _, a := range addrs {
		err := connectTo(ctx, ifname, netip.AddrPortFrom(a.Unmap(), uint16(number)))
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func connectTo(ctx context.Context, ifname string, to netip.AddrPort) error {
	f, err := openSocket(ifname, to.Addr(), unix.SOCK_STREAM)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	defer f.Close()
	rc, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	defer context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })()
	var cerr error
	begun := false
	werr := rc.Write(func(fd uintptr) bool {
		if !begun {
			begun = true
			cerr = unix.Connect(int(fd), sockaddr(to))
		} else {
			n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
			switch {
			case err != nil:
				cerr = err
			case n != 0:
				cerr = unix.Errno(n)
			default:
				// Woken for nothing, or connected.
				if _, err := unix.Getpeername(int(fd)); err == nil {
					cerr = nil
				}
			}
		}
		return cerr != unix.EINPROGRESS
	})
	switch {
	case ctx.Err() != nil:
		cerr = errors.New("no answer")
	case cerr == nil:
		cerr = werr
	}
	if cerr != nil {
		return fmt.Errorf("connect to %s: %w", to, cerr)
	}
	return nil
}

// openSocket makes a socket of one NIC, whatever the routes say.
func openSocket(ifname string, family netip.Addr, kind int) (*os.File, error) {
	domain := unix.AF_INET
	if !family.Is4() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	if err := unix.BindToDevice(fd, ifname); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind a socket to %s: %w", ifname, err)
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// listenUDP opens a UDP socket of one NIC.
func listenUDP(ifname string, at netip.AddrPort) (net.PacketConn, error) {
	f, err := openSocket(ifname, at.Addr(), unix.SOCK_DGRAM)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the connection has a descriptor of its own
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var berr error
	err = rc.Control(func(fd uintptr) {
		if berr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); berr != nil {
			return
		}
		if at.Addr().Is6() {
			if berr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); berr != nil {
				return
			}
		}
		berr = unix.Bind(int(fd), sockaddr(at))
	})
	if err = errors.Join(err, berr); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", at, err)
	}
	return net.FilePacketConn(f)
}

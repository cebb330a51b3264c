package netconf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bindTo makes a socket of Go's use one NIC.
func bindTo(ifname string, reuse bool) func(_, _ string, rc syscall.RawConn) error {
	return func(_, _ string, rc syscall.RawConn) error {
		var err error
		cerr := rc.Control(func(fd uintptr) {
			if reuse {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			}
			if err == nil {
				err = unix.BindToDevice(int(fd), ifname)
			}
		})
		return errors.Join(cerr, err)
	}
}

// loopback switches lo of the tests' namespace on.
func loopback(t *testing.T) {
	t.Helper()
	l, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(l)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestConnect(t *testing.T) {
	if elsewhere(t) {
		return
	}
	loopback(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		addr, want string
		silent     bool // nobody answers
	}{
		"an address":          {l.Addr().String(), "", false},
		"a name":              {"server:" + port, "", false},
		"nobody listens":      {closed.Addr().String(), "refused", false},
		"not by this NIC":     {"[::ffff:192.0.2.1]:" + port, "connect to 192.0.2.1:" + port, true},
		"a name of nothing":   {"empty:" + port, "has no address", false},
		"an unknown name":     {"other:" + port, "no such name", false},
		"no port":             {"127.0.0.1", "missing port", false},
		"a port out of range": {"127.0.0.1:65536", "out of range", false},
	} {
		m := &Manager{cfg: Config{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			switch host {
			case "server":
				return []netip.Addr{netip.MustParseAddr("127.0.0.99"), netip.MustParseAddr("::ffff:127.0.0.1")}, nil
			case "empty":
				return nil, nil
			}
			return nil, errors.New("no such name")
		}}}
		limit := time.Minute
		if c.silent {
			limit = 500 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		if err := m.connect(ctx, "lo", c.addr); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	m := &Manager{}
	if err := m.connect(t.Context(), "lo", "server:80"); err == nil {
		t.Error("a name was found by nobody")
	}
}

func TestListenUDP(t *testing.T) {
	if elsewhere(t) {
		return
	}
	loopback(t)
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := listenUDP("lo", netip.MustParseAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		to := l.LocalAddr()
		c, err := net.Dial("udp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 9)
		n, from, err := l.ReadFrom(b)
		if err != nil || n != 1 || from.String() != c.LocalAddr().String() {
			t.Errorf("%s: %d bytes from %v, %v", at, n, from, err)
		}
		if _, err := l.WriteTo([]byte("yy"), from); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		c.Close()
		l.Close()
	}
}

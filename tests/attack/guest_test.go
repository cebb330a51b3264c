package attack

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// guest is a neighbour on the bridge: a network namespace with one interface.
// What is opened in it stays in it.
type guest struct{ jobs chan func() }

const guestAddr = "10.77.0.2"

var theGuest = sync.OnceValues(newGuest)

// newGuest makes the namespace on a thread of its own, which lives as long
// as the test program.
func newGuest() (*guest, error) {
	g := &guest{jobs: make(chan func())}
	ready := make(chan error)
	tid := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is in another network
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- fmt.Errorf("make the neighbour's network namespace: %w", err)
			return
		}
		ready <- nil
		tid <- unix.Gettid()
		for f := range g.jobs {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	ns, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", <-tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the neighbour's network namespace: %w", err)
	}
	defer unix.Close(ns)
	br, err := netlink.LinkByName("br0")
	if err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "neighbour"
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns)}
	for _, step := range []func() error{
		func() error { return netlink.LinkAdd(veth) },
		func() error { return netlink.LinkSetMaster(veth, br) },
		func() error { return netlink.LinkSetUp(veth) },
		func() error { return g.do(setUpGuest) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("connect the neighbour: %w", err)
		}
	}
	return g, nil
}

func setUpGuest() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	eth, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	v4, err := netlink.ParseAddr(guestAddr + "/24")
	if err != nil {
		return err
	}
	v6, err := netlink.ParseAddr("fe80::2/64")
	if err != nil {
		return err
	}
	v6.Flags = unix.IFA_F_NODAD
	for _, step := range []func() error{
		func() error { return netlink.LinkSetUp(lo) },
		func() error { return netlink.AddrAdd(eth, v4) },
		func() error { return netlink.LinkSetUp(eth) },
		func() error { return netlink.AddrAdd(eth, v6) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// do runs f in the guest's network.
func (g *guest) do(f func() error) error {
	done := make(chan error)
	g.jobs <- func() { done <- f() }
	return <-done
}

// udp opens a socket in the guest; everything it sends goes to the server's port.
func (g *guest) udp(port int) (*net.UDPConn, error) {
	var c *net.UDPConn
	err := g.do(func() (err error) {
		c, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.ParseIP(serverAddr), Port: port})
		return err
	})
	return c, err
}

// udpFrom opens a socket that hears answers from any port, as TFTP and DHCP
// clients need.
func (g *guest) udpFrom(port int) (*net.UDPConn, error) {
	var c *net.UDPConn
	err := g.do(func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		return err
	})
	return c, err
}

// tcp connects from the guest.
func (g *guest) tcp(ctx context.Context, addr string) (net.Conn, error) {
	var c net.Conn
	err := g.do(func() (err error) {
		d := net.Dialer{Timeout: 30 * time.Second}
		c, err = d.DialContext(ctx, "tcp4", addr)
		return err
	})
	return c, err
}

// http is a client in the guest. It follows no redirects: there are none.
func (g *guest) http() *http.Client {
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, addr string) (net.Conn, error) { return g.tcp(ctx, addr) },
			MaxIdleConnsPerHost: 8,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

package net

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bareroot/tests/vm/vmtest"
)

// tagged makes a device that is one VLAN of all of a machine's NICs: the
// kernel that runs the tests need not know 802.1Q. It is a tap; this process
// takes the tags off and puts them on.
func tagged(t *testing.T, v *vmtest.VM, name string, id uint16) string {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name = name
	tap := &netlink.Tuntap{LinkAttrs: a, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI, Queues: 1, NonPersist: true}
	if err := netlink.LinkAdd(tap); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(tap); err != nil {
		t.Fatal(err)
	}
	// A file of our own: the library's is closed when nobody holds it any more.
	fd, err := unix.FcntlInt(tap.Fds[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	lan := os.NewFile(uintptr(fd), name)
	tap.Fds[0].Close()
	var ports []*port
	for _, n := range v.Spec().NICs {
		ports = append(ports, openPort(t, n.Tap))
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		lan.Close()
		for _, p := range ports {
			p.f.Close()
		}
		wg.Wait()
	})
	for _, p := range ports {
		wg.Go(func() {
			for {
				frame, tag, err := p.read()
				if err != nil {
					return
				}
				if tag == id {
					_, _ = lan.Write(frame) // a full queue drops, as a switch does
				}
			}
		})
	}
	wg.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := lan.Read(buf)
			if err != nil {
				return
			}
			if n < 14 {
				continue
			}
			frame := append([]byte(nil), buf[:12]...)
			frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_8021Q)
			frame = binary.BigEndian.AppendUint16(frame, id)
			frame = append(frame, buf[12:n]...)
			for _, p := range ports {
				_, _ = p.f.Write(frame)
			}
		}
	})
	return name
}

// port is one cable of the machine, with tags.
type port struct{ f *os.File }

func openPort(t *testing.T, tap string) *port {
	t.Helper()
	l, err := net.InterfaceByName(tap)
	if err != nil {
		t.Fatal(err)
	}
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Index})); err != nil {
		t.Fatal(err)
	}
	return &port{os.NewFile(uintptr(fd), tap)}
}

// read returns a frame without its tag, and the tag: the kernel has put it
// beside the frame (struct tpacket_auxdata).
func (p *port) read() ([]byte, uint16, error) {
	rc, err := p.f.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	buf, oob := make([]byte, 65536), make([]byte, 256)
	var n, on int
	var rerr error
	if err := rc.Read(func(fd uintptr) bool {
		n, on, _, _, rerr = unix.Recvmsg(int(fd), buf, oob, 0)
		return !errors.Is(rerr, unix.EAGAIN)
	}); err != nil {
		return nil, 0, err
	}
	if rerr != nil {
		return nil, 0, rerr
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil {
		return nil, 0, err
	}
	for _, m := range msgs {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 18 && binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
			return buf[:n], binary.NativeEndian.Uint16(m.Data[16:]) & 0xfff, nil
		}
	}
	return buf[:n], 0, nil
}

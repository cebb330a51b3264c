package netconf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/sys"
)

// packetSocket is an AF_PACKET socket of one NIC for one protocol. It works
// on a NIC without an address; the kernel writes and reads the link's header.
type packetSocket struct {
	f     *os.File
	rc    syscallConn
	index int
	proto uint16
	hw    net.HardwareAddr // of everybody
}

type syscallConn interface {
	Control(func(uintptr)) error
	Read(func(uintptr) bool) error
	Write(func(uintptr) bool) error
}

// portFilter lets IPv4 UDP to port 68 through, first fragments only: other
// traffic of the NIC must not wake us (Linux socket filter, filter.txt).
var portFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},                        // protocol
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 6}, //
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 6},                        // fragment
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x1fff, Jt: 4},          //
	{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},                       // length of the header
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},                        // destination port
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 68, Jf: 1},               //
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},                                 //
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},                                      //
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }

func openPacket(ifname string, index int, mac net.HardwareAddr, proto uint16, filter []unix.SockFilter) (*packetSocket, error) {
	fail := func(err error) (*packetSocket, error) {
		return nil, fmt.Errorf("open a packet socket on %s: %w", ifname, err)
	}
	// Protocol 0 until it is bound: it must not take packets of other NICs.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	if len(filter) > 0 {
		prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
			unix.Close(fd)
			return fail(err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(proto), Ifindex: index}); err != nil {
		unix.Close(fd)
		return fail(err)
	}
	s := &packetSocket{f: os.NewFile(uintptr(fd), "packet socket of "+ifname), index: index, proto: proto, hw: broadcastHW(mac)}
	if s.rc, err = s.f.SyscallConn(); err != nil {
		s.f.Close()
		return fail(err)
	}
	return s, nil
}

// broadcastHW is the link's broadcast address: for InfiniBand the group of
// IPv4 broadcasts in the default partition (RFC 4391).
func broadcastHW(mac net.HardwareAddr) net.HardwareAddr {
	if len(mac) == 20 {
		return net.HardwareAddr{0, 0xff, 0xff, 0xff, 0xff, 0x12, 0x40, 0x1b, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}
	}
	return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
}

func (s *packetSocket) send(b []byte) error {
	// x/sys knows addresses up to 8 bytes; InfiniBand has 20 and the kernel takes them.
	sa := make([]byte, 12+max(8, len(s.hw)))
	binary.NativeEndian.PutUint16(sa, unix.AF_PACKET)
	binary.BigEndian.PutUint16(sa[2:], s.proto)
	binary.NativeEndian.PutUint32(sa[4:], uint32(s.index))
	sa[11] = byte(len(s.hw))
	copy(sa[12:], s.hw)
	var serr error
	if err := s.rc.Write(func(fd uintptr) bool {
		serr = sys.SendTo(int(fd), b, sa)
		return !errors.Is(serr, unix.EAGAIN)
	}); err != nil {
		return err
	}
	return serr
}

func (s *packetSocket) read(b []byte) (int, error) {
	var n int
	var rerr error
	if err := s.rc.Read(func(fd uintptr) bool {
		n, _, rerr = unix.Recvfrom(int(fd), b, 0)
		return !errors.Is(rerr, unix.EAGAIN)
	}); err != nil {
		return 0, err
	}
	// ENETDOWN: the NIC was set down; the socket lives on.
	if errors.Is(rerr, unix.ENETDOWN) || errors.Is(rerr, unix.EINTR) {
		return 0, nil
	}
	return n, rerr
}

// waiting reads what has come already, whatever the deadline says.
func (s *packetSocket) waiting(b []byte) (n int, ok bool) {
	err := s.rc.Control(func(fd uintptr) {
		var rerr error
		n, _, rerr = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
		ok = rerr == nil
	})
	return n, ok && err == nil
}

func (s *packetSocket) deadline(t time.Time) { _ = s.f.SetReadDeadline(t) }

func (s *packetSocket) close() { s.f.Close() }

// ipUDP puts a payload into UDP and IPv4 packets, from port 68 of an address to
// everyone's port 67.
func ipUDP(payload []byte, from [4]byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	copy(b[12:], from[:])
	copy(b[16:], broadcast.AsSlice())
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b[:20])))
	binary.BigEndian.PutUint16(b[20:], 68)
	binary.BigEndian.PutUint16(b[22:], 67)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	b = append(b, payload...)
	udp := ^fold(sum(sum(unix.IPPROTO_UDP+uint32(8+len(payload)), b[12:20]), b[20:]))
	if udp == 0 {
		udp = 0xffff
	}
	binary.BigEndian.PutUint16(b[26:], udp)
	return b
}

// udpPayload takes the payload for port 68 out of an IPv4 packet. The sum of
// the UDP header is not looked at: on its way to a virtual NIC it is often not
// filled in yet.
func udpPayload(b []byte) ([]byte, bool) {
	if len(b) < 28 || b[0]>>4 != 4 {
		return nil, false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || total < head+8 || total > len(b) || b[9] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 || fold(sum(0, b[:head])) != 0xffff {
		return nil, false
	}
	u := b[head:total]
	n := int(binary.BigEndian.Uint16(u[4:]))
	if binary.BigEndian.Uint16(u[2:]) != 68 || n < 8 || n > len(u) {
		return nil, false
	}
	return u[8:n], true
}

func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

package net

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// shortLeases is a DHCP server whose leases end while a test waits, which those
// of the distribution's servers do not. It notes which messages came by unicast
// and which by broadcast.
type shortLeases struct {
	t     *testing.T
	out   net.PacketConn
	heard chan string // "REQUEST unicast"

	mu     sync.Mutex
	offers net.IP // nil: it is silent
}

const shortLease = 12 // seconds

func serveShort(t *testing.T, nic string, server, offers net.IP) *shortLeases {
	t.Helper()
	listen := func(addr string) net.PacketConn {
		lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
			var err error
			return errors.Join(rc.Control(func(fd uintptr) {
				err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
					unix.BindToDevice(int(fd), nic))
			}), err)
		}}
		c, err := lc.ListenPacket(context.Background(), "udp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := &shortLeases{t: t, heard: make(chan string, 256), offers: offers}
	unicast, broadcast := listen(server.String()+":67"), listen("255.255.255.255:67")
	s.out = unicast
	var wg sync.WaitGroup
	for how, c := range map[string]net.PacketConn{"unicast": unicast, "broadcast": broadcast} {
		wg.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				if p, err := dhcpv4.FromBytes(buf[:n]); err == nil {
					s.answer(p, how, from, server)
				}
			}
		})
	}
	t.Cleanup(func() { unicast.Close(); broadcast.Close(); wg.Wait() })
	return s
}

func (s *shortLeases) answer(p *dhcpv4.DHCPv4, how string, from net.Addr, server net.IP) {
	s.heard <- p.MessageType().String() + " " + how
	s.mu.Lock()
	offers := s.offers
	s.mu.Unlock()
	if offers == nil {
		return
	}
	kind := map[dhcpv4.MessageType]dhcpv4.MessageType{dhcpv4.MessageTypeDiscover: dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest: dhcpv4.MessageTypeAck}[p.MessageType()]
	if kind == dhcpv4.MessageTypeNone {
		return
	}
	r, err := dhcpv4.NewReplyFromRequest(p, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(offers), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithLeaseTime(shortLease), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server)))
	if err != nil {
		s.t.Error(err)
		return
	}
	if how == "broadcast" {
		from = &net.UDPAddr{IP: net.IPv4bcast, Port: 68}
	}
	if _, err := s.out.WriteTo(r.ToBytes(), from); err != nil {
		s.t.Logf("answer %s: %v", from, err)
	}
}

// say makes the server offer an address, or be silent.
func (s *shortLeases) say(offers net.IP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offers = offers
}

// hear waits for a message.
func (s *shortLeases) hear(what string) {
	s.t.Helper()
	end := time.After(2 * time.Minute)
	for {
		select {
		case h := <-s.heard:
			if h == what {
				return
			}
		case <-end:
			s.t.Fatalf("%s did not come", what)
		}
	}
}

// TestLeaseEnds: while the ramdisk waits for its root, the lease is renewed by
// unicast at T1; when the server is silent, by broadcast at T2; then it ends by the
// clock, and the address is gone; and there is a new one when the server is back.
func TestLeaseEnds(t *testing.T) {
	vmtest.AllOnly(t)
	s := vmtest.Direct(t, ramdisk(t), "root=LABEL=never rd.retry=1200 rd.debug ip=eth0:dhcp")
	s.Name = "lease-ends"
	s.NICs = make([]qemu.NIC, 1)
	first, second := net.IP{10, 77, 0, 50}, net.IP{10, 77, 0, 51}
	server := serveShort(t, "br0", net.ParseIP(vmtest.Addr()), first)
	v := vmtest.Boot(t, s)
	v.Expect(`lease 10\.77\.0\.50 on eth0`, boot)
	server.hear("DISCOVER broadcast")
	server.hear("REQUEST broadcast")
	answers(t, first.String(), true)
	server.hear("REQUEST unicast")
	v.Expect(`lease 10\.77\.0\.50/24 on eth0 renewed`, time.Minute)
	server.say(nil)
	server.hear("REQUEST broadcast")
	v.Expect(`the lease of 10\.77\.0\.50/24 on eth0 has ended`, time.Minute)
	answers(t, first.String(), false)
	server.hear("DISCOVER broadcast")
	server.say(second)
	v.Expect(`lease 10\.77\.0\.51 on eth0`, 2*time.Minute)
	answers(t, second.String(), true)
	answers(t, first.String(), false)
	v.PowerCut()
}

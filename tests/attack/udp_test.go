package attack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/ipv6"
)

// flood sends n packets that next makes, a few at a time, so that the
// server and not only its socket buffer gets them.
func (s *site) flood(t *testing.T, port, n int, next func(i int) []byte) {
	t.Helper()
	begin := time.Now()
	// Several sources: TFTP keeps something for each.
	var conns []*net.UDPConn
	for range 32 {
		c, err := s.guest.udp(port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	sent, size := 0, 0
	for i := range n {
		p := next(i)
		// A port that answers "unreachable" makes the next write fail: the
		// tests afterwards find that out.
		if _, err := conns[i%len(conns)].Write(p); err == nil {
			sent, size = sent+1, size+len(p)
		}
	}
	t.Logf("port %d: %d packets, %d KiB, in %v", port, sent, size>>10, time.Since(begin).Round(time.Millisecond))
	if sent < n/2 {
		t.Errorf("only %d of %d packets could be sent", sent, n)
	}
}

// mutate changes a packet as a broken network card or a fuzzer would.
func mutate(r *rand.Rand, p []byte) []byte {
	p = bytes.Clone(p)
	switch r.IntN(4) {
	case 0: // cut
		p = p[:r.IntN(len(p))]
	case 1: // longer
		p = append(p, randomBytes(r, r.IntN(900))...)
	default:
		for range 1 + r.IntN(12) {
			p[r.IntN(len(p))] = byte(r.Uint32())
		}
	}
	return p
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// dhcp makes a request of a PXE client.
func dhcp(t *testing.T, mac net.HardwareAddr, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	p, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName),
	}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask sends a DHCP request and waits for its answer; nil if there is none.
func (s *site) ask(t *testing.T, p *dhcpv4.DHCPv4, bound time.Duration) *dhcpv4.DHCPv4 {
	t.Helper()
	c, err := s.guest.udp(67)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 2048)
	for end := time.Now().Add(bound); time.Now().Before(end); {
		if _, err := c.Write(p.ToBytes()); err != nil {
			t.Fatal(err)
		}
		// Asked again as a client does: the flood may still fill the buffer.
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		reply, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			t.Fatalf("the server's answer: %v", err)
		}
		if reply.TransactionID == p.TransactionID {
			return reply
		}
	}
	return nil
}

// lease gets an address.
func (s *site) lease(t *testing.T, mac net.HardwareAddr) net.IP {
	t.Helper()
	offer := s.ask(t, dhcp(t, mac, dhcpv4.MessageTypeDiscover), time.Minute)
	if offer == nil || offer.MessageType() != dhcpv4.MessageTypeOffer {
		t.Fatalf("no offer for %v: %v", mac, offer)
	}
	ack := s.ask(t, dhcp(t, mac, dhcpv4.MessageTypeRequest,
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))), time.Minute)
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck {
		t.Fatalf("no lease for %v: %v", mac, ack)
	}
	return ack.YourIPAddr
}

func TestDHCPGarbage(t *testing.T) {
	s := start(t)
	r := rand.New(rand.NewPCG(1, 1))
	known := net.HardwareAddr{0x52, 0x54, 0, 0xd, 0, 1}
	had := s.lease(t, known)
	valid := [][]byte{
		dhcp(t, known, dhcpv4.MessageTypeDiscover).ToBytes(),
		dhcp(t, known, dhcpv4.MessageTypeInform).ToBytes(),
		dhcp(t, known, dhcpv4.MessageTypeDiscover, dhcpv4.WithUserClass("iPXE", false)).ToBytes(),
	}
	for _, port := range []int{67, 4011} {
		before := s.errors(t, "dhcp")
		s.flood(t, port, 3000, func(i int) []byte {
			if i%2 == 0 {
				return randomBytes(r, r.IntN(1400))
			}
			// Not a release of the known machine's lease: nobody proves who
			// he is in DHCP (docs/security.md).
			p := mutate(r, valid[i/2%len(valid)])
			if len(p) > 33 {
				p[28] = 0x03 // a group's address is nobody's hardware address
			}
			return p
		})
		s.counts(t, "dhcp", before, 100)
	}
	if now := s.lease(t, known); !now.Equal(had) {
		t.Errorf("a known machine's address changed from %v to %v", had, now)
	}
}

// The range runs dry: the log says so in a sentence, machines with a lease
// keep it, and it is refused to nobody else.
func TestDHCPStarvation(t *testing.T) {
	s := start(t)
	known := net.HardwareAddr{0x52, 0x54, 0, 0xd, 0, 2}
	had := s.lease(t, known)
	before := s.errors(t, "dhcp")
	s.flood(t, 67, 400, func(i int) []byte {
		return dhcp(t, net.HardwareAddr{0x52, 0x54, 1, 0xbb, byte(i >> 8), byte(i)}, dhcpv4.MessageTypeDiscover).ToBytes()
	})
	s.counts(t, "dhcp", before, 50)
	if reply := s.ask(t, dhcp(t, net.HardwareAddr{0x52, 0x54, 2, 0, 0, 1}, dhcpv4.MessageTypeDiscover), 2*time.Second); reply != nil {
		t.Errorf("an offer of %v, although the range is used up", reply.YourIPAddr)
	}
	b, err := os.ReadFile(s.dir + "/server.log")
	if err != nil {
		t.Fatal(err)
	}
	if want := "no address left in 10.77.0.100-10.77.0.139"; !bytes.Contains(b, []byte(want)) {
		t.Errorf("the log does not say %q", want)
	}
	if now := s.lease(t, known); !now.Equal(had) {
		t.Errorf("a known machine's address changed from %v to %v", had, now)
	}
	// Somebody else's address is not given on request either.
	nak := s.ask(t, dhcp(t, net.HardwareAddr{0x52, 0x54, 2, 0, 0, 3}, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(had))), time.Second)
	if nak != nil && nak.MessageType() == dhcpv4.MessageTypeAck {
		t.Errorf("%v was given to a second machine", had)
	}
}

// request makes a TFTP request packet.
func tftpRequest(op uint16, words ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, op)
	for _, w := range words {
		b = append(append(b, w...), 0)
	}
	return b
}

// tftp asks for a file and returns it, or the server's error.
func (s *site) tftp(t *testing.T, request []byte, bound time.Duration) ([]byte, error) {
	t.Helper()
	c, err := s.guest.udpFrom(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to := &net.UDPAddr{IP: net.ParseIP(serverAddr), Port: 69}
	var out []byte
	size, next := 512, uint16(1)
	send := request
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(bound); time.Now().Before(end); {
		if _, err := c.WriteToUDP(send, to); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, from, err := c.ReadFromUDP(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		to = from // a transfer has a port of its own
		if n < 4 {
			return out, fmt.Errorf("%d bytes in answer", n)
		}
		switch op, block := binary.BigEndian.Uint16(buf), binary.BigEndian.Uint16(buf[2:]); op {
		case 5:
			return out, fmt.Errorf("error %d: %s", block, bytes.TrimRight(buf[4:n], "\x00"))
		case 6: // options taken
			f := strings.Split(string(buf[2:n]), "\x00")
			for i := 0; i+1 < len(f); i += 2 {
				if strings.EqualFold(f[i], "blksize") {
					if _, err := fmt.Sscan(f[i+1], &size); err != nil || size < 8 || size > 65464 {
						return out, fmt.Errorf("the server takes blksize %q", f[i+1])
					}
				}
			}
			send = []byte{0, 4, 0, 0}
		case 3:
			if block == next {
				out = append(out, buf[4:n]...)
				next++
			}
			send = []byte{0, 4, buf[2], buf[3]}
			if n-4 < size {
				_, _ = c.WriteToUDP(send, to) // if it is lost, the server asks a few times
				return out, nil
			}
		default:
			return out, fmt.Errorf("opcode %d in answer", op)
		}
	}
	return out, os.ErrDeadlineExceeded
}

func TestTFTPGarbage(t *testing.T) {
	s := start(t)
	r := rand.New(rand.NewPCG(2, 2))
	valid := [][]byte{
		tftpRequest(1, "undionly.kpxe", "octet"),
		tftpRequest(1, "snponly.efi", "octet", "blksize", "1468", "tsize", "0"),
		tftpRequest(2, "undionly.kpxe", "octet"),
	}
	before := s.errors(t, "tftp")
	s.flood(t, 69, 3000, func(i int) []byte {
		if i%2 == 0 {
			return randomBytes(r, r.IntN(600))
		}
		return mutate(r, valid[i/2%len(valid)])
	})
	s.counts(t, "tftp", before, 100)

	t.Run("refused", func(t *testing.T) {
		for name, p := range map[string][]byte{
			"write":               tftpRequest(2, "undionly.kpxe", "octet"),
			"write a new file":    tftpRequest(2, "new", "octet"),
			"parent directory":    tftpRequest(1, "../secret.txt", "octet"),
			"beside":              tftpRequest(1, "secret.txt", "octet"),
			"by way of a program": tftpRequest(1, "undionly.kpxe/../secret.txt", "octet"),
			"absolute":            tftpRequest(1, s.dir+"/secret.txt", "octet"),
			"passwd":              tftpRequest(1, "/etc/passwd", "octet"),
			"backslashes":         tftpRequest(1, `..\secret.txt`, "octet"),
			"escaped":             tftpRequest(1, "%2e%2e/secret.txt", "octet"),
			"double slash":        tftpRequest(1, "//undionly.kpxe", "octet"),
			"directory":           tftpRequest(1, "/", "octet"),
			"empty":               tftpRequest(1, "", "octet"),
			"a dot":               tftpRequest(1, ".", "octet"),
			"the token":           tftpRequest(1, "../state/admin.token", "octet"),
			"long":                tftpRequest(1, strings.Repeat("a", 400), "octet"),
			"not text":            tftpRequest(1, "\xff\xfe\x01", "octet"),
			"boot set":            tftpRequest(1, "vmlinuz", "octet"),
		} {
			before := s.errors(t, "tftp")
			got, err := s.tftp(t, p, time.Minute)
			if err == nil || len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %d bytes, %v; want a refusal", name, len(got), err)
			}
			s.counted(t, name, "tftp", before)
		}
	})
	t.Run("block sizes", func(t *testing.T) {
		for _, size := range []string{"0", "-1", "1", "7", "8", "65464", "65465", "99999999999999999999", "abc", "", "1428 "} {
			got, err := s.tftp(t, tftpRequest(1, "snponly.efi", "octet", "blksize", size, "windowsize", "65535", "timeout", "255", "tsize", "-1"), time.Minute)
			if err == nil && !bytes.Equal(got, s.files["snponly.efi"]) {
				t.Errorf("blksize %q: %d bytes, not those of the file", size, len(got))
			}
			t.Logf("blksize %q: %d bytes, %v", size, len(got), err)
		}
	})
	got, err := s.tftp(t, valid[0], time.Minute)
	if err != nil || !bytes.Equal(got, s.files["undionly.kpxe"]) {
		t.Errorf("after all this a boot program: %d bytes, %v", len(got), err)
	}
}

// counted is counts for one error, without a line in the log.
func (s *site) counted(t *testing.T, what, door string, before int64) {
	t.Helper()
	if err := s.until(time.Minute, "an error at the door "+door, func() error {
		if s.errors(t, door) <= before {
			return errors.New("none was counted")
		}
		return nil
	}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// Router solicitations that are none, or come from another link.
func TestRouterGarbage(t *testing.T) {
	s := start(t)
	r := rand.New(rand.NewPCG(3, 3))
	var pc *ipv6.PacketConn
	err := s.guest.do(func() error {
		c, err := net.ListenPacket("ip6:ipv6-icmp", "fe80::2%eth0")
		if err != nil {
			return err
		}
		pc = ipv6.NewPacketConn(c)
		return pc.SetChecksum(true, 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	all := &net.IPAddr{IP: net.IPv6linklocalallrouters, Zone: "eth0"}
	before := s.errors(t, "ra")
	send := func(p []byte, hops int) {
		t.Helper()
		err := s.guest.do(func() error { // the zone's name belongs to that network
			_, err := pc.WriteTo(p, &ipv6.ControlMessage{HopLimit: hops}, all)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 500 {
		send(append([]byte{133, 0, 0, 0}, randomBytes(r, r.IntN(200))...), 255)
		send([]byte{133, 0, 0, 0, 0, 0, 0, 0}, 64) // by a router
	}
	s.counts(t, "ra", before, 100) // a busy kernel drops some
}

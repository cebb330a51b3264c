package netconf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
	"golang.org/x/sys/unix"

	"bareroot/internal/run/rtnl"
)

// answered makes of one of our packets an answer: to port 68.
func answered(payload []byte) []byte {
	b := ipUDP(payload, [4]byte{10, 1, 0, 9})
	binary.BigEndian.PutUint16(b[22:], 68)
	return b
}

func TestUDPPayload(t *testing.T) {
	change := func(at int, v byte) []byte {
		b := answered([]byte("hello"))
		b[at] = v
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want bool
	}{
		"an answer":                      {answered([]byte("hello")), true},
		"with padding of the link":       {append(answered([]byte("hello")), make([]byte, 20)...), true},
		"to port 67":                     {ipUDP([]byte("hello"), [4]byte{}), false},
		"IPv6":                           {change(0, 0x65), false},
		"TCP":                            {change(9, 6), false},
		"a wrong sum":                    {change(10, 1), false},
		"a header that is too long":      {change(0, 0x4f), false},
		"UDP that says it is longer":     {change(25, 200), false},
		"UDP shorter than its header":    {change(25, 7), false},
		"shorter than the IP header has": {answered([]byte("hello"))[:30], false},
		"nothing":                        {nil, false},
	} {
		got, ok := udpPayload(c.in)
		if ok != c.want || ok && string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

func TestARP(t *testing.T) {
	mine, other := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	a := netip.MustParseAddr("10.1.0.5")
	reply := func(op byte, mac net.HardwareAddr, sender, target string) []byte {
		b := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, mac...)
		b = append(b, netip.MustParseAddr(sender).AsSlice()...)
		return append(append(b, mine...), netip.MustParseAddr(target).AsSlice()...)
	}
	for name, c := range map[string]struct {
		in   []byte
		want bool
	}{
		"an answer":               {reply(2, other, "10.1.0.5", "0.0.0.0"), true},
		"an announcement":         {reply(1, other, "10.1.0.5", "10.1.0.5"), true},
		"somebody else probes it": {reply(1, other, "0.0.0.0", "10.1.0.5"), true},
		"our own probe":           {arpProbe(mine, a), false},
		"somebody asks for it":    {reply(1, other, "10.1.0.9", "10.1.0.5"), false},
		"about another address":   {reply(2, other, "10.1.0.6", "0.0.0.0"), false},
		"cut off":                 {reply(2, other, "10.1.0.5", "0.0.0.0")[:20], false},
		"nothing":                 {nil, false},
	} {
		if who, got := arpClaims(c.in, mine, a); got != c.want || got && who.String() != other.String() {
			t.Errorf("%s: %s, %v", name, who, got)
		}
	}
	if n := len(arpProbe(make(net.HardwareAddr, 20), a)); n != 8+2*20+8 {
		t.Errorf("InfiniBand's probe has %d bytes", n)
	}
}

// TestWaiting: what came before the deadline is there after it, too.
func TestWaiting(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	var s [2]*packetSocket
	for i, mac := range []string{mac0, mac1} {
		name := fmt.Sprintf("eth%d", i)
		w.plug(name, mac, "sw0")
		l, err := rtnl.ByName(name)
		if err == nil {
			err = rtnl.Set(l.Index, true)
		}
		if err != nil {
			t.Fatal(err)
		}
		if s[i], err = openPacket(name, l.Index, l.MAC, unix.ETH_P_ARP, nil); err != nil {
			t.Fatal(err)
		}
		defer s[i].close()
	}
	s[1].deadline(time.Unix(1, 0))
	b := make([]byte, 256)
	if _, ok := s[1].waiting(b); ok {
		t.Error("something came though nothing was sent")
	}
	probe := arpProbe(net.HardwareAddr{2, 0, 0, 0, 0, 0x10}, netip.MustParseAddr("10.1.0.5"))
	w.eventually("it came", func() bool {
		_ = s[0].send(probe) // the cable may not be there yet
		n, ok := s[1].waiting(b)
		return ok && bytes.HasPrefix(b[:n], probe)
	})
	if _, err := s[1].read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
}

// FuzzAnswer4 takes a packet from the wire as the client does. What is accepted
// must be fit for files and for the kernel.
func FuzzAnswer4(f *testing.F) {
	p, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithYourIP(net.IP{10, 1, 2, 3}), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IP{10, 1, 2, 1}),
		dhcpv4.WithLeaseTime(100), dhcpv4.WithOption(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"one.example"}})), dhcpv4.WithOption(dhcpv4.OptDomainName("one.example two.example")),
		dhcpv4.WithOption(dhcpv4.OptHostName("node")), dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{Dest: &net.IPNet{IP: net.IP{0, 0, 0, 0}, Mask: net.CIDRMask(0, 32)}, Router: net.IP{10, 1, 2, 1}})))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answered(p.ToBytes()))
	f.Add(answered([]byte("hello")))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, ok := udpPayload(b)
		if !ok {
			// Most bytes are no packet: the message itself is of interest, too.
			payload = b
		}
		p, err := parse4(payload)
		if err != nil {
			return
		}
		again, err := parse4(p.bytes())
		if d := cmp.Diff(meaning(p), meaning(again)); err != nil || d != "" {
			t.Errorf("read, written and read: %v %s", err, d)
		}
		l, err := leaseOf(p, time.Unix(0, 0))
		if err != nil {
			return
		}
		if !l.Address.IsValid() || !l.Address.Addr().Is4() || l.Duration < 0 || l.Duration > 0 && (l.T1 <= 0 || l.T2 <= l.T1 || l.T2 >= l.Duration) {
			t.Errorf("lease %+v", l)
		}
		for _, s := range append([]string{l.Domain, l.Host}, l.Search...) {
			if word(s) != s {
				t.Errorf("name %q", s)
			}
		}
		for _, r := range l.Routes {
			if !r.Dest.IsValid() || !r.Via.Is4() {
				t.Errorf("route %v", r)
			}
		}
		n := handed{name: "eth0", mac: mac0, four: l, byMAC: true}
		for _, f := range (handover{nics: []handed{n}, peerDNS: true}).networkd() {
			if bytes.ContainsRune([]byte(f.text), 0) {
				t.Errorf("%s has a NUL", f.path)
			}
		}
	})
}

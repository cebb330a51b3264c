package netconf

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// fakeServer answers like a DHCP server, as far as its switches allow.
type fakeServer struct {
	t       *testing.T
	in      chan message4
	start   time.Time
	heard   []string    // "1s DISCOVER *"
	deaf    int         // messages to drop first
	nak     int         // requests to refuse
	blank   int         // requests to acknowledge without an address
	silence atomic.Bool // answers nothing any more
	lease   time.Duration
	used    int // addresses that turn out to be in use
}

func (s *fakeServer) check(context.Context, netip.Addr) string {
	if s.used > 0 {
		s.used--
		return "02:00:00:00:00:99"
	}
	return ""
}

func (s *fakeServer) packets() <-chan message4 { return s.in }

// send reads what the client says with the library, and answers with it.
func (s *fakeServer) send(b []byte, dst netip.Addr) error {
	p, err := dhcpv4.FromBytes(b)
	if err != nil {
		s.t.Error(err)
		return err
	}
	to := dst.String()
	if dst == broadcast {
		to = "*"
	}
	s.heard = append(s.heard, time.Since(s.start).Round(10*time.Second).String()+" "+p.MessageType().String()+" "+to)
	if s.deaf > 0 {
		s.deaf--
		return nil
	}
	if s.silence.Load() || p.MessageType() == dhcpv4.MessageTypeDecline {
		return nil
	}
	kind := dhcpv4.MessageTypeOffer
	if p.MessageType() == dhcpv4.MessageTypeRequest {
		kind = dhcpv4.MessageTypeAck
		if s.nak > 0 {
			s.nak--
			kind = dhcpv4.MessageTypeNak
		}
	}
	yours := net.IP{192, 0, 2, 7}
	if s.blank > 0 && kind == dhcpv4.MessageTypeAck {
		s.blank--
		yours = net.IPv4zero
	}
	r, err := dhcpv4.NewReplyFromRequest(p, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(yours),
		dhcpv4.WithServerIP(net.IP{192, 0, 2, 1}), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IP{192, 0, 2, 254}),
		dhcpv4.WithLeaseTime(uint32(s.lease.Seconds())), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{192, 0, 2, 1})))
	if err != nil {
		s.t.Fatal(err)
	}
	stray := *r
	stray.TransactionID[0] ^= 1 // an answer to someone else comes first
	go func() { s.in <- library4(s.t, &stray); s.in <- library4(s.t, r) }()
	return nil
}

// play runs a client for d and returns what the server heard and what the
// client made of it.
func play(t *testing.T, s *fakeServer, d time.Duration, at map[time.Duration]func()) (heard, got []string) {
	synctest.Test(t, func(t *testing.T) {
		s.t, s.in, s.start = t, make(chan message4, 64), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		for when, f := range at {
			time.AfterFunc(when, f)
		}
		c := client4{conn: s, mac: net.HardwareAddr{2, 0, 0, 0, 0, 1}, debugf: func(string, ...any) {}, note: func(func() string) {}, check: s.check, onLease: func(l *Lease) {
			if l == nil {
				got = append(got, "lost")
			} else {
				got = append(got, l.Address.String())
			}
		}}
		c.run(ctx)
	})
	return s.heard, got
}

func TestLease(t *testing.T) {
	const disc, all, uni = "DISCOVER *", "REQUEST *", "REQUEST 192.0.2.1"
	quiet := &fakeServer{lease: 800 * time.Second}
	for name, c := range map[string]struct {
		s     *fakeServer
		d     time.Duration
		at    map[time.Duration]func()
		heard []string
		got   []string
	}{
		"at once": {s: &fakeServer{lease: time.Hour}, d: time.Minute, heard: []string{"0s " + disc, "0s " + all}, got: []string{"192.0.2.7/24"}},
		"lost packets are sent again": {s: &fakeServer{lease: time.Hour, deaf: 2}, d: time.Minute,
			heard: []string{"0s " + disc, "0s " + disc, "0s " + disc, "0s " + all}, got: []string{"192.0.2.7/24"}},
		"refused, then asked again": {s: &fakeServer{lease: time.Hour, nak: 1}, d: time.Minute,
			heard: []string{"0s " + disc, "0s " + all, "0s " + disc, "0s " + all}, got: []string{"192.0.2.7/24"}},
		"an acknowledgement of nothing is none": {s: &fakeServer{lease: time.Hour, blank: 2}, d: time.Minute,
			heard: []string{"0s " + disc, "0s " + all, "0s " + all, "0s " + all}, got: []string{"192.0.2.7/24"}},
		"address in use: declined, another asked for after 10 s": {s: &fakeServer{lease: time.Hour, used: 1}, d: time.Minute,
			heard: []string{"0s " + disc, "0s " + all, "0s DECLINE *", "10s " + disc, "10s " + all}, got: []string{"192.0.2.7/24"}},
		"endless lease": {s: &fakeServer{lease: forever}, d: 1000 * time.Hour, heard: []string{"0s " + disc, "0s " + all}, got: []string{"192.0.2.7/24"}},
		"renewed with its server at half time": {s: &fakeServer{lease: 800 * time.Second}, d: 900 * time.Second,
			heard: []string{"0s " + disc, "0s " + all, "6m40s " + uni, "13m20s " + uni}, got: []string{"192.0.2.7/24", "192.0.2.7/24", "192.0.2.7/24"}},
		"server gone: unicast, then everyone, then lost": {s: quiet, d: 805 * time.Second, at: map[time.Duration]func(){time.Second: func() { quiet.silence.Store(true) }},
			heard: []string{"0s " + disc, "0s " + all, "6m40s " + uni, "9m10s " + uni, "10m30s " + uni, "11m30s " + uni, "11m40s " + all, "12m40s " + all, "13m20s " + disc},
			got:   []string{"192.0.2.7/24", "lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			heard, got := play(t, c.s, c.d, c.at)
			if len(heard) > len(c.heard) && strings.Contains(name, "lost") {
				heard = heard[:len(c.heard)] // the search for a new server goes on
			}
			if d := cmp.Diff(c.heard, heard); d != "" {
				t.Errorf("heard: %s", d)
			}
			if d := cmp.Diff(c.got, got); d != "" {
				t.Errorf("got: %s", d)
			}
		})
	}
}

func TestLeaseOf(t *testing.T) {
	ack := func(m ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		p, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithYourIP(net.IP{10, 1, 2, 3})}, m...)...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	raw := func(code dhcpv4.OptionCode, b ...byte) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.Option{Code: code, Value: dhcpv4.OptionGeneric{Data: b}})
	}
	for name, c := range map[string]struct {
		in   *dhcpv4.DHCPv4
		want func(*Lease) bool
	}{
		"class mask without option 1": {ack(), func(l *Lease) bool { return l.Address.String() == "10.1.2.3/8" }},
		"small MTU is ignored":        {ack(raw(dhcpv4.OptionInterfaceMTU, 0x02, 0x40)), func(l *Lease) bool { return l.MTU == 0 }},
		"MTU":                         {ack(raw(dhcpv4.OptionInterfaceMTU, 0x23, 0x28)), func(l *Lease) bool { return l.MTU == 9000 }},
		"no lease time":               {ack(), func(l *Lease) bool { return l.Duration == time.Hour && l.T1 == 30*time.Minute }},
		"T1 after the end":            {ack(dhcpv4.WithLeaseTime(100), raw(dhcpv4.OptionRenewTimeValue, 0, 0, 9, 9)), func(l *Lease) bool { return l.T1 == 50*time.Second }},
		"a lease of 100 years":        {ack(dhcpv4.WithLeaseTime(100 * 365 * 86400)), func(l *Lease) bool { return l.T1 < l.T2 && l.T2 < l.Duration }},
		"zero lease time":             {ack(dhcpv4.WithLeaseTime(0)), func(l *Lease) bool { return l.Duration >= 10*time.Second }},
		"classless routes": {ack(raw(dhcpv4.OptionClasslessStaticRoute, 0, 10, 0, 0, 1, 16, 172, 16, 0, 0, 0, 0)), func(l *Lease) bool {
			return len(l.Routes) == 2 && l.Routes[0].Dest.Bits() == 0 && l.Routes[1].Via.IsUnspecified()
		}},
		"an address that is none": {ack(dhcpv4.WithYourIP(net.IP{0, 0, 0, 0})), nil},
		"a multicast address":     {ack(dhcpv4.WithYourIP(net.IP{224, 0, 0, 1})), nil},
	} {
		l, err := leaseOf(library4(t, c.in), time.Unix(0, 0))
		if (err == nil) != (c.want != nil) || (err == nil && !c.want(l)) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

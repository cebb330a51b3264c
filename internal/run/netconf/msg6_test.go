package netconf

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// TestMessage6 reads our messages with the library, and the library's with ours.
func TestMessage6(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0x10}
	c := client6{duid: duid("4c4c4544-0051-3510-8052-c4c04f4d3532", mac), iaid: [4]byte{0, 0, 0, 0x10}}
	m := c.message(request6, option6{optServerID, duid("", mac)}, option6{optIANA, association6(c.iaid, netip.MustParseAddr("fd01::5"))})
	d, err := dhcpv6.FromBytes(m.bytes())
	if err != nil {
		t.Fatal(err)
	}
	msg := d.(*dhcpv6.Message)
	if id, ok := msg.Options.ClientID().(*dhcpv6.DUIDUUID); !ok || fmt.Sprintf("%x", id.UUID) != "4c4c4544005135108052c4c04f4d3532" {
		t.Errorf("client %v", msg.Options.ClientID())
	}
	if id, ok := msg.Options.ServerID().(*dhcpv6.DUIDLL); !ok || id.LinkLayerAddr.String() != mac.String() || id.HWType != iana.HWTypeEthernet {
		t.Errorf("server %v", msg.Options.ServerID())
	}
	na := msg.Options.OneIANA()
	if msg.MessageType != dhcpv6.MessageTypeRequest || na.IaId != c.iaid || !na.Options.OneAddress().IPv6Addr.Equal(net.ParseIP("fd01::5")) || !msg.IsOptionRequested(dhcpv6.OptionDNSRecursiveNameServer) {
		t.Errorf("message %v", msg)
	}

	reply, err := dhcpv6.NewMessage(dhcpv6.WithServerID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: mac}), dhcpv6.WithIAID(c.iaid),
		dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("fd01::5"), PreferredLifetime: time.Hour, ValidLifetime: 2 * time.Hour}),
		dhcpv6.WithDNS(net.ParseIP("fd01::53")), dhcpv6.WithOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"one.example", "two.example"}})),
		dhcpv6.WithOption(dhcpv6.OptBootFileURL("http://[fd01::1]/boot")))
	if err != nil {
		t.Fatal(err)
	}
	reply.MessageType = dhcpv6.MessageTypeReply
	got, err := parse6(reply.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	l, err := leaseOf6(got, c.iaid, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if l.Address != prefix("fd01::5/128") || l.Duration != 2*time.Hour || l.preferred != time.Hour || l.T1 != time.Hour || l.BootFile != "http://[fd01::1]/boot" ||
		fmt.Sprint(l.DNS, l.Search) != "[fd01::53] [one.example two.example]" || !bytes.Equal(l.server, duid("", mac)) {
		t.Errorf("lease %+v", l)
	}
}

func TestRefusals6(t *testing.T) {
	id := [4]byte{1, 2, 3, 4}
	status := func(code byte, text string) option6 { return option6{optStatus, append([]byte{0, code}, text...)} }
	na := func(inner ...option6) option6 {
		return option6{optIANA, appendOptions6(append(id[:], 0, 0, 0, 0, 0, 0, 0, 0), inner)}
	}
	addr := func(a string, valid byte) option6 {
		return option6{optIAAddr, append(netip.MustParseAddr(a).AsSlice(), 0, 0, 0, valid, 0, 0, 0, valid)}
	}
	for name, c := range map[string]struct {
		opts []option6
		want string
	}{
		"no addresses":         {[]option6{na(status(2, "none\nleft"))}, "the server refused the address: no addresses to give (noneleft)"},
		"for the whole":        {[]option6{status(1, "")}, "the server refused the address: failure ()"},
		"unknown status":       {[]option6{status(99, "")}, "the server refused the address: status 99 ()"},
		"another's address":    {[]option6{{optIANA, appendOptions6([]byte{9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0}, []option6{addr("fd01::1", 60)})}}, "the server gave no address"},
		"an address of no use": {[]option6{na(addr("ff02::1", 60))}, "the server gave no address"},
		"an ended address":     {[]option6{na(addr("fd01::1", 0))}, "the server gave no address"},
		"success is none":      {[]option6{status(0, ""), na(addr("fd01::1", 60))}, ""},
		"cut off":              {[]option6{{optIANA, append(id[:], 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0)}}, errShort.Error()},
	} {
		_, err := leaseOf6(message6{opts: c.opts}, id, time.Now())
		if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// fake6 answers like a DHCPv6 server.
type fake6 struct {
	t       *testing.T
	in      chan packet6
	start   time.Time
	heard   []string
	rapid   bool
	blank   bool // its answers to renewals say nothing of the address
	silence func() bool
}

func (s *fake6) packets() <-chan packet6 { return s.in }

func (s *fake6) send(b []byte) error {
	d, err := dhcpv6.FromBytes(b)
	if err != nil {
		s.t.Fatal(err)
	}
	m := d.(*dhcpv6.Message)
	s.heard = append(s.heard, time.Since(s.start).Round(10*time.Second).String()+" "+m.MessageType.String())
	if s.silence() {
		return nil
	}
	kind := dhcpv6.MessageTypeReply
	var more []dhcpv6.Modifier
	if m.MessageType == dhcpv6.MessageTypeSolicit {
		kind = dhcpv6.MessageTypeAdvertise
		if s.rapid {
			kind = dhcpv6.MessageTypeReply
			more = append(more, dhcpv6.WithRapidCommit)
		}
	}
	if renewal := m.MessageType == dhcpv6.MessageTypeRenew || m.MessageType == dhcpv6.MessageTypeRebind; !s.blank || !renewal {
		more = append(more, dhcpv6.WithIAID(m.Options.OneIANA().IaId), dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("fd01::5"), PreferredLifetime: 400 * time.Second, ValidLifetime: 800 * time.Second}))
	}
	r, err := dhcpv6.NewMessage(append(more, dhcpv6.WithClientID(m.Options.ClientID()), dhcpv6.WithServerID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{1, 2, 3, 4, 5, 6}}))...)
	if err != nil {
		s.t.Fatal(err)
	}
	r.MessageType, r.TransactionID = kind, m.TransactionID
	p, err := parse6(r.ToBytes())
	if err != nil {
		s.t.Fatal(err)
	}
	stray := p
	stray.xid[0] ^= 1
	go func() {
		s.in <- packet6{stray, netip.IPv6Unspecified()}
		s.in <- packet6{p, netip.MustParseAddr("fe80::1")}
	}()
	return nil
}

func TestClient6(t *testing.T) {
	for name, c := range map[string]struct {
		rapid bool
		blank bool
		quiet time.Duration // the server is silent from then on
		d     time.Duration
		heard []string
		got   []string
	}{
		"four messages": {d: time.Minute, heard: []string{"0s SOLICIT", "0s REQUEST"}, got: []string{"fd01::5/128"}},
		"two messages":  {rapid: true, d: time.Minute, heard: []string{"0s SOLICIT"}, got: []string{"fd01::5/128"}},
		"renewed at T1": {rapid: true, d: 500 * time.Second, heard: []string{"0s SOLICIT", "6m40s RENEW"}, got: []string{"fd01::5/128", "fd01::5/128"}},
		"server gone: renew, then any, then lost":         {rapid: true, quiet: time.Second, d: 801 * time.Second, got: []string{"fd01::5/128", "lost"}},
		"answers without the address are asked for again": {rapid: true, blank: true, d: 799 * time.Second, heard: []string{"0s SOLICIT"}, got: []string{"fd01::5/128"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fake6{t: t, in: make(chan packet6, 64), start: time.Now(), rapid: c.rapid, blank: c.blank}
				s.silence = func() bool { return c.quiet > 0 && time.Since(s.start) > c.quiet }
				ctx, cancel := context.WithTimeout(t.Context(), c.d)
				defer cancel()
				var got []string
				cl := client6{conn: s, duid: duid("", net.HardwareAddr{2, 0, 0, 0, 0, 1}), debugf: func(string, ...any) {}, note: func(func() string) {}, onLease: func(l *lease6) bool {
					if l == nil {
						got = append(got, "lost")
					} else {
						got = append(got, l.Address.String())
					}
					return false
				}}
				cl.run(ctx)
				if d := cmp.Diff(c.got, got); d != "" {
					t.Error(d)
				}
				if c.blank { // from T1 on, ever more seldom
					if n := len(s.heard) - 1; n < 5 || n > 12 {
						t.Errorf("%d renewals: %q", n, s.heard)
					}
					s.heard = s.heard[:1]
				}
				if c.heard != nil {
					if d := cmp.Diff(c.heard, s.heard); d != "" {
						t.Error(d)
					}
					return
				}
				seen := map[string]bool{}
				for _, h := range s.heard {
					var at, what string
					if _, err := fmt.Sscan(h, &at, &what); err != nil {
						t.Fatal(err)
					}
					seen[what] = true
				}
				if !seen["RENEW"] || !seen["REBIND"] || s.heard[len(s.heard)-1] != "13m20s SOLICIT" {
					t.Errorf("heard %q", s.heard)
				}
			})
		})
	}
}

func TestRA(t *testing.T) {
	server := netip.MustParseAddr("fd01::53").AsSlice()
	rdnss := func(life byte) []byte { return append([]byte{25, 3, 0, 0, 0, 0, 0, life}, server...) }
	var o raOptions
	o.merge(parseRA(append(rdnss(60), []byte{31, 3, 0, 0, 0, 0, 0, 60, 3, 'o', 'n', 'e', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 0, 0}...)))
	if got := fmt.Sprint(o.dns, o.search); got != "[fd01::53] [one.example]" {
		t.Error(got)
	}
	o.merge(parseRA(rdnss(0)))
	if len(o.dns) != 0 {
		t.Errorf("a server that was taken back is still there: %v", o.dns)
	}
	if got := parseRA([]byte{25, 0, 0, 0, 0, 0, 0, 9}); len(got.dns) != 0 {
		t.Errorf("an option of length 0: %v", got)
	}
}

// FuzzMessage6: what is accepted is an address of use, for a time that makes sense.
func FuzzMessage6(f *testing.F) {
	id := [4]byte{0, 0, 0, 1}
	f.Add(message6{kind: reply6, opts: []option6{{optServerID, []byte{0, 3}}, {optDNS, make([]byte, 16)}, {optDomains, []byte{3, 'o', 'n', 'e', 0}},
		{optIANA, association6(id, netip.MustParseAddr("fd01::1"))}, {optNTP, []byte{0, 1, 0, 0}}}}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse6(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.bytes(), b) {
			t.Errorf("%x is written as %x", b, m.bytes())
		}
		l, err := leaseOf6(m, id, time.Unix(0, 0))
		if err != nil {
			return
		}
		if !l.Address.Addr().Is6() || l.Address.Addr().IsMulticast() || l.Duration < 0 || l.Duration > 0 && (l.T1 <= 0 || l.T2 < l.T1 || l.T2 > l.Duration) {
			t.Errorf("lease %+v", l)
		}
		for _, s := range l.Search {
			if word(s) != s {
				t.Errorf("search domain %q", s)
			}
		}
	})
}

// FuzzRA: options of an advertisement.
func FuzzRA(f *testing.F) {
	f.Add([]byte{31, 2, 0, 0, 0, 0, 0, 60, 3, 'o', 'n', 'e', 0, 0, 0, 0})
	f.Add(append([]byte{25, 3, 0, 0, 0, 0, 0, 60}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o raOptions
		o.merge(parseRA(b))
		for _, a := range o.dns {
			if a.IsUnspecified() || a.IsMulticast() {
				t.Errorf("server %s", a)
			}
		}
		for _, s := range o.search {
			if word(s) != s || s == "" {
				t.Errorf("domain %q", s)
			}
		}
	})
}

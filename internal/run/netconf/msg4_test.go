package netconf

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

const someUUID = "4c4c4544-0051-3510-8052-c4c04f4d3532"

// library4 is a message that the library wrote as ours reads it.
func library4(t *testing.T, p *dhcpv4.DHCPv4) message4 {
	t.Helper()
	m, err := parse4(p.ToBytes())
	if err != nil {
		t.Fatalf("%v: %s", err, p.Summary())
	}
	return m
}

// meaning is what of a message counts, for comparison.
func meaning(m message4) string {
	return fmt.Sprint(m.op, m.hardware, m.xid, m.secs, m.flags, m.client, m.yours, m.next, m.mac, m.opts)
}

// TestMessage4 reads our messages with the library.
func TestMessage4(t *testing.T) {
	read := func(m message4) *dhcpv4.DHCPv4 {
		t.Helper()
		p, err := dhcpv4.FromBytes(m.bytes())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	c := client4{mac: net.HardwareAddr{2, 0, 0, 0, 0, 0x10}, host: "node7", uuid: someUUID}
	m := c.message(request4, option4{optRequested, []byte{10, 1, 0, 5}}, option4{optServer4, []byte{10, 1, 0, 1}})
	m.client, m.secs = netip.MustParseAddr("10.1.0.5"), 3
	p := read(m)
	if p.OpCode != dhcpv4.OpcodeBootRequest || p.HWType != iana.HWTypeEthernet || p.MessageType() != dhcpv4.MessageTypeRequest || p.ClientHWAddr.String() != mac0 ||
		p.NumSeconds != 3 || p.IsBroadcast() || p.TransactionID != m.xid || p.ClientIPAddr.String() != "10.1.0.5" || p.RequestedIPAddress().String() != "10.1.0.5" ||
		p.ServerIdentifier().String() != "10.1.0.1" || p.HostName() != "node7" || p.ClassIdentifier() != "bareroot" {
		t.Errorf("%s", p.Summary())
	}
	if got := hex.EncodeToString(p.Options.Get(dhcpv4.OptionClientIdentifier)); got != "01020000000010" {
		t.Errorf("client identifier %s", got)
	}
	if got := hex.EncodeToString(p.Options.Get(dhcpv4.OptionClientMachineIdentifier)); got != "0044454c4c510010358052c4c04f4d3532" {
		t.Errorf("machine identifier %s", got)
	}
	for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionClientSystemArchitectureType, dhcpv4.OptionClientNetworkInterfaceIdentifier, dhcpv4.OptionUserClassInformation} {
		if p.Options.Has(o) {
			t.Errorf("%s would make a server take us for firmware", o)
		}
	}
	for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionRootPath, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionVendorSpecificInformation} {
		if !p.IsOptionRequested(o) {
			t.Errorf("%s is not asked for", o)
		}
	}
	if n := len(m.bytes()); n < least4 {
		t.Errorf("%d bytes", n)
	}
	for _, none := range []string{"", "none", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"} {
		c := client4{mac: c.mac, uuid: none, class: string(bytes.Repeat([]byte("long"), 100))}
		if p := read(c.message(discover4)); p.Options.Has(dhcpv4.OptionClientMachineIdentifier) || len(p.ClassIdentifier()) != 400 {
			t.Errorf("UUID %q: %s", none, p.Summary())
		}
	}
	if p := read(c.message(decline4)); p.Options.Has(dhcpv4.OptionParameterRequestList) || p.Options.Has(dhcpv4.OptionMaximumDHCPMessageSize) {
		t.Errorf("a decline with what RFC 2131 table 5 forbids: %s", p.Summary())
	}
}

// TestParse4 reads the library's messages, and what it does not write.
func TestParse4(t *testing.T) {
	p, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 0x10}), dhcpv4.WithYourIP(net.IP{10, 1, 2, 3}), dhcpv4.WithServerIP(net.IP{10, 1, 2, 9}),
		dhcpv4.WithNetmask(net.CIDRMask(20, 32)), dhcpv4.WithRouter(net.IP{10, 1, 2, 1}, net.IP{10, 1, 2, 2}), dhcpv4.WithLeaseTime(100), dhcpv4.WithDNS(net.IP{10, 1, 2, 5}, net.IP{10, 1, 2, 6}),
		dhcpv4.WithOption(dhcpv4.OptNTPServers(net.IP{10, 1, 2, 7})), dhcpv4.WithOption(dhcpv4.OptHostName("node")), dhcpv4.WithOption(dhcpv4.OptDomainName("one.example two.example")),
		dhcpv4.WithOption(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"three.example", "four.example"}})), dhcpv4.WithOption(dhcpv4.OptRootPath("nfs:10.1.2.8:/srv")),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{10, 1, 2, 4})), dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(
			&dhcpv4.Route{Dest: &net.IPNet{IP: net.IP{10, 128, 0, 0}, Mask: net.CIDRMask(9, 32)}, Router: net.IP{10, 1, 2, 1}},
			&dhcpv4.Route{Dest: &net.IPNet{IP: net.IP{0, 0, 0, 0}, Mask: net.CIDRMask(0, 32)}, Router: net.IP{10, 1, 2, 2}})))
	if err != nil {
		t.Fatal(err)
	}
	p.BootFileName = "boot.img"
	l, err := leaseOf(library4(t, p), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSpace(fmt.Sprintln(l.Address, l.Server, l.NextServ, l.Gateway, l.DNS, l.NTP, l.Routes, l.Host, l.Domain, l.Search, l.RootPath, l.BootFile, l.Duration))
	want := "10.1.2.3/20 10.1.2.4 10.1.2.9 10.1.2.1 [10.1.2.5 10.1.2.6] [10.1.2.7] [{10.128.0.0/9 10.1.2.1} {0.0.0.0/0 10.1.2.2}] node one.example [two.example three.example four.example] nfs:10.1.2.8:/srv boot.img 1m40s"
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !bytes.Equal(l.Packet, p.ToBytes()) {
		t.Error("the packet was not kept as it came")
	}

	// A name in two halves, the rest in the fields file and sname, no end mark.
	b := message4{op: answer4, yours: netip.MustParseAddr("10.1.2.3"), file: "x", opts: []option4{{optKind, []byte{ack4}}, {optOverload, []byte{3}}}}.bytes()
	copy(b[file4:], []byte{optHost, 2, 'n', 'o', optDomain, 1, 'd', optEnd})
	copy(b[serverName4:], []byte{optPad, optHost, 2, 'd', 'e', optEnd})
	m, err := parse4(b[:options4+6])
	if err != nil || string(m.get(optHost)) != "node" || string(m.get(optDomain)) != "d" || m.file != "" {
		t.Errorf("%v %+v", err, m)
	}
	for name, b := range map[string][]byte{
		"nothing":                    nil,
		"no mark":                    make([]byte, 300),
		"a long hardware address":    append([]byte{2, 1, 17}, b[3:]...),
		"an option that is cut off":  b[:options4+2],
		"an option that is too long": append(b[:options4:options4], optHost, 9, 'n'),
	} {
		if m, err := parse4(b); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestDomains(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"two":                          {"\x03one\x07example\x00\x03two\x00", "[one.example two]"},
		"compressed":                   {"\x03one\x07example\x00\x03two\xc0\x04\x05three\xc0\x04", "[one.example two.example three.example]"},
		"a pointer to itself":          {"\xc0\x00", "[]"},
		"a pointer forward":            {"\x01a\xc0\x04\x01b\x00", "[]"},
		"a ring":                       {"\x01a\x00\x01b\xc0\x03", "[a]"},
		"over the pointer's own place": {"\x03one\x00\x01a\xc0\x00\x01b\x00", "[one a.one b]"},
		"padding":                      {"\x01a\x00\x00\x00\x00", "[a]"},
		"cut off":                      {"\x01a\x00\x05b", "[a]"},
		"no name":                      {"\x03a b\x00\x01c\x00", "[c]"},
	} {
		if got := fmt.Sprint(domains([]byte(c.in))); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestInfiniBand: no address of the link in the message, an identifier, and
// answers by broadcast (RFC 4390). Only the messages are tested: there was no
// such NIC.
func TestInfiniBand(t *testing.T) {
	mac := append(net.HardwareAddr{0x80, 0, 2, 8, 0xfe, 0x80, 0, 0, 0, 0, 0, 0}, 0, 0x11, 0x75, 0, 0, 0x12, 0x34, 0x56)
	c := client4{mac: mac}
	p, err := dhcpv4.FromBytes(c.message(discover4).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !p.IsBroadcast() || p.HWType != iana.HWTypeInfiniband || len(p.ClientHWAddr) != 0 {
		t.Errorf("%s", p.Summary())
	}
	// RFC 4361: type 255, the last four bytes as IAID, a DUID of the link-layer address of type 32.
	want := append(append([]byte{0xff, 0, 0x12, 0x34, 0x56}, 0, 3, 0, 32), mac...)
	want[1] = mac[16]
	if got := p.Options.Get(dhcpv4.OptionClientIdentifier); !bytes.Equal(got, want) {
		t.Errorf("client identifier %x, want %x", got, want)
	}
	if got := duid("", mac); !bytes.Equal(got, want[5:]) {
		t.Errorf("DUID %x", got)
	}
	if b := broadcastHW(mac); len(b) != 20 {
		t.Errorf("broadcast address %s", b)
	}
	// Its answer has no address of the link either.
	r, err := dhcpv4.NewReplyFromRequest(p, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithYourIP(net.IP{10, 1, 0, 5}))
	if err != nil {
		t.Fatal(err)
	}
	m := library4(t, r)
	if m.hardware != hardwareIB || len(m.mac) != 0 || m.xid != p.TransactionID {
		t.Errorf("answer %+v", m)
	}
	if got := arpProbe(mac, netip.MustParseAddr("10.1.0.5")); got[1] != hardwareIB || got[4] != 20 {
		t.Errorf("ARP probe %x", got)
	}
}

package netboot

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

var (
	testMAC   = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}
	otherMAC  = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 2}
	serverIP  = netip.MustParseAddr("10.77.0.1")
	testPtr   = Pointers{Addr: serverIP, Script: "http://10.77.0.1:8080/boot/ipxe", Programs: map[iana.Arch]string{iana.INTEL_X86PC: "undionly.kpxe", iana.EFI_X86_64: "snponly.efi", iana.EFI_BC: "snponly.efi"}}
	testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// packet is a request as firmware sends it.
func packet(t testing.TB, mac net.HardwareAddr, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	p, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind), dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4})}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	back, err := parse(p.ToBytes()) // as it comes from the wire
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func pxe(arch iana.Arch) dhcpv4.Modifier {
	return func(p *dhcpv4.DHCPv4) {
		p.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001"))
		p.UpdateOption(dhcpv4.OptClientArch(arch))
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, make([]byte, 16)...)))
		p.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName))
	}
}

func ipxe(p *dhcpv4.DHCPv4) {
	pxe(iana.EFI_X86_64)(p)
	p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE")))
	p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionEtherboot, []byte{177, 5, 1, 0x80, 0x86, 0x10, 0x0e}))
}

func httpBoot(p *dhcpv4.DHCPv4) {
	p.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003000"))
	p.UpdateOption(dhcpv4.OptClientArch(iana.EFI_X86_64_HTTP))
}

func serverID(a string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(a)))
}

func wants(a string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(a)))
}

// answer is what matters of a reply.
type answer struct {
	Type, Addr, File, Class, Opt67 string
	Next                           string // siaddr
	PXE, NoProxy                   bool
}

func brief(p *dhcpv4.DHCPv4) *answer {
	if p == nil {
		return nil
	}
	a := &answer{Type: p.MessageType().String(), File: p.BootFileName, Class: p.ClassIdentifier(), Opt67: p.BootFileNameOption(),
		PXE: p.Options.Has(dhcpv4.OptionVendorSpecificInformation), NoProxy: p.Options.Has(dhcpv4.OptionEtherboot)}
	if x := fromIP(p.YourIPAddr); x.IsValid() {
		a.Addr = x.String()
	}
	if x := fromIP(p.ServerIPAddr); x.IsValid() {
		a.Next = x.String()
	}
	return a
}

func TestProxy(t *testing.T) {
	d, r, i := dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform
	script := testPtr.Script
	cases := map[string]struct {
		req  *dhcpv4.DHCPv4
		port int
		want *answer
	}{
		"plain client":            {packet(t, testMAC, d), 67, nil},
		"bios":                    {packet(t, testMAC, d, pxe(iana.INTEL_X86PC)), 67, &answer{Type: "OFFER", File: "undionly.kpxe", Opt67: "undionly.kpxe", Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"uefi":                    {packet(t, testMAC, d, pxe(iana.EFI_X86_64)), 67, &answer{Type: "OFFER", File: "snponly.efi", Opt67: "snponly.efi", Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"uefi arch 9":             {packet(t, testMAC, d, pxe(iana.EFI_BC)), 67, &answer{Type: "OFFER", File: "snponly.efi", Opt67: "snponly.efi", Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"arm without a program":   {packet(t, testMAC, d, pxe(iana.EFI_ARM64)), 67, nil},
		"ipxe":                    {packet(t, testMAC, d, ipxe), 67, &answer{Type: "OFFER", File: script, Opt67: script, Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"http boot, a later seam": {packet(t, testMAC, d, httpBoot), 67, nil},
		"request to another":      {packet(t, testMAC, r, pxe(iana.EFI_X86_64), serverID("10.77.0.2"), wants("10.77.0.50")), 67, nil},
		"request to us":           {packet(t, testMAC, r, ipxe, serverID("10.77.0.1")), 67, &answer{Type: "ACK", File: script, Opt67: script, Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"request on 4011":         {packet(t, testMAC, r, pxe(iana.EFI_X86_64)), 4011, &answer{Type: "ACK", File: "snponly.efi", Opt67: "snponly.efi", Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"inform on 4011":          {packet(t, testMAC, i, pxe(iana.INTEL_X86PC)), 4011, &answer{Type: "ACK", File: "undionly.kpxe", Opt67: "undionly.kpxe", Class: "PXEClient", Next: "10.77.0.1", PXE: true}},
		"inform on 67":            {packet(t, testMAC, i, pxe(iana.INTEL_X86PC)), 67, nil},
		"discover on 4011":        {packet(t, testMAC, d, pxe(iana.INTEL_X86PC)), 4011, nil},
		"release":                 {packet(t, testMAC, dhcpv4.MessageTypeRelease, ipxe), 67, nil},
	}
	p := &Proxy{testPtr}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := p.Reply(tc.req, tc.port)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, brief(got)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if got != nil && got.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
				t.Error("a proxy gave a lease")
			}
		})
	}
}

func newAuth(t *testing.T, file string, now *time.Time) *Authoritative {
	t.Helper()
	pool, err := NewPool(PoolConfig{First: netip.MustParseAddr("10.77.0.100"), Last: netip.MustParseAddr("10.77.0.102"), TTL: time.Hour, File: file,
		Reserved: []netip.Addr{netip.MustParseAddr("10.77.0.101")}, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return &Authoritative{Pointers: testPtr, Prefix: netip.MustParsePrefix("10.77.0.1/24"), Router: netip.MustParseAddr("10.77.0.254"), DNS: []netip.Addr{netip.MustParseAddr("10.77.0.253")}, Pool: pool}
}

func TestAuthoritative(t *testing.T) {
	now := testStart
	a := newAuth(t, "", &now)
	ask := func(req *dhcpv4.DHCPv4) *answer {
		t.Helper()
		got, err := a.Reply(req, 67)
		if err != nil {
			t.Fatal(err)
		}
		return brief(got)
	}
	check := func(what string, got, want *answer) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got:\n%s", what, d)
		}
	}
	d, r := dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
	check("firmware discovers", ask(packet(t, testMAC, d, pxe(iana.EFI_X86_64), wants("10.77.0.100"))), &answer{Type: "OFFER", Addr: "10.77.0.100", File: "snponly.efi", Opt67: "snponly.efi", Next: "10.77.0.1"})
	check("firmware requests", ask(packet(t, testMAC, r, pxe(iana.EFI_X86_64), wants("10.77.0.100"), serverID("10.77.0.1"))), &answer{Type: "ACK", Addr: "10.77.0.100", File: "snponly.efi", Opt67: "snponly.efi", Next: "10.77.0.1"})
	check("ipxe, other client identifier, same address", ask(packet(t, testMAC, d, ipxe, dhcpv4.WithOption(dhcpv4.OptClientIdentifier([]byte{0, 9, 9})))), &answer{Type: "OFFER", Addr: "10.77.0.100", File: testPtr.Script, Opt67: testPtr.Script, Next: "10.77.0.1", NoProxy: true})
	check("the system, after a reboot (init-reboot)", ask(packet(t, testMAC, r, wants("10.77.0.100"))), &answer{Type: "ACK", Addr: "10.77.0.100"})
	check("another asks for a taken address", ask(packet(t, otherMAC, r, wants("10.77.0.100"))), &answer{Type: "NAK"})
	check("another gets the one that is left", ask(packet(t, otherMAC, d, wants("10.77.0.100"))), &answer{Type: "OFFER", Addr: "10.77.0.102"})
	check("outside the range", ask(packet(t, otherMAC, r, wants("10.99.0.5"))), &answer{Type: "NAK"})
	check("reserved", ask(packet(t, otherMAC, r, wants("10.77.0.101"))), &answer{Type: "NAK"})
	check("inform", ask(packet(t, otherMAC, dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(net.IPv4(10, 77, 0, 9)))), &answer{Type: "ACK"})
	check("by a relay", ask(packet(t, otherMAC, d, dhcpv4.WithGatewayIP(net.IPv4(10, 1, 1, 1)))), nil)
	check("took another server's offer", ask(packet(t, otherMAC, r, serverID("10.77.0.2"), wants("10.77.0.102"))), nil)

	third := net.HardwareAddr{2, 0, 0, 0, 0, 3}
	check("that offer is free again", ask(packet(t, third, d)), &answer{Type: "OFFER", Addr: "10.77.0.102"})
	if got, err := a.Reply(packet(t, otherMAC, d), 67); err == nil {
		t.Errorf("an empty pool gave %v", brief(got))
	}
	check("the client finds the address in use", ask(packet(t, third, dhcpv4.MessageTypeDecline, wants("10.77.0.102"), serverID("10.77.0.1"))), nil)
	check("release", ask(packet(t, testMAC, dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(net.IPv4(10, 77, 0, 100)))), nil)
	check("the released one is given", ask(packet(t, third, d)), &answer{Type: "OFFER", Addr: "10.77.0.100"})
	now = now.Add(declineTime + time.Second)
	check("the declined one has rested", ask(packet(t, otherMAC, r, wants("10.77.0.102"))), &answer{Type: "ACK", Addr: "10.77.0.102"})
	now = now.Add(30 * time.Minute)
	check("renewal", ask(packet(t, otherMAC, r, dhcpv4.WithClientIP(net.IPv4(10, 77, 0, 102)))), &answer{Type: "ACK", Addr: "10.77.0.102"})

	reply, err := a.Reply(packet(t, otherMAC, d), 67)
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.IPAddressLeaseTime(0); got != time.Hour {
		t.Errorf("lease time %s", got)
	}
	if m := reply.SubnetMask(); m.String() != "ffffff00" || reply.Router()[0].String() != "10.77.0.254" || reply.DNS()[0].String() != "10.77.0.253" {
		t.Errorf("mask %s, router %s, DNS %s", m, reply.Router(), reply.DNS())
	}
	if reply.TransactionID != (dhcpv4.TransactionID{1, 2, 3, 4}) || reply.OpCode != dhcpv4.OpcodeBootReply || !reply.ServerIdentifier().Equal(net.IPv4(10, 77, 0, 1)) {
		t.Errorf("header: %s", reply.Summary())
	}
}

// A server that was killed must not give an address to a second machine.
func TestPoolSurvives(t *testing.T) {
	now := testStart
	file := filepath.Join(t.TempDir(), "leases.json")
	a := newAuth(t, file, &now)
	if !a.Pool.Take("52:54:00:77:00:01", netip.MustParseAddr("10.77.0.100")) {
		t.Fatal("not taken")
	}
	if err := a.Pool.Err(); err != nil {
		t.Fatal(err)
	}
	b := newAuth(t, file, &now)
	if d := cmp.Diff(a.Pool.Leases(), b.Pool.Leases(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if b.Pool.Take("52:54:00:77:00:02", netip.MustParseAddr("10.77.0.100")) {
		t.Error("the address was given twice")
	}
	now = now.Add(2 * time.Hour)
	if c := newAuth(t, file, &now); len(c.Pool.Leases()) != 0 || !c.Pool.Take("52:54:00:77:00:02", netip.MustParseAddr("10.77.0.100")) {
		t.Error("an expired lease is held")
	}
}

func TestDestination(t *testing.T) {
	zero, client := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("10.77.0.55:4011")
	ack, nak := dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak
	cases := map[string]struct {
		relay net.IP
		reply dhcpv4.MessageType
		peer  netip.AddrPort
		want  string
	}{
		"no address yet":  {nil, ack, zero, "255.255.255.255:68"},
		"has an address":  {nil, ack, client, "10.77.0.55:4011"},
		"refused":         {nil, nak, client, "255.255.255.255:68"},
		"through a relay": {net.IPv4(10, 1, 1, 1), ack, netip.MustParseAddrPort("10.1.1.1:67"), "10.1.1.1:67"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req := packet(t, testMAC, dhcpv4.MessageTypeRequest, dhcpv4.WithGatewayIP(tc.relay))
			reply := packet(t, testMAC, tc.reply)
			if got := destination(req, reply, tc.peer); got.String() != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestUserClassForms(t *testing.T) {
	for name, tc := range map[string]struct {
		opt  []byte
		want kind
	}{
		"as iPXE sends it":  {[]byte("iPXE"), kindIPXE},
		"RFC 3004":          {[]byte("\x04iPXE"), kindIPXE},
		"RFC 3004, second":  {[]byte("\x03foo\x04iPXE"), kindIPXE},
		"another":           {[]byte("\x03foo"), kindPXE},
		"length beyond end": {[]byte("\xffiPXE"), kindPXE},
		"zero lengths":      {[]byte{0, 0, 0}, kindPXE},
	} {
		t.Run(name, func(t *testing.T) {
			p := packet(t, testMAC, dhcpv4.MessageTypeDiscover, pxe(0), dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, tc.opt)))
			if got := identify(p).Kind; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func FuzzDHCP(f *testing.F) {
	f.Add([]byte{}, true)
	for _, m := range []dhcpv4.Modifier{pxe(0), ipxe, httpBoot, wants("10.77.0.100"), serverID("10.77.0.1")} {
		f.Add(packet(f, testMAC, dhcpv4.MessageTypeDiscover, m).ToBytes(), true)
		f.Add(packet(f, testMAC, dhcpv4.MessageTypeRequest, m).ToBytes(), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, sixtySeven bool) {
		req, err := parse(b)
		if err != nil {
			return
		}
		port := 4011
		if sixtySeven {
			port = 67
		}
		now := testStart
		for _, h := range []DHCPHandler{&Proxy{testPtr}, newAuth(t, "", &now)} {
			reply, err := h.Reply(req, port)
			if err != nil || reply == nil {
				continue
			}
			if _, err := dhcpv4.FromBytes(reply.ToBytes()); err != nil {
				t.Fatalf("our own reply does not parse: %v", err)
			}
			a := fromIP(reply.YourIPAddr)
			if a.IsValid() && (a.Less(netip.MustParseAddr("10.77.0.100")) || netip.MustParseAddr("10.77.0.102").Less(a)) {
				t.Fatalf("gave %s", a)
			}
		}
	})
}

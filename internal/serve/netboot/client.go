package netboot

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// kind of DHCP client.
type kind int

const (
	kindPlain kind = iota // an operating system: wants an address only
	kindPXE               // firmware's PXE: wants a boot program by TFTP
	kindIPXE              // iPXE: wants a script
	kindHTTP              // firmware's HTTP boot
)

func (k kind) String() string { return [...]string{"plain", "pxe", "ipxe", "http"}[k] }

// client is what a DHCP packet says about who sent it.
type client struct {
	Kind kind
	Arch iana.Arch // option 93, PC/AT BIOS if absent
}

// identify looks for iPXE first: it also calls itself PXEClient, in BIOS and
// in UEFI.
func identify(p *dhcpv4.DHCPv4) client {
	var c client
	if a := p.ClientArch(); len(a) > 0 {
		c.Arch = a[0]
	}
	class := p.ClassIdentifier()
	switch {
	case p.Options.Has(dhcpv4.OptionEtherboot), hasUserClass(p, "iPXE"):
		c.Kind = kindIPXE
	case strings.HasPrefix(class, "PXEClient"):
		c.Kind = kindPXE
	case strings.HasPrefix(class, "HTTPClient"):
		c.Kind = kindHTTP
	}
	return c
}

// hasUserClass reads option 77 both as RFC 3004 has it (length, bytes) and as
// iPXE sends it (bytes only).
func hasUserClass(p *dhcpv4.DHCPv4, want string) bool {
	b := p.Options.Get(dhcpv4.OptionUserClassInformation)
	if string(b) == want {
		return true
	}
	for len(b) > 0 && int(b[0]) < len(b) {
		n := int(b[0])
		if string(b[1:1+n]) == want {
			return true
		}
		b = b[1+n:]
	}
	return false
}

// Pointers is what this server tells boot clients of one network.
type Pointers struct {
	Addr     netip.Addr           // this server, as that network sees it
	Script   string               // URL of the boot script, for iPXE
	Programs map[iana.Arch]string // file names for TFTP
}

// bootFile is the boot file for c. An architecture without a program, and
// HTTP boot (a later seam), are no boot file.
func (p *Pointers) bootFile(c client) (string, bool) {
	switch c.Kind {
	case kindIPXE:
		return p.Script, p.Script != ""
	case kindPXE:
		name, ok := p.Programs[c.Arch]
		return name, ok
	}
	return "", false
}

// Problems of a packet that makes it garbage.
var errNotRequest = fmt.Errorf("not a DHCP request from an ethernet client")

// parse reads a packet from the wire and refuses what no client sends.
func parse(b []byte) (*dhcpv4.DHCPv4, error) {
	p, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("parse DHCP packet of %d bytes: %w", len(b), err)
	}
	if p.OpCode != dhcpv4.OpcodeBootRequest || len(p.ClientHWAddr) != 6 || p.ClientHWAddr[0]&1 != 0 || p.MessageType() == dhcpv4.MessageTypeNone {
		return nil, errNotRequest
	}
	return p, nil
}

// newReply starts an answer to req: addresses empty, server identifier set,
// options 97 and 61 echoed as RFC 4578 and RFC 6842 ask.
func newReply(req *dhcpv4.DHCPv4, t dhcpv4.MessageType, server netip.Addr) (*dhcpv4.DHCPv4, error) {
	return dhcpv4.New(
		dhcpv4.WithReply(req),
		dhcpv4.WithMessageType(t),
		dhcpv4.WithGatewayIP(req.GatewayIPAddr),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server.AsSlice())),
		dhcpv4.WithOptionCopied(req, dhcpv4.OptionClientMachineIdentifier),
		dhcpv4.WithOptionCopied(req, dhcpv4.OptionClientIdentifier),
		dhcpv4.WithOptionCopied(req, dhcpv4.OptionRelayAgentInformation),
	)
}

// point adds the boot file to reply: in the header, where every firmware
// looks, and as options 66 and 67 when asked for or when a URL.
func (p *Pointers) point(reply, req *dhcpv4.DHCPv4, file string) {
	reply.ServerIPAddr = p.Addr.AsSlice()
	reply.BootFileName = file
	if strings.Contains(file, "://") || req.IsOptionRequested(dhcpv4.OptionBootfileName) {
		reply.UpdateOption(dhcpv4.OptBootFileName(file))
	}
	if req.IsOptionRequested(dhcpv4.OptionTFTPServerName) {
		reply.UpdateOption(dhcpv4.OptTFTPServerName(p.Addr.String()))
	}
}

package netboot

import (
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// pxeDirect is option 43 with PXE_DISCOVERY_CONTROL = 8 (sub-option 6): use
// the boot file of this very packet, no boot server discovery; then the end
// mark. Without it some firmware shows an empty menu.
var pxeDirect = []byte{6, 1, 8, 255}

// Proxy answers PXE clients beside the network's own DHCP server and never
// gives an address (PXE 2.1, section 2.2.3).
type Proxy struct {
	Pointers
}

// Reply is the answer to req, which arrived on port (67 or 4011), or nil.
func (p *Proxy) Reply(req *dhcpv4.DHCPv4, port int) (*dhcpv4.DHCPv4, error) {
	c := identify(req)
	file, ok := p.bootFile(c)
	if !ok {
		return nil, nil
	}
	var t dhcpv4.MessageType
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		if port != 67 {
			return nil, nil
		}
		t = dhcpv4.MessageTypeOffer
	case dhcpv4.MessageTypeRequest:
		// On port 67 a request is for the server that gives the address,
		// unless it names us.
		if port == 67 && !isFor(req, p.Addr) {
			return nil, nil
		}
		t = dhcpv4.MessageTypeAck
	case dhcpv4.MessageTypeInform:
		if port == 67 {
			return nil, nil
		}
		t = dhcpv4.MessageTypeAck
	default:
		return nil, nil
	}
	reply, err := newReply(req, t, p.Addr)
	if err != nil {
		return nil, err
	}
	reply.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient"))
	reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeDirect))
	p.point(reply, req, file)
	return reply, nil
}

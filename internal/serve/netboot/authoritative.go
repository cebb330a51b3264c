package netboot

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Authoritative is the only DHCP server of one network: it gives addresses of
// Pool's range to everyone and boot files to boot clients.
type Authoritative struct {
	Pointers
	Prefix netip.Prefix // of the network: its mask goes to clients
	Router netip.Addr   // may be invalid: none
	DNS    []netip.Addr
	Pool   *Pool
}

// noProxy is iPXE's no-pxedhcp setting (option 175, sub-option 176) = 1: there
// is no proxyDHCP offer to wait 3 seconds for.
var noProxy = []byte{176, 1, 1}

// isFor says whether req names the server at addr.
func isFor(req *dhcpv4.DHCPv4, addr netip.Addr) bool {
	return fromIP(req.ServerIdentifier()) == addr
}

// fromIP is the IPv4 address ip, or an invalid one for nil and 0.0.0.0.
func fromIP(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// Reply is the answer to req, which arrived on port (67 or 4011), or nil.
// It changes Pool. Packets that came by a relay are left alone: the range
// belongs to the interface's own network.
func (a *Authoritative) Reply(req *dhcpv4.DHCPv4, port int) (*dhcpv4.DHCPv4, error) {
	if fromIP(req.GatewayIPAddr).IsValid() {
		return nil, nil
	}
	if port != 67 {
		// A client that asks the boot server has an address already.
		p := Proxy{a.Pointers}
		return p.Reply(req, port)
	}
	mac := req.ClientHWAddr.String()
	ciaddr, requested := fromIP(req.ClientIPAddr), fromIP(req.RequestedIPAddress())
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		addr, ok := a.Pool.Offer(mac, requested)
		if !ok {
			return nil, errPoolEmpty{a.Pool.first, a.Pool.last}
		}
		return a.lease(req, dhcpv4.MessageTypeOffer, addr)
	case dhcpv4.MessageTypeRequest:
		if fromIP(req.ServerIdentifier()).IsValid() && !isFor(req, a.Addr) {
			a.Pool.Forget(mac) // it took another server's offer
			return nil, nil
		}
		want := requested
		if !want.IsValid() {
			want = ciaddr // renewing or rebinding
		}
		if !a.Pool.Take(mac, want) {
			reply, err := newReply(req, dhcpv4.MessageTypeNak, a.Addr)
			if err == nil {
				reply.SetBroadcast()
				reply.UpdateOption(dhcpv4.OptMessage("that address is not yours on this network"))
			}
			return reply, err
		}
		return a.lease(req, dhcpv4.MessageTypeAck, want)
	case dhcpv4.MessageTypeInform:
		return a.configure(req, dhcpv4.MessageTypeAck)
	case dhcpv4.MessageTypeDecline:
		a.Pool.Decline(mac, requested)
	case dhcpv4.MessageTypeRelease:
		a.Pool.Release(mac, ciaddr)
	}
	return nil, nil
}

func (a *Authoritative) lease(req *dhcpv4.DHCPv4, t dhcpv4.MessageType, addr netip.Addr) (*dhcpv4.DHCPv4, error) {
	reply, err := a.configure(req, t)
	if err != nil {
		return nil, err
	}
	ttl := a.Pool.ttl
	reply.YourIPAddr = addr.AsSlice()
	reply.ClientIPAddr = req.ClientIPAddr
	reply.UpdateOption(dhcpv4.OptIPAddressLeaseTime(ttl))
	reply.UpdateOption(dhcpv4.OptRenewTimeValue((ttl / 2).Truncate(time.Second)))
	reply.UpdateOption(dhcpv4.OptRebindingTimeValue((ttl * 7 / 8).Truncate(time.Second)))
	return reply, nil
}

// configure is an answer with everything but an address.
func (a *Authoritative) configure(req *dhcpv4.DHCPv4, t dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	reply, err := newReply(req, t, a.Addr)
	if err != nil {
		return nil, err
	}
	reply.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(a.Prefix.Bits(), 32)))
	if a.Router.IsValid() {
		reply.UpdateOption(dhcpv4.OptRouter(a.Router.AsSlice()))
	}
	if len(a.DNS) > 0 {
		var ips []net.IP
		for _, d := range a.DNS {
			ips = append(ips, d.AsSlice())
		}
		reply.UpdateOption(dhcpv4.OptDNS(ips...))
	}
	c := identify(req)
	if file, ok := a.bootFile(c); ok {
		a.point(reply, req, file)
	}
	if c.Kind == kindIPXE {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionEtherboot, noProxy))
	}
	return reply, nil
}

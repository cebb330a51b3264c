package netconf

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// message makes a message with what every one of ours says.
func (c *Client) message(kind dhcpv4.MessageType, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	hw, id := c.MAC, append([]byte{byte(iana.HWTypeEthernet)}, c.MAC...)
	mods := []dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(hw),
		// The identifier is the one of iPXE, NetworkManager and most servers'
		// tables, so that the firmware before us and the root after us get this lease.
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(id)),
	}
	if len(hw) > 6 { // InfiniBand, RFC 4390: no address in chaddr, so answers must be broadcast
		id = append([]byte{0xff}, append(slices.Clone(hw[len(hw)-4:]), append([]byte{0, 3, 0, 32}, hw...)...)...)
		mods = []dhcpv4.Modifier{dhcpv4.WithMessageType(kind), dhcpv4.WithHWType(iana.HWTypeInfiniband), dhcpv4.WithHwAddr(nil), dhcpv4.WithBroadcast(true),
			dhcpv4.WithOption(dhcpv4.OptClientIdentifier(id))}
	}
	if kind != dhcpv4.MessageTypeDecline {
		mods = append(mods, dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName,
			dhcpv4.OptionDomainName, dhcpv4.OptionRootPath, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionBroadcastAddress, dhcpv4.OptionNTPServers,
			dhcpv4.OptionVendorSpecificInformation, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName, dhcpv4.OptionDNSDomainSearchList,
			dhcpv4.OptionClasslessStaticRoute),
			dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)), dhcpv4.WithOption(dhcpv4.OptClassIdentifier(cmp.Or(c.Class, "bareroot"))))
		if c.Host != "" {
			mods = append(mods, dhcpv4.WithOption(dhcpv4.OptHostName(c.Host)))
		}
	}
	p, err := dhcpv4.New(append(mods, more...)...)
	if err != nil {
		return nil, fmt.Errorf("make a DHCP message: %w", err)
	}
	return p, nil
}

// jitter spreads many machines that start at once (RFC 2131 4.1).
func jitter(d time.Duration) time.Duration {
	return d - d/8 + time.Duration(rand.Int64N(int64(d)/4))
}

// sleep waits; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

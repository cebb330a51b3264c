package boot

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/errand"
	"bareroot/internal/run/netconf"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
)

// needNetwork says whether the boot, as far as it is known, uses a network.
func (b *Boot) needNetwork() bool {
	if b.conf.Server != nil || b.net.Need || len(b.net.Ifaces) > 0 || b.net.IBFT {
		return true
	}
	roots, err := cmdline.ParseRoots(b.line)
	return err == nil && (roots.Root.Network() || len(roots.Net) > 0)
}

// readIBFT adds the firmware's NICs to what the command line says.
func (b *Boot) readIBFT() error {
	b.module("iscsi_ibft")
	const dir = "/sys/firmware/ibft"
	words, notices := netconf.IBFT(dir, b.line.Bool(false, "rd.iscsi.mp"))
	for _, n := range notices {
		b.log.Infof("%s", n)
	}
	if len(words) == 0 {
		return fmt.Errorf("rd.iscsi.ibft: %s has no NIC that was booted from", dir)
	}
	b.log.Infof("the firmware's iSCSI boot says: %s", strings.Join(words, " "))
	n, err := cmdline.ParseNetwork(append(append(cmdline.Line(nil), b.line...), cmdline.FromWords(words, dir)...))
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	b.net = n
	b.net.IBFT = false // it is read
	return nil
}

func (b *Boot) startNetwork() error {
	if b.net.IBFT {
		if err := b.readIBFT(); err != nil {
			return err
		}
	}
	probe, mac := "", ""
	roots, err := cmdline.ParseRoots(b.line)
	if err == nil {
		if err := b.net.CheckRoot(roots.NeedDHCP, roots.DHCPOrServer); err != nil {
			return err
		}
	}
	if s := b.conf.Server; s != nil {
		probe, mac = probeAddress(s.URL), s.BootMAC
	} else if err == nil && roots.Root.Kind == "live" {
		probe = probeAddress(roots.Root.URL)
	}
	if probe != "" || b.role() != "root" {
		b.readyAgentSoon() // there is time while the NICs come up
	}
	class, ok := b.line.Get("dhcpclass")
	if !ok {
		class, _ = b.line.Get("rd.net.dhcp.vendor-class")
	}
	b.network, err = netconf.Start(b.life, netconf.Config{
		Net: b.net, BootMAC: mac, Probe: probe, Log: b.log, Start: b.start,
		Predictable: netconf.Predictable(b.line),
		Limits:      b.netLimits(),
		Class:       class,
		UUID:        strings.ToLower(sys.Line("/sys/class/dmi/id/product_uuid")),
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			a, err := b.runErrand(ctx, errand.Errand{Lookup: host}, nil)
			return a.Addrs, err
		},
		Load: b.module,
	})
	return err
}

// netLimits are dracut's words for the network's waits.
func (b *Boot) netLimits() netconf.Limits {
	l := netconf.DefaultLimits()
	for _, w := range []struct {
		word string
		to   *time.Duration
	}{
		{"rd.net.timeout.carrier", &l.Carrier}, {"rd.net.timeout.ifup", &l.Up}, {"rd.net.timeout.ipv6dad", &l.DAD},
		{"rd.net.timeout.ipv6auto", &l.Auto}, {"rd.net.timeout.dhcp", &l.DHCP},
	} {
		// A second is as good as none at all, and a day as good as for ever.
		n := b.line.Int(int(*w.to/time.Second), 0, math.MaxInt, w.word)
		*w.to = time.Duration(min(max(n, 1), 86400)) * time.Second
	}
	l.Retries = min(b.line.Int(l.Retries, 1, math.MaxInt, "rd.net.dhcp.retry"), 1000)
	return l
}

// handOverNetwork leaves the network to the root.
func (b *Boot) handOverNetwork() {
	on := networkMount()
	if on != "" {
		b.log.Infof("%s hangs on the network: the root is told to keep it as it is", on)
	}
	b.network.HandOver(rootfs.Target, on != "")
}

func (b *Boot) netMAC() string {
	if b.conf.Server != nil && b.conf.Server.BootMAC != "" {
		return b.conf.Server.BootMAC
	}
	if b.up != nil {
		return b.up.MAC
	}
	return ""
}

func (b *Boot) netText() string {
	if b.up == nil {
		return "no network"
	}
	return fmt.Sprintf("%s on %s (%s)", b.up.Lease.Address, b.up.Device, b.up.MAC)
}

func (b *Boot) awaitNetwork(ctx context.Context) error {
	if b.up != nil {
		return b.rootFromDHCP()
	}
	if b.network == nil {
		if err := b.startNetwork(); err != nil {
			return err
		}
	}
	up, err := b.network.Wait(ctx, b.limit())
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.up = &up
	b.mu.Unlock()
	b.did("network: %s", b.netText())
	return b.rootFromDHCP()
}

// rootFromDHCP puts the root path of the lease in the place of root=dhcp.
func (b *Boot) rootFromDHCP() error {
	line, err := leaseRoot(b.line, b.up.Device, b.up.Lease)
	if err != nil || line == nil {
		return err
	}
	root, _ := line.Get("root")
	b.did("root=dhcp: the root path is %s", cmdline.MaskValue(root))
	return b.setLine(line)
}

// leaseRoot is the command line with the root path of a lease (option 17) as
// its root; nil if the root does not come from there.
func leaseRoot(line cmdline.Line, device string, l netconf.Lease) (cmdline.Line, error) {
	roots, err := cmdline.ParseRoots(line)
	if err != nil || !roots.NeedDHCP {
		return nil, nil // a bad root= is the next step's to say
	}
	path := l.RootPath
	if l.Method == "dhcp6" {
		path = l.BootFile // DHCPv6 has no root path; the boot file is a URL
	}
	if path == "" {
		return nil, fmt.Errorf("root=dhcp: the lease of %s from %s has no root path (option 17)", device, l.Server)
	}
	return append(append(cmdline.Line(nil), line...), cmdline.FromWords([]string{"netroot=", "root=" + path}, "DHCP")...), nil
}

package boot

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/netconf"
	"bareroot/internal/run/rootfs"
)

// needNetwork says whether the boot, as far as it is known, uses a network.
func (b *Boot) needNetwork() bool {
	if b.conf.Server != nil || b.net.Need || len(b.net.Ifaces) > 0 {
		return true
	}
	root, err := rootfs.Parse(b.line)
	return err == nil && root.Network()
}

func (b *Boot) startNetwork() error {
	probe, mac := "", ""
	if s := b.conf.Server; s != nil {
		probe, mac = probeAddress(s.URL), s.BootMAC
	} else if v, ok := b.line.Get("root"); ok {
		if r, err := cmdline.ParseRoot(v); err == nil && r.Network() {
			probe = probeAddress(r.URL)
		}
	}
	var err error
	b.network, err = netconf.Start(b.life, netconf.Config{
		Net: b.net, BootMAC: mac, Probe: probe, Log: b.log, Start: b.start,
		Predictable: netconf.Predictable(b.line),
		Limits:      b.netLimits(),
		UUID:        strings.ToLower(readLine("/sys/class/dmi/id/product_uuid")),
		Load:        b.loadModule,
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
		*w.to = time.Duration(b.line.Int(int(*w.to/time.Second), 1, 86400, w.word)) * time.Second
	}
	l.Retries = b.line.Int(l.Retries, 1, 1000, "rd.net.dhcp.retry")
	return l
}

// handOverNetwork leaves the network to the root.
func (b *Boot) handOverNetwork() {
	on := ""
	if f, err := os.Open("/proc/self/mountinfo"); err == nil {
		on = remote(f, "/sys")
		f.Close()
	}
	if on != "" {
		b.log.Infof("%s hangs on the network: the root is told to keep it as it is", on)
	}
	b.network.HandOver(rootfs.Target, on != "")
}

// loadModule loads a module by name, if this kernel has it as one.
func (b *Boot) loadModule(name string) {
	if b.mods == nil {
		return
	}
	if err := b.mods.Load(name); err != nil {
		b.log.Debugf("%v", err)
	}
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
		return nil
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
	b.up = &up
	b.did("network: %s", b.netText())
	return nil
}

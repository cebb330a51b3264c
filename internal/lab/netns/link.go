package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Bridge is the switch of the lab.
type Bridge struct {
	Name  string
	Addrs []netip.Prefix
}

// DefaultBridge is br0 with 10.77.0.1/24 and fd77::1/64.
func DefaultBridge() Bridge {
	return Bridge{Name: "br0", Addrs: []netip.Prefix{
		netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd77::1/64")}}
}

// Up makes the bridge in the present namespace, and the loopback usable. It
// is the probe, too: Ubuntu lets a user make namespaces and then refuses what
// is done in them.
func (b Bridge) Up() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return refusedIn(fmt.Errorf("set lo up: %w", err))
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = b.Name
	br := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(br); err != nil {
		return refusedIn(fmt.Errorf("make bridge %s: %w", b.Name, err))
	}
	for _, p := range b.Addrs {
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // ours alone; usable at once
		}
		if err := netlink.AddrAdd(br, addr); err != nil {
			return fmt.Errorf("add %s to %s: %w", p, b.Name, err)
		}
	}
	if err := netlink.LinkSetUp(br); err != nil {
		return fmt.Errorf("set %s up: %w", b.Name, err)
	}
	return nil
}

const tunDevice = "/dev/net/tun"

// CheckTun says whether this user may make tap devices, as far as the device
// file goes: better asked before long work than after.
func CheckTun() error { return checkTun(tunDevice) }

func checkTun(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		if r := noTun(path, err); r != nil {
			return r
		}
		return fmt.Errorf("look at %s: %w", path, err)
	}
	return f.Close()
}

// noTun explains why the device cannot be used; nil if err says otherwise.
func noTun(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return &Refused{Reason: path + " is not open to this user, as it is on a stock system (sudo chmod 0666 " + path + " opens it)"}
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV):
		return &Refused{Reason: path + " is missing (sudo modprobe tun loads its driver)"}
	}
	return nil
}

// Tap makes a tap device on the bridge, for one NIC of one machine.
func (b Bridge) Tap(name string) error {
	br, err := netlink.LinkByName(b.Name)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", b.Name, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	tap := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR}
	if err := netlink.LinkAdd(tap); err != nil {
		if r := noTun(tunDevice, err); r != nil {
			return r
		}
		return fmt.Errorf("make tap %s: %w", name, err)
	}
	if err := netlink.LinkSetMaster(tap, br); err != nil {
		return fmt.Errorf("put tap %s on %s: %w", name, b.Name, err)
	}
	if err := netlink.LinkSetUp(tap); err != nil {
		return fmt.Errorf("set tap %s up: %w", name, err)
	}
	return nil
}

func refusedIn(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	var r *Refused
	if e := explain(err); errors.As(e, &r) {
		return &Refused{Reason: fmt.Sprintf("%v: %s", err, r.Reason)}
	}
	return err
}

package netconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// makeVirtual makes a bond, a bridge, or a VLAN on the link with index phys. A
// VLAN whose link is not there yet is left for later.
func (m *Manager) makeVirtual(v *virtual, phys int) error {
	a := netlink.NewLinkAttrs()
	a.Name = v.name
	a.MTU = v.mtu
	var l netlink.Link
	switch v.kind {
	case "bond":
		m.cfg.Load("bonding")
		l = &netlink.GenericLink{LinkAttrs: a, LinkType: "bond"}
	case "bridge":
		m.cfg.Load("bridge")
		l = &netlink.Bridge{LinkAttrs: a}
	case "vlan":
		if phys == 0 {
			return nil
		}
		m.cfg.Load("8021q")
		a.ParentIndex = phys
		l = &netlink.Vlan{LinkAttrs: a, VlanId: v.id}
	}
	switch err := netlink.LinkAdd(l); {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("make %s %s: %w (is the feature %s in the ramdisk?)", v.kind, v.name, err, v.kind)
	case errors.Is(err, unix.EEXIST):
		// The bonding module makes bond0 by itself.
		old, lerr := netlink.LinkByName(v.name)
		if lerr != nil || old.Type() != v.kind {
			return fmt.Errorf("make %s %s: %w", v.kind, v.name, err)
		}
		if v.mtu > 0 {
			if err := netlink.LinkSetMTU(old, v.mtu); err != nil {
				m.cfg.Log.Warnf("set MTU %d on %s: %v", v.mtu, v.name, err)
			}
		}
	case err != nil:
		return fmt.Errorf("make %s %s: %w", v.kind, v.name, err)
	}
	m.cfg.Log.Debugf("%s %s made", v.kind, v.name)
	for _, o := range v.options {
		if strings.HasPrefix(o, "active_slave=") {
			continue // it must be there first
		}
		if err := setBond(v.name, o); err != nil {
			m.cfg.Log.Warnf("%v", err)
		}
	}
	return nil
}

// setBond writes one option of a bond to sysfs, which knows all of them by name
// (Documentation/networking/bonding.rst). Targets of a list are added one by one.
func setBond(bond, option string) error {
	key, value, _ := strings.Cut(option, "=")
	if key == "" || strings.ContainsAny(key, "/.") {
		return fmt.Errorf("bond %s: %q is no option", bond, option)
	}
	values := []string{value}
	if key == "arp_ip_target" || key == "ns_ip6_target" {
		values = nil
		for _, t := range strings.Split(value, ",") {
			values = append(values, "+"+t)
		}
	}
	for _, v := range values {
		// Not created: what is not there is no option of this kernel.
		f, err := os.OpenFile(filepath.Join("/sys/class/net", bond, "bonding", key), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(v)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return fmt.Errorf("bond %s: set %s=%s: %w", bond, key, strings.TrimPrefix(v, "+"), err)
		}
	}
	return nil
}

// join makes the NIC a member of a bond or bridge, once that is there.
func (n *nic) join(ctx context.Context, v *virtual) {
	n.say("waits for %s", v.name)
	master, ok := n.m.await(ctx, v)
	if !ok {
		return
	}
	link, log := n.now(), n.m.cfg.Log
	name := link.Attrs().Name
	fail := func(err error) {
		n.say("does not become part of %s: %v", v.name, err)
		log.Errorf("make %s part of %s: %v", name, v.name, err)
	}
	switch v.kind {
	case "bond":
		// The bonding driver takes only links that are down, and sets them up.
		if err := netlink.LinkSetDown(link); err != nil {
			fail(err)
			return
		}
	case "bridge":
		// A bridge takes the lowest MAC of its ports, which changes as they come; a
		// lease must not. The first port's, set by us, stays.
		if n.m.first(v) {
			if err := netlink.LinkSetHardwareAddr(master, link.Attrs().HardwareAddr); err != nil {
				log.Debugf("set the MAC of %s: %v", v.name, err)
			}
		}
	}
	if err := netlink.LinkSetMasterByIndex(link, master.Attrs().Index); err != nil {
		fail(err)
		return
	}
	if v.kind == "bridge" {
		if err := netlink.LinkSetUp(link); err != nil {
			fail(err)
			return
		}
	}
	if i := slices.IndexFunc(v.options, func(o string) bool { return strings.TrimPrefix(o, "active_slave=") == name }); i >= 0 {
		if err := setBond(v.name, v.options[i]); err != nil {
			log.Warnf("%v", err)
		}
	}
	log.Debugf("%s is part of %s", name, v.name)
	n.say("part of %s", v.name)
}

// await waits for an interface that is being made.
func (m *Manager) await(ctx context.Context, v *virtual) (netlink.Link, bool) {
	for {
		m.mu.Lock()
		changed := m.changed
		for _, n := range m.nics {
			if n.made && n.name() == v.name {
				m.mu.Unlock()
				return n.link, true
			}
		}
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// first says, once, that this is the first member.
func (m *Manager) first(v *virtual) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := v.begun
	v.begun = true
	return !was
}

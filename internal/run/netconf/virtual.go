package netconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/run/rtnl"
)

// makeVirtual makes a bond, a bridge, or a VLAN on the link with index phys. A
// VLAN whose link is not there yet is left for later.
func (m *Manager) makeVirtual(v *virtual, phys int) error {
	if v.kind == "vlan" && phys == 0 {
		return nil
	}
	m.cfg.Load(map[string]string{"bond": "bonding", "bridge": "bridge", "vlan": "8021q"}[v.kind])
	var err error
	if v.kind == "vlan" {
		err = rtnl.MakeVLAN(v.name, phys, v.id, v.mtu)
	} else {
		err = rtnl.Make(v.kind, v.name, v.mtu)
	}
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("make %s %s: %w (is the feature %s in the ramdisk?)", v.kind, v.name, err, v.kind)
	case errors.Is(err, unix.EEXIST):
		// The bonding module makes bond0 by itself.
		old, lerr := rtnl.ByName(v.name)
		if lerr != nil || old.Kind != v.kind {
			return fmt.Errorf("make %s %s: %w", v.kind, v.name, err)
		}
		if v.mtu > 0 {
			if err := rtnl.SetMTU(old.Index, v.mtu); err != nil {
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
	if !n.called().has(v.members[0]) {
		// The first of the list gives the MAC, if it is there, so that the lease is the
		// same at every boot.
		first := time.NewTimer(time.Until(n.m.begin.Add(headStart)))
		defer first.Stop()
		if !n.m.joined(ctx, v, first.C) && ctx.Err() != nil {
			return
		}
	}
	link, log := n.fresh(), n.m.cfg.Log
	name := link.Name
	fail := func(err error) {
		n.say("does not become part of %s: %v", v.name, err)
		log.Errorf("make %s part of %s: %v", name, v.name, err)
	}
	switch v.kind {
	case "bond":
		// The bonding driver takes only links that are down, and sets them up.
		if err := rtnl.Set(link.Index, false); err != nil {
			fail(err)
			return
		}
	case "bridge":
		// A bridge takes the lowest MAC of its ports, which changes as they come; a
		// lease must not. The first port's, set by us, stays.
		if n.m.first(v) {
			if err := rtnl.SetMAC(master.Index, link.MAC); err != nil {
				log.Debugf("set the MAC of %s: %v", v.name, err)
			}
		}
	}
	if err := rtnl.SetMaster(link.Index, master.Index); err != nil {
		fail(err)
		return
	}
	if v.kind == "bridge" {
		if err := rtnl.Set(link.Index, true); err != nil {
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
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	v.joined = true
	n.m.notify()
}

// member waits until a bond or bridge has its first member. Before, it has a MAC
// that it made up, which no lease must be for, and a bridge has a carrier without
// a cable.
func (n *nic) member(ctx context.Context) bool {
	i := slices.IndexFunc(n.m.plan.virts, func(v *virtual) bool { return n.made && v.name == n.kernel && len(v.members) > 0 })
	if i < 0 {
		return true
	}
	v := n.m.plan.virts[i]
	n.say("none of %s has become part of it", strings.Join(v.members, ", "))
	return n.m.joined(ctx, v, nil)
}

// joined waits until a bond or bridge has a member, or the limit comes.
func (m *Manager) joined(ctx context.Context, v *virtual, limit <-chan time.Time) bool {
	for {
		m.mu.Lock()
		joined, changed := v.joined, m.changed
		m.mu.Unlock()
		if joined {
			return true
		}
		select {
		case <-changed:
		case <-limit:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// await waits for an interface that is being made.
func (m *Manager) await(ctx context.Context, v *virtual) (rtnl.Link, bool) {
	for {
		m.mu.Lock()
		changed := m.changed
		for _, n := range m.nics {
			if n.made && n.name() == v.name {
				l := n.link
				m.mu.Unlock()
				return l, true
			}
		}
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return rtnl.Link{}, false
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

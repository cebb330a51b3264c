package netconf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/run/rtnl"
)

// handed is one interface as the root gets it.
type handed struct {
	name   string
	index  int
	mac    string
	perm   string // the MAC that it was made with
	mtu    int    // that was asked for
	four   *Lease
	six    *Lease
	made   *virtual // if it is a bond, bridge or VLAN
	master *virtual // if it is a member of one
	vlans  []string // that it carries
	dns    []netip.Addr
	routes []LeaseRoute // of rd.route=
	byMAC  bool         // there is one interface with its MAC
}

// handover is what the files for the root are made from.
type handover struct {
	nics    []handed
	needed  bool // the root hangs on this network
	peerDNS bool
	resolv  string
}

// file is one file for the root.
type file struct {
	path string
	mode fs.FileMode
	text string
}

// HandOver tells the root's own network set-up what is there, in the words of
// each: NetworkManager, systemd-networkd, ifupdown, dhclient, dhcpcd, the ifcfg
// files of Red Hat and SUSE, and klibc's files, which others read. root is where the root is mounted. needed
// says that the root itself hangs on this network: then what we say is to win
// over the root's own files, and an address that nobody would renew is kept for
// ever. Else the root's own set-up is to win, and finds the NICs as they are
// without a ramdisk, if it is one that would stumble over addresses. Call it last,
// and Close after it.
func (m *Manager) HandOver(root string, needed bool) {
	h := m.handover(needed)
	if len(h.nics) == 0 {
		return
	}
	keeper := keeperOf(root)
	files := slices.Concat(h.klibc(), h.networkd(), h.networkManager(), h.dhclient(), h.ifcfg(root))
	if needed && keeper == ifupdown {
		files = append(files, h.ifstate())
	}
	for _, f := range files {
		if err := write(m.cfg.root, f); err != nil {
			m.cfg.Log.Warnf("hand the network over: %v", err)
		}
	}
	for _, f := range slices.Concat(h.leasesIn(root), h.resolvIn(root, keeper)) {
		// A root that is mounted read-only does without.
		if err := write(root, f); err != nil {
			m.cfg.Log.Debugf("hand the network over: %v", err)
		}
	}
	if !needed {
		// These take what they find for somebody else's, or fail over it.
		if keeper != "" && keeper != networkd {
			m.cfg.Log.Infof("%s of the root sets the network up anew", keeper)
			m.letGo()
		}
		return
	}
	if keeper != "" && keeper != ifupdown {
		return // it renews
	}
	for _, n := range h.nics {
		for _, l := range []*Lease{n.four, n.six} {
			if l == nil || l.Duration == 0 {
				continue
			}
			if err := rtnl.SetAddr(n.index, l.Address, 0, 0); err != nil {
				m.cfg.Log.Warnf("keep %s on %s: %v", l.Address, n.name, err)
				continue
			}
			m.cfg.Log.Infof("nothing in the root renews the lease of %s on %s, on which it depends: the address stays for ever", l.Address.Addr(), n.name)
		}
	}
}

// handover collects what there is.
func (m *Manager) handover(needed bool) handover {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := handover{needed: needed, peerDNS: m.cfg.Net.PeerDNS, resolv: m.resolvConf()}
	for _, i := range slices.Sorted(maps.Keys(m.nics)) {
		n := m.nics[i]
		j, _ := m.plan.job(n.names(), n.made)
		e := handed{name: n.name(), index: i, mac: n.mac().String(), perm: n.link.Permanent().String(), mtu: j.ip.MTU, master: j.master, dns: m.cfg.Net.DNS, routes: m.plan.routes(n.names()), byMAC: len(m.plan.virts) == 0}
		e.four, e.six = n.leases[false].copy(), n.leases[true].copy()
		if n.made {
			for _, v := range m.plan.virts {
				if v.name == n.name() {
					e.made = v
				}
			}
		}
		for _, v := range m.plan.vlansOf(n.names()) {
			e.vlans = append(e.vlans, v.name)
		}
		if e.four != nil || e.six != nil || e.master != nil || len(e.vlans) > 0 {
			h.nics = append(h.nics, e)
		}
	}
	return h
}

// copy is one that no renewal changes.
func (l *Lease) copy() *Lease {
	if l == nil {
		return nil
	}
	c := *l
	return &c
}

// letGo gives all interfaces back.
func (m *Manager) letGo() {
	m.mu.Lock()
	var all []*nic
	for _, n := range m.nics {
		all = append(all, n)
	}
	m.mu.Unlock()
	for _, n := range all {
		n.letGo()
	}
}

// What sets up the network of a root, by the names of their services.
const (
	networkManager = "NetworkManager"
	networkd       = "systemd-networkd"
	ifupdown       = "networking"
)

// keeperOf is what sets up the network of a root; "" if nothing is seen. With
// two the first counts.
func keeperOf(root string) string {
	for _, name := range []string{networkManager, networkd, "connman", "wicked", ifupdown} {
		for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
			found, _ := filepath.Glob(filepath.Join(root, dir, "*.wants", name+".service"))
			if len(found) > 0 {
				return name
			}
		}
	}
	return ""
}

func exists(root, path string) bool {
	_, err := os.Lstat(filepath.Join(root, path))
	return err == nil
}

func write(root string, f file) error {
	p := filepath.Join(root, f.path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	// Written aside, with its mode, and renamed: a reader that is quick sees all of it.
	tmp := p + ".new"
	if err := os.WriteFile(tmp, []byte(f.text), f.mode); err != nil {
		return err
	}
	return errors.Join(os.Chmod(tmp, f.mode), os.Rename(tmp, p))
}

// resolvIn is the root's /etc/resolv.conf, if the root has none and nothing that
// makes one: an empty file or no file. A link belongs to what made it.
func (h handover) resolvIn(root, keeper string) []file {
	st, err := os.Lstat(filepath.Join(root, "etc/resolv.conf"))
	if h.resolv == "" || keeper != "" || err == nil && (!st.Mode().IsRegular() || st.Size() > 0) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return []file{{"etc/resolv.conf", 0o644, h.resolv}}
}

// uuid of a connection: the same at every boot of this machine, so that what
// the root keeps about it stays true.
func (n handed) uuid() string {
	const a, b = 0xcbf29ce484222325, 0x100000001b3 // FNV-1a: names need no secrecy
	var v [2]uint64
	for i := range v {
		v[i] = a
		for _, c := range fmt.Sprintf("bareroot %d %s %s", i, n.name, n.mac) {
			v[i] = (v[i] ^ uint64(c)) * b
		}
	}
	// Version 8 is for those who make their own (RFC 9562).
	return fmt.Sprintf("%08x-%04x-8%03x-%04x-%012x", v[0]>>32, v[0]>>16&0xffff, v[0]&0xfff, v[1]>>48&0x3fff|0x8000, v[1]&0xffffffffffff)
}

func join[T fmt.Stringer](list []T, sep string) string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return strings.Join(out, sep)
}

package host

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/kmod"
)

// wanted collects modules; the first reason stays.
type wanted struct {
	x       *kmod.Index
	list    []Module
	at      map[string]int
	missing []Module
}

// add takes a name or an alias; it says whether the kernel has it.
func (w *wanted) add(required bool, why string, names ...string) bool {
	had := false
	for _, name := range names {
		all, ok := w.x.Lookup(name)
		had = had || ok
		for _, n := range all {
			i, seen := w.at[n]
			if !seen {
				i = len(w.list)
				w.at[n] = i
				w.list = append(w.list, Module{Name: n, Why: why, Required: required})
			} else if required && !w.list[i].Required {
				w.list[i] = Module{Name: n, Why: why, Required: true}
			}
		}
	}
	if required && !had {
		w.missing = append(w.missing, Module{Name: names[0], Why: why, Required: true})
	}
	return had
}

func (h *Host) modules(x *kmod.Index, mode string) []Module { return h.want(x, mode).list }

func (h *Host) want(x *kmod.Index, mode string) *wanted {
	w := &wanted{x: x, at: map[string]int{}}
	if h.Generic {
		return w
	}
	for _, fs := range h.filesystems {
		h.wantFilesystem(w, fs)
	}
	for _, n := range h.stack.nodes {
		h.wantNode(w, n)
	}
	for _, s := range h.stack.iscsi {
		w.add(false, "carries "+s.Device+" over iSCSI", "iscsi_tcp")
	}
	for _, n := range h.nics {
		h.wantNIC(w, n)
	}
	h.wantDevices(w, mode)
	if len(h.stack.nets)+len(h.stack.iscsi) > 0 {
		w.add(false, "the network to the root", "af_packet", "ipv6")
	}
	for _, m := range h.loaded {
		if relevantLoaded(x, m, mode) {
			w.add(false, "loaded on this machine", m.Name)
		}
	}
	if mode != Strict {
		wantSpare(w)
	}
	slices.SortFunc(w.list, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	return w
}

func (h *Host) wantFilesystem(w *wanted, fs *Filesystem) {
	why := "filesystem of " + fs.Target
	switch fs.Type {
	case "", "auto", "swap", "tmpfs", "rootfs":
	case "nfs", "nfs4":
		w.add(true, why, "nfs")
		version := "nfsv4"
		if v, ok := option(fs.mount.Super+","+fs.mount.Options, "vers"); ok && strings.HasPrefix(v, "3") || !ok && fs.Type == "nfs" {
			version = "nfsv3"
		}
		w.add(false, why, version)
	case "9p":
		w.add(true, why, "9p")
		w.add(false, why, "9pnet_virtio")
	case "vfat":
		w.add(true, why, "vfat")
		w.add(false, "names of files on "+fs.Target, "nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8")
	case "fuseblk":
		w.add(true, why, "fuse")
	default:
		// ext3 and ext2 are aliases of ext4 in kernels without them.
		w.add(true, why, fs.Type, "fs-"+fs.Type)
	}
}

// wantNode adds what makes a device, and what drives it.
func (h *Host) wantNode(w *wanted, n *node) {
	where := h.stack.why[n]
	makes := func(kind string) string { return fmt.Sprintf("makes %s (%s), %s", n.Label, kind, where) }
	must := !n.aside && !strings.Contains(where, "swap")
	switch n.Kind {
	case "dm":
		w.add(must, makes("device-mapper"), "dm_mod")
		h.wantMapped(w, n, must, makes)
	case "md":
		level := n.Level
		if level == "raid4" || level == "raid5" || level == "raid6" {
			level = "raid456"
		}
		w.add(must, makes("md "+n.Level), "md_mod")
		if level != "" {
			w.add(must, makes("md "+n.Level), level)
		}
	case "loop", "nbd", "bcache", "drbd", "rbd":
		w.add(must, makes(n.Kind), n.Kind)
	case "zd":
		w.add(must, makes("zfs"), "zfs")
	case "disk":
		h.wantDisk(w, n, must, where)
	}
}

func (h *Host) wantMapped(w *wanted, n *node, must bool, makes func(string) string) {
	switch n.DM.Kind {
	case "crypt":
		why := makes("encrypted, " + n.DM.Type)
		w.add(must, why, "dm_crypt")
		w.add(false, "cipher of "+n.Label, "aes_generic", "aesni_intel", "aes_ce_blk", "xts", "cbc", "essiv", "sha256_generic", "sha512_generic",
			"sha256_ssse3", "sha512_ssse3", "algif_skcipher", "algif_hash", "af_alg")
	case "multipath":
		w.add(must, makes("multipath"), "dm_multipath")
		w.add(false, "chooses a path of "+n.Label, "dm_service_time", "dm_queue_length", "dm_round_robin", "scsi_dh_alua", "scsi_dh_rdac", "scsi_dh_emc", "scsi_dh_hp_sw")
	case "verity", "integrity":
		w.add(must, makes(n.DM.Kind), "dm_"+n.DM.Kind)
	case "dmraid":
		w.add(false, makes("dmraid"), "dm_mirror", "dm_raid", "dm_raid45")
	}
	for _, below := range append([]*node{n}, n.Below...) {
		if below.DM.Kind != "lvm" {
			continue
		}
		name := strings.TrimPrefix(below.Label, "/dev/mapper/")
		if layers := layerModules(name); layers != nil {
			w.add(false, "makes "+below.Label+", a part of an LV "+h.stack.why[n], layers...)
		}
	}
}

// wantDisk goes up from a disk: each device above it has a driver, bound now
// or found by its modalias.
func (h *Host) wantDisk(w *wanted, n *node, must bool, where string) {
	why := "drives " + n.Label + ", " + where
	for _, d := range h.devices {
		if !holds(d.Path, n.Path) {
			continue
		}
		bound := d.Module != "" && w.add(false, why, d.Module)
		matched := d.Modalias != "" && w.add(false, why, d.Modalias)
		switch {
		case bound && must:
			w.add(true, why, d.Module)
		case d.Module != "" && !bound && !matched && must:
			w.missing = append(w.missing, Module{Name: d.Module, Why: why, Required: true})
		}
	}
}

func (h *Host) wantNIC(w *wanted, n nic) {
	why := n.Name + ", which " + h.nicWhy[n.Name]
	switch n.Type {
	case "bond":
		w.add(true, "makes "+why, "bonding")
	case "bridge":
		w.add(true, "makes "+why, "bridge")
		w.add(false, "needed by bridge", "stp", "llc")
	case "vlan":
		w.add(true, "makes "+why, "8021q")
	default:
		for _, d := range h.devices {
			if holds(d.Path, n.Path) {
				if d.Module != "" {
					w.add(true, "drives "+why, d.Module)
				}
				if d.Modalias != "" {
					w.add(false, "drives "+why, d.Modalias)
				}
			}
		}
	}
}

// wantDevices adds the drivers of all else that is in the machine and matters
// before the root is there. In strict mode only NICs that lead to the root do;
// if which one leads there is not known, all do.
func (h *Host) wantDevices(w *wanted, mode string) {
	spareNICs := mode != Strict || len(h.nics) == 0 && len(h.stack.nets)+len(h.stack.iscsi) > 0
	for _, d := range h.devices {
		why, net := h.carries(d)
		if net && !spareNICs {
			continue
		}
		for _, word := range []string{d.Module, d.Modalias} {
			if word == "" {
				continue
			}
			names, _ := w.x.Lookup(word)
			for _, n := range names {
				file, _, _ := w.x.Resolve(n)
				if relevant(file) {
					w.add(false, why, n)
				}
			}
		}
	}
}

// carries says what a device is to people, and whether it is a NIC and nothing
// else.
func (h *Host) carries(d device) (why string, net bool) {
	classes := map[string]bool{}
	for _, in := range h.inners {
		if !holds(d.Path, in.Path) {
			continue
		}
		if !classes[in.Class] && why == "" {
			switch in.Class {
			case "block":
				why = "drives /dev/" + in.Name
			case "net":
				why = "drives " + in.Name
			case "input":
				why = fmt.Sprintf("drives the input device %q", in.Name)
			}
		}
		classes[in.Class] = true
	}
	if why == "" {
		why = "for the device " + strings.TrimPrefix(d.Path, "sys/devices/")
	}
	return why, len(classes) == 1 && classes["net"]
}

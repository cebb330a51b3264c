package host

import (
	"maps"
	"slices"
	"strings"
)

func (h *Host) features() []string {
	set := map[string]bool{}
	for _, n := range h.stack.nodes {
		switch n.Kind {
		case "md":
			set["mdraid"] = true
		case "nbd":
			set["nbd"], set["network"] = true, true
		case "dm":
			set["dm"] = true
			switch n.DM.Kind {
			case "lvm", "crypt", "multipath", "dmraid":
				set[n.DM.Kind] = true
			case "partition":
				set["multipath"] = true
			}
		}
	}
	for _, c := range h.crypttab {
		set["crypt"], set["dm"] = true, true
		if _, ok := c.option("tpm2-device"); ok {
			set["tpm2"] = true
		}
	}
	for _, fs := range h.filesystems {
		if fs.Type == "overlay" {
			set["overlayfs"] = true
		}
	}
	if len(h.stack.nets) > 0 {
		set["nfs"], set["network"] = true, true
	}
	if len(h.stack.iscsi) > 0 {
		set["iscsi"], set["network"] = true, true
	}
	for _, n := range h.nics {
		if n.Type != "" {
			set[n.Type] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func (h *Host) cmdline() []string {
	var out []string
	add := func(words ...string) {
		for _, w := range words {
			if w = quoted(w); !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	if h.Root != nil {
		add(h.rootWords()...)
	}
	for _, n := range h.stack.nodes {
		switch {
		case n.aside:
		case n.Kind == "dm" && n.DM.Kind == "lvm" && !n.DM.Hide && n.DM.LV != "":
			add("rd.lvm.lv=" + n.DM.VG + "/" + n.DM.LV)
		case n.Kind == "dm" && n.DM.Kind == "crypt" && n.DM.UUID != "" && !n.apart:
			// Its name stays: the system's own fstab and crypttab know it by that.
			if name := strings.TrimPrefix(n.Label, "/dev/mapper/"); name != "luks-"+n.DM.UUID {
				add("rd.luks.name=" + n.DM.UUID + "=" + name)
			} else {
				add("rd.luks.uuid=" + n.DM.UUID)
			}
		case n.Kind == "dm" && n.DM.Kind == "dmraid" && !n.DM.Hide:
			add("rd.dm.uuid=" + strings.TrimPrefix(n.Label, "/dev/mapper/"))
		case n.Kind == "md" && n.uuid != "":
			add("rd.md.uuid=" + n.uuid)
		}
	}
	for _, s := range h.stack.iscsi {
		if s.Target == "" {
			continue
		}
		address := s.Address
		if strings.Contains(address, ":") {
			address = "[" + address + "]"
		}
		add("netroot=iscsi:" + address + "::" + s.Port + ":" + s.LUN + ":" + s.Target)
		if s.IQN != "" {
			add("rd.iscsi.initiator=" + s.IQN)
		}
	}
	if len(h.stack.nets)+len(h.stack.iscsi) > 0 {
		add(h.netWords()...)
	}
	for _, fs := range h.filesystems {
		if fs.Type == "swap" {
			add("resume=" + fs.spec())
		}
	}
	return out
}

// quoted writes a word as the kernel reads it back: a value with a blank in
// double quotes. A double quote itself cannot be written.
func quoted(word string) string {
	key, v, ok := strings.Cut(word, "=")
	if !ok || !strings.ContainsAny(v, " \t") {
		return word
	}
	return key + `="` + v + `"`
}

func (h *Host) rootWords() []string {
	fs := h.Root
	for _, r := range h.stack.nets {
		if r.fs == fs {
			word := "root=" + fs.Type + ":" + r.Server + ":" + r.Dir
			// A colon would end the word's field.
			colon := func(o string) bool { return strings.Contains(o, ":") }
			if o := slices.DeleteFunc(strings.Split(kept(fs.fstab.Options), ","), colon); len(o) > 0 && o[0] != "" {
				word += ":" + strings.Join(o, ",")
			}
			return []string{word}
		}
	}
	spec := fs.spec()
	if fs.node == nil {
		spec = ""
	} else if fs.node.Kind == "nbd" || fs.node.Kind == "loop" {
		spec = "" // the device is made from a word that only the command line has
	}
	if spec == "" {
		return h.runningWords("root", "netroot", "rootfstype", "rootflags")
	}
	out := []string{"root=" + spec}
	if fs.Type != "" && fs.Type != "auto" {
		out = append(out, "rootfstype="+fs.Type)
	}
	flags := kept(fs.fstab.Options)
	if _, has := option(flags, "subvol"); !has && fs.Type == "btrfs" && fs.mount.Root != "/" && fs.mount.Root != "" {
		flags = strings.TrimPrefix(flags+",subvol="+fs.mount.Root, ",")
	}
	if flags != "" {
		out = append(out, "rootflags="+flags)
	}
	return out
}

// spec names the filesystem so that it is found again whatever its device is
// called then. An LV goes by its name: its snapshots have its UUID too.
func (fs *Filesystem) spec() string {
	switch {
	case fs.node != nil && fs.node.DM.Kind == "lvm":
		return fs.node.Label
	case fs.uuid != "":
		return "UUID=" + fs.uuid
	case strings.Contains(fs.fstab.Source, "="):
		return fs.fstab.Source
	case fs.node != nil:
		return fs.node.Label
	}
	return fs.Source
}

// kept are the options that the first mount of the root needs; what later
// mounts or systemd read is left out.
func kept(options string) string {
	var out []string
	for o := range strings.SplitSeq(options, ",") {
		key, _, _ := strings.Cut(o, "=")
		switch {
		case o == "", strings.HasPrefix(o, "x-"), strings.ContainsAny(o, " \t\"'"):
		case slices.Contains([]string{"defaults", "ro", "rw", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "comment", "errors"}, key):
		default:
			out = append(out, o)
		}
	}
	return strings.Join(out, ",")
}

// runningWords are words that the running kernel was started with.
func (h *Host) runningWords(keys ...string) []string {
	var out []string
	for _, w := range h.running {
		if key, _, _ := strings.Cut(w, "="); slices.Contains(keys, key) {
			out = append(out, w)
		}
	}
	return out
}

// netKeys are the words that say how the network is brought up.
var netKeys = [...]string{"ip", "bond", "bridge", "vlan", "team", "ifname", "bootdev", "nameserver", "rd.route", "BOOTIF"}

// netWords bring the network up as it was. How an address was got is in no
// file, so the words that this boot was started with are kept, and else DHCP
// is asked on the interface that leads to the root.
func (h *Host) netWords() []string {
	if w := h.runningWords(netKeys[:]...); len(w) > 0 {
		return w
	}
	var out []string
	top := ""
	for _, n := range h.nics {
		switch n.Type {
		case "bond", "bridge":
			out = append(out, n.Type+"="+n.Name+":"+strings.Join(n.Lower, ","))
		case "vlan":
			out = append(out, "vlan="+n.Name+":"+strings.Join(n.Lower, ","))
		}
		if top == "" {
			top = n.Name
			if n.Type == "" && n.MAC != "" {
				// By its address: the kernel's name for it may differ in the ramdisk.
				out = append(out, "BOOTIF=01-"+strings.ReplaceAll(n.MAC, ":", "-"), "ip=dhcp")
			} else {
				out = append(out, "ip="+n.Name+":dhcp")
			}
		}
	}
	if top == "" {
		out = append(out, "ip=dhcp")
	}
	return out
}

package host

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/sys"
)

func read(root string) (*Host, error) {
	if root == "" {
		root = "/"
	}
	if _, err := os.ReadDir(root); err != nil {
		return nil, fmt.Errorf("look at the machine's root: %w", err)
	}
	t := tree{root}
	h := &Host{CPUVendor: cpuVendor(t), seen: map[string]*node{}}
	h.stack.why = map[*node]string{}
	h.devices, h.inners = t.scan()
	modules, haveModules := t.text("proc/modules")
	switch {
	case len(h.devices) == 0:
		h.Generic = true
		h.notice("this machine's devices cannot be seen in %s (a container or a chroot without sysfs?); the generic set of modules is used", t.abs("sys/devices"))
	case !haveModules:
		h.Generic = true
		h.notice("%s cannot be read (a container, or a kernel without modules); the generic set of modules is used", t.abs("proc/modules"))
	}
	h.loaded = parseModules(modules)
	h.running = cmdline.Split(t.line("proc/cmdline"))
	h.readMounts(t)
	h.readSwap(t)
	h.readCrypttab(t)
	h.readNetwork(t)
	h.judge()
	return h, nil
}

// loaded is a module of the running kernel.
type loaded struct {
	Name string
	// Held: something other than a module uses it, a mount or a device for one.
	Held bool
}

// parseModules reads /proc/modules: name, size, uses, the modules among them.
func parseModules(text string) []loaded {
	var out []loaded
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		uses, err := strconv.Atoi(f[2])
		if err != nil {
			uses = 0 // "-" of a kernel that cannot unload
		}
		m := loaded{Name: f[0], Held: err != nil}
		if f[3] == "-" {
			m.Held = m.Held || uses > 0
		} else {
			// "a,b," and at the end [permanent], which is no module.
			m.Held = m.Held || uses > strings.Count(f[3], ",")-strings.Count(f[3], "[permanent],")
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b loaded) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (h *Host) notice(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !slices.Contains(h.Notices, s) {
		h.Notices = append(h.Notices, s)
	}
}

func cpuVendor(t tree) string {
	text, _ := t.text("proc/cpuinfo")
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == "vendor_id" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// readMounts finds the filesystems that the boot needs: the root, and /usr if
// it is one of its own.
func (h *Host) readMounts(t tree) {
	var mounts []sys.MountPoint
	from := ""
	for _, name := range []string{"proc/self/mountinfo", "proc/1/mountinfo"} {
		if text, ok := t.text(name); ok {
			mounts, from = sys.ParseMountinfo(text), name
			break
		}
	}
	if from == "" {
		text, _ := t.text("proc/mounts")
		mounts = parseFstab(text)
	}
	text, _ := t.text("etc/fstab")
	fstab := parseFstab(text)
	for target, why := range map[string]string{"/": "root filesystem", "/usr": "/usr"} {
		m, ok := lastAt(mounts, target)
		f, listed := lastAt(fstab, target)
		switch {
		case !ok && !listed:
			continue
		case !ok:
			m = f
		}
		fs := &Filesystem{Target: target, Type: m.Type, Source: m.Source, Why: why, mount: m}
		if listed {
			fs.fstab = f
		}
		h.filesystems = append(h.filesystems, fs)
	}
	slices.SortFunc(h.filesystems, func(a, b *Filesystem) int { return strings.Compare(a.Target, b.Target) })
	if len(h.filesystems) == 0 || h.filesystems[0].Target != "/" {
		h.notice("no root filesystem is named in proc/self/mountinfo, proc/mounts or etc/fstab; name the root and its drivers yourself")
	} else {
		h.Root = h.filesystems[0]
	}
	for _, fs := range h.filesystems {
		h.addFilesystem(t, fs)
	}
}

// lastAt: the last mount at a place is the one that is seen.
func lastAt(l []sys.MountPoint, target string) (sys.MountPoint, bool) {
	for _, m := range slices.Backward(l) {
		if m.Target == target && m.Type != "rootfs" {
			return m, true
		}
	}
	return sys.MountPoint{}, false
}

func (h *Host) addFilesystem(t tree, fs *Filesystem) {
	why := "under the " + fs.Why
	if fs.Target == "/usr" {
		why = "under /usr"
	}
	if server, dir, ok := nfsSource(fs.Type, fs.Source); ok {
		h.stack.nets = append(h.stack.nets, netRoot{fs: fs, Server: server, Dir: dir})
		return
	}
	p, ok := t.blockPath(fs.mount.Dev, fs.Source)
	if !ok {
		h.foreign(fs)
		return
	}
	fs.node = h.stack.under(t, p, why, h.seen)
	fs.uuid = t.property(fs.node, "ID_FS_UUID", "by-uuid")
	if fs.Type == "btrfs" {
		h.addBtrfs(t, fs, why)
	}
}

// foreign is a filesystem that stands on no block device that can be seen.
func (h *Host) foreign(fs *Filesystem) {
	switch fs.Type {
	case "overlay", "aufs":
		h.notice("%s is an %s (a container or a live system): what is under it cannot be told", fs.Target, fs.Type)
	case "zfs":
		h.notice("%s is on ZFS (%s): its module comes along, but bareroot-init does not import pools", fs.Target, fs.Source)
	case "9p", "virtiofs", "tmpfs", "ramfs", "cifs", "smb3", "ceph", "fuse":
		h.notice("%s is a %s from %q, which has no block device; name its root= yourself", fs.Target, fs.Type, fs.Source)
	default:
		h.notice("the device %q under %s is not in sysfs; name its drivers with --add-drivers", fs.Source, fs.Target)
	}
}

// addBtrfs adds the other devices of a btrfs.
func (h *Host) addBtrfs(t tree, fs *Filesystem, why string) {
	for _, id := range t.names("sys/fs/btrfs") {
		var all []string
		mine := false
		for _, dev := range t.names("sys/fs/btrfs/" + id + "/devices") {
			if p, ok := t.link("sys/fs/btrfs/" + id + "/devices/" + dev); ok {
				all = append(all, p)
				mine = mine || p == fs.node.Path
			}
		}
		if !mine {
			continue
		}
		fs.uuid = id
		for _, p := range all {
			h.stack.under(t, p, why, h.seen)
		}
	}
}

// readSwap adds the swap that a hibernated machine resumes from.
func (h *Host) readSwap(t tree) {
	if !t.has("sys/power/resume") {
		return
	}
	text, _ := t.text("proc/swaps")
	for _, source := range parseSwaps(text) {
		p, ok := t.blockPath("", source)
		if !ok || strings.HasPrefix(path.Base(p), "zram") {
			continue
		}
		fs := &Filesystem{Target: "swap", Type: "swap", Source: source, Why: "swap, to resume from"}
		fs.node = h.stack.under(t, p, "under the "+fs.Why, h.seen)
		fs.uuid = t.property(fs.node, "ID_FS_UUID", "by-uuid")
		h.filesystems = append(h.filesystems, fs)
		return // the kernel resumes from one
	}
}

// property is what udev knows of a device: from its database, or from a link
// below /dev/disk. It is empty if neither is there.
func (t tree) property(n *node, key, links string) string {
	if n == nil {
		return ""
	}
	text, _ := t.text("run/udev/data/b" + n.Dev)
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "E:"+key+"="); ok && n.Dev != "" {
			return strings.TrimSpace(v)
		}
	}
	for _, name := range t.names("dev/disk/" + links) {
		if to, ok := t.link("dev/disk/" + links + "/" + name); ok && to == "dev/"+n.Name {
			return name
		}
	}
	return ""
}

// judge says what of the stack has no maker here.
func (h *Host) judge() {
	for _, n := range h.stack.nodes {
		switch {
		case n.Kind == "dm" && n.DM.Kind == "":
			h.notice("%s, %s, is a device-mapper device of a kind that is not known here; add its driver with --add-drivers and make it in a hook", n.Label, h.stack.why[n])
		case n.Kind == "dm" && (n.DM.Kind == "verity" || n.DM.Kind == "integrity"):
			h.notice("%s, %s, is made by %s: its module comes along, but no feature here sets it up; use a hook", n.Label, h.stack.why[n], n.DM.Kind)
		case n.Kind == "bcache", n.Kind == "drbd", n.Kind == "rbd", n.Kind == "zd":
			h.notice("%s, %s, is made by %s: its module comes along, but no feature here sets it up; use a hook", n.Label, h.stack.why[n], n.Kind)
		case n.Kind == "loop":
			h.notice("%s, %s, is a file on another filesystem; name its root= yourself", n.Label, h.stack.why[n])
		}
	}
}

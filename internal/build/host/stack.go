package host

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// node is a block device and what it stands on.
type node struct {
	Path  string // sys/devices/.../block/sda/sda1
	Dev   string // MAJOR:MINOR
	Name  string // as below /dev: sda1, dm-0
	Label string // what people call it: /dev/mapper/vg-root, else /dev/NAME
	Kind  string // disk, partition, md, dm, loop, nbd, bcache, other
	DM    mapped
	Level string // md: raid1
	uuid  string // md: of the array
	Below []*node
	aside bool // the boot does not wait for it
	apart bool // crypt: its header is elsewhere, so that only crypttab tells what it is
}

// stack is what lies under the filesystems, each device once.
type stack struct {
	nodes []*node // tops before what they stand on
	why   map[*node]string
	nets  []netRoot
	iscsi []session
}

// blockPath finds a block device's folder from what mount calls its source.
func (t tree) blockPath(dev, source string) (string, bool) {
	if dev != "" && !strings.HasPrefix(dev, "0:") {
		if p, ok := t.link("sys/dev/block/" + dev); ok {
			return p, true
		}
	}
	if tag, v, ok := strings.Cut(source, "="); ok && !strings.HasPrefix(source, "/") {
		source = "/dev/disk/by-" + strings.ToLower(tag) + "/" + udevEncode(v)
	}
	name, ok := strings.CutPrefix(source, "/dev/")
	if !ok {
		return "", false
	}
	for range 8 { // links below /dev, of udev or of people
		to, isLink := t.link("dev/" + name)
		if !isLink {
			break
		}
		if name, ok = strings.CutPrefix(to, "dev/"); !ok {
			return "", false
		}
	}
	if p, ok := t.link("sys/class/block/" + strings.ReplaceAll(name, "/", "!")); ok {
		return p, true
	}
	// /dev/mapper/NAME and /dev/VG/LV without the links of udev.
	vg, lv, _ := strings.Cut(name, "/")
	want := lv
	if vg != "mapper" {
		want = strings.ReplaceAll(vg, "-", "--") + "-" + strings.ReplaceAll(lv, "-", "--")
	}
	for _, n := range t.names("sys/class/block") {
		if strings.HasPrefix(n, "dm-") && t.line("sys/class/block/"+n+"/dm/name") == want {
			return t.link("sys/class/block/" + n)
		}
	}
	return "", false
}

// udevEncode writes a tag's value as udev names its link: what is not plain
// becomes \xNN.
func udevEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x80 || strings.IndexByte("#+-.:=@_", c) >= 0 || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// under adds the device at p and all that it stands on.
func (s *stack) under(t tree, p, why string, seen map[string]*node) *node {
	if n := seen[p]; n != nil {
		return n
	}
	n := &node{Path: p, Name: devName(path.Base(p)), Dev: t.line(path.Join(p, "dev"))}
	n.Label = "/dev/" + n.Name
	seen[p] = n
	s.nodes = append(s.nodes, n)
	s.why[n] = why
	var below []string
	for _, slave := range t.names(path.Join(p, "slaves")) {
		if q, ok := t.link(path.Join(p, "slaves", slave)); ok {
			below = append(below, q)
		}
	}
	// A link leads to the folder of that name of the backing device.
	backing, cached := t.link(path.Join(p, "bcache"))
	switch {
	case cached:
		n.Kind = "bcache"
		below = append(below, path.Dir(backing))
	case t.has(path.Join(p, "partition")):
		n.Kind = "partition"
		below = append(below, path.Dir(p))
	case t.has(path.Join(p, "dm")):
		n.Kind = "dm"
		name := t.line(path.Join(p, "dm/name"))
		n.DM = parseMapped(t.line(path.Join(p, "dm/uuid")), name)
		if name != "" {
			n.Label = "/dev/mapper/" + name
		}
	case t.has(path.Join(p, "md")):
		n.Kind, n.Level = "md", t.line(path.Join(p, "md/level"))
		n.uuid = t.arrayUUID(n)
	case strings.HasPrefix(n.Name, "loop"):
		n.Kind = "loop"
	case strings.HasPrefix(n.Name, "nbd"):
		n.Kind = "nbd"
	case strings.HasPrefix(n.Name, "drbd"), strings.HasPrefix(n.Name, "rbd"), strings.HasPrefix(n.Name, "zd"):
		n.Kind = strings.TrimRight(n.Name, "0123456789")
	default:
		n.Kind = "disk"
	}
	for _, q := range slices.Compact(slices.Sorted(slices.Values(below))) {
		n.Below = append(n.Below, s.under(t, q, why, seen))
	}
	return n
}

// arrayUUID is the UUID of an md array as mdadm writes it: from the kernel (the
// newest ones say it), from udev, from its links.
func (t tree) arrayUUID(n *node) string {
	id := strings.ReplaceAll(t.line(path.Join(n.Path, "md/uuid")), "-", "")
	if len(id) == 32 {
		return id[:8] + ":" + id[8:16] + ":" + id[16:24] + ":" + id[24:]
	}
	if id = t.property(n, "MD_UUID", "by-id"); strings.Count(id, ":") == 3 && !strings.HasPrefix(id, "md-") {
		return id
	}
	for _, name := range t.names("dev/disk/by-id") {
		if v, ok := strings.CutPrefix(name, "md-uuid-"); ok {
			if to, ok := t.link("dev/disk/by-id/" + name); ok && to == "dev/"+n.Name {
				return v
			}
		}
	}
	return ""
}

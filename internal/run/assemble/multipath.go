package assemble

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bareroot/internal/run/device"
)

// multipath joins the paths to one disk: disks with the same world wide name.
// It acts where /etc/multipath.conf is in the ramdisk, as dracut does, or
// where rd.multipath=1 asks for it; rd.multipath=0 turns it off, and
// rd.multipath=default acts without a configuration.
type multipath struct {
	on     bool
	has    bool
	kpartx bool
}

func newMultipath(c Config) Assembler {
	v, given := c.Line.Get("rd.multipath")
	on := c.Line.Bool(false, "rd.multipath") || v == "default"
	if !given {
		on = c.Read("/etc/multipath.conf") != ""
	}
	return &multipath{on: on, has: c.Has("multipath"), kpartx: c.Has("kpartx")}
}

// wwid is a name that all paths to a disk have in common.
func wwid(b *device.Block) string {
	for _, p := range []string{"wwn-", "scsi-3", "scsi-S", "nvme-eui.", "nvme-uuid.", "nvme-nvme."} {
		for _, id := range b.IDs {
			if strings.HasPrefix(id, p) {
				return id
			}
		}
	}
	return ""
}

// paths groups whole disks by name.
func (m *multipath) paths(v View) map[string][]*device.Block {
	out := map[string][]*device.Block{}
	for _, b := range v.Blocks {
		if w := wwid(b); w != "" && b.Disk == "" && b.Part == 0 && !strings.HasPrefix(b.Name, "dm-") && !strings.HasPrefix(b.Name, "md") {
			out[w] = append(out[w], b)
		}
	}
	return out
}

func (m *multipath) Plan(v View) []Step {
	if !m.on || !m.has {
		return nil
	}
	var out []Step
	paths := m.paths(v)
	for _, w := range slices.Sorted(maps.Keys(paths)) {
		bs := paths[w]
		if len(bs) < 2 {
			continue
		}
		var ids []string
		for _, b := range bs {
			ids = append(ids, b.Name)
		}
		out = append(out, Step{Key: "multipath " + strings.Join(ids, " "), Why: fmt.Sprintf("paths to %s: %s", w, names(bs)),
			Argv: []string{"multipath", "-i", "-v2", "/dev/" + bs[len(bs)-1].Name}})
	}
	for _, d := range v.Mapped {
		// The kernel looks for no partitions on mapped devices.
		if m.kpartx && strings.HasPrefix(d.UUID, "mpath-") {
			out = append(out, partitions(d))
		}
	}
	return out
}

// partitions makes the devices of the partitions on a mapped device.
func partitions(d device.Mapped) Step {
	return Step{Key: "partitions of " + d.Name, Why: "partitions of " + d.Title,
		Argv: []string{"kpartx", "-a", "-n", "-p", "-part", "/dev/mapper/" + d.Title}}
}

// Missing holds the boot back while a disk with several paths is not joined.
func (m *multipath) Missing(v View) []string {
	if !m.on || !m.has {
		return nil
	}
	if !v.Settled && !v.Late {
		return []string{"all paths (rd.multipath)"}
	}
	var out []string
	for w, bs := range m.paths(v) {
		if len(bs) > 1 && !v.Late && !slices.ContainsFunc(v.Mapped, func(d device.Mapped) bool {
			return strings.HasPrefix(d.UUID, "mpath-") && slices.Contains(d.Under, bs[0].Name)
		}) {
			out = append(out, fmt.Sprintf("the paths %s to %s are not joined yet", names(bs), w))
		}
	}
	slices.Sort(out)
	return out
}

func (m *multipath) Left(v View) []string {
	if m.on && !m.has {
		return []string{"rd.multipath: " + lacks("multipath", "multipath")}
	}
	return nil
}

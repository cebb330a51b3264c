package assemble

import (
	"fmt"
	"slices"
	"strings"
)

// btrfs tells the kernel of the devices of filesystems that have several, and
// holds a mount back until all are there.
type btrfs struct{ degraded bool }

func newBtrfs(c Config) Assembler {
	flags, _ := c.Line.Get("rootflags")
	return &btrfs{slices.Contains(strings.Split(flags, ","), "degraded")}
}

func (m *btrfs) Plan(v View) []Step {
	var out []Step
	for _, b := range v.Blocks {
		if b.FS == "btrfs" && b.On.Count > 1 {
			out = append(out, Step{Key: "btrfs " + b.Name, Why: fmt.Sprintf("device %d of btrfs %s: %s", b.On.Dev, b.UUID, b.Name), Btrfs: "/dev/" + b.Name})
		}
	}
	return out
}

// Missing looks at the filesystem that is waited for only.
func (m *btrfs) Missing(v View) []string {
	for _, b := range v.Blocks {
		if b.Name != v.Found || b.FS != "btrfs" || b.On.Count < 2 {
			continue
		}
		var seen []string
		ids := map[int]bool{}
		for _, o := range v.Blocks {
			if o.FS == "btrfs" && o.UUID == b.UUID && !ids[o.On.Dev] {
				ids[o.On.Dev] = true
				seen = append(seen, fmt.Sprintf("device %d on %s", o.On.Dev, o.Name))
			}
		}
		if len(ids) >= b.On.Count || v.Late && m.degraded {
			return nil
		}
		s := fmt.Sprintf("btrfs %s has %d devices, seen are %s", b.UUID, b.On.Count, strings.Join(seen, ", "))
		var absent []string
		for n := 1; n <= b.On.Count; n++ {
			if !ids[n] {
				absent = append(absent, fmt.Sprint(n))
			}
		}
		if len(absent)+len(ids) == b.On.Count {
			s += "; missing: device " + strings.Join(absent, ", device ")
		}
		if !m.degraded {
			s += " (rootflags=degraded mounts it without)"
		}
		return []string{s}
	}
	return nil
}

func (m *btrfs) Left(View) []string { return nil }

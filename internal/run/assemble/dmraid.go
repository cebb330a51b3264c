package assemble

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/run/device"
)

// dmraid activates sets of firmware RAID that mdadm does not know (or may not
// use) with dmraid, as rd.dm.uuid= names them, or by the beginning of that.
type dmraid struct {
	policy
	sets   []string
	has    bool
	kpartx bool
	md     *md
}

func newDMRaid(c Config) Assembler {
	return &dmraid{policy: newPolicy(c.Line, "rd.dm"), sets: all(c.Line, "rd.dm.uuid"), has: c.Has("dmraid"), kpartx: c.Has("kpartx"), md: newMD(c).(*md)}
}

// disks are the whole disks, and whether some of them are members that mdadm
// takes, or some that it does not.
func (m *dmraid) disks(v View) (ids []string, mine, others bool) {
	for _, b := range v.Blocks {
		if b.Part > 0 || strings.HasPrefix(b.Name, "dm-") || strings.HasPrefix(b.Name, "md") {
			continue
		}
		ids = append(ids, b.Name)
		if firmware(b) {
			theirs := m.md.has && m.md.takes(b)
			others, mine = others || theirs, mine || !theirs
		}
	}
	return ids, mine, others
}

func (m *dmraid) Plan(v View) []Step {
	if !m.has || m.off {
		return nil
	}
	var out []Step
	ids, mine, others := m.disks(v)
	// Of most formats only dmraid knows the mark.
	if v.Settled && len(ids) > 0 && (len(m.sets) > 0 || mine && m.unnamed(v) || m.auto && !others) {
		what := "all sets of firmware RAID"
		if len(m.sets) > 0 {
			what = "sets of firmware RAID: " + strings.Join(m.sets, ", ")
		}
		out = append(out, Step{Key: "dmraid " + strings.Join(ids, " "), Why: "activate " + what, Sets: &RAIDSets{Names: m.sets, NoPartitions: m.kpartx}})
	}
	for _, d := range v.Mapped {
		// The kernel looks for no partitions on mapped devices.
		if m.kpartx && strings.HasPrefix(d.UUID, "DMRAID-") {
			out = append(out, partitions(d))
		}
	}
	return out
}

func (m *dmraid) Missing(v View) []string {
	var out []string
	for _, s := range m.sets {
		up := slices.ContainsFunc(v.Mapped, func(d device.Mapped) bool {
			return strings.HasPrefix(d.UUID, "DMRAID-") && strings.HasPrefix(d.Title, s) && v.read(d.Name)
		})
		switch {
		case m.off, up:
		case !m.has:
			out = append(out, fmt.Sprintf("set %s (rd.dm.uuid): %s", s, lacks("dmraid", "dmraid")))
		default:
			out = append(out, fmt.Sprintf("set %s (rd.dm.uuid): it is not active", s))
		}
	}
	return out
}

func (m *dmraid) Left(View) []string { return nil }

// RAIDSets are sets for dmraid to activate.
type RAIDSets struct {
	Names        []string // their beginnings; none: all
	NoPartitions bool     // kpartx makes the devices of partitions
}

// sets asks dmraid which sets there are and activates those that are meant.
func (e *Engine) sets(ctx context.Context, s *RAIDSets) error {
	e.Module("dm_mod")
	e.Module("dm_mirror")
	there, err := e.program(ctx, []string{"dmraid", "-s", "-c"}, "")
	if err != nil {
		return err
	}
	for _, set := range there {
		if strings.Contains(set, " ") || len(s.Names) > 0 && !slices.ContainsFunc(s.Names, func(n string) bool { return strings.HasPrefix(set, n) }) {
			continue
		}
		argv := []string{"dmraid", "-ay", "-i", "--rm_partitions"}
		if s.NoPartitions {
			argv = append(argv, "-p")
		}
		e.Log.Infof("activate set %s", set)
		if _, err := e.program(ctx, append(argv, set), ""); err != nil {
			return err
		}
	}
	return nil
}

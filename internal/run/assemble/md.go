package assemble

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

// md assembles arrays of Linux' own kind and of firmware's (Intel, DDF) with
// mdadm, a member at a time as they appear: mdadm starts an array as soon as it
// has all members that it had when it was last used.
type md struct {
	policy
	uuids   []string // digits
	imsm    bool
	ddf     bool
	options []string
	has     bool
}

func newMD(c Config) Assembler {
	m := &md{policy: newPolicy(c.Line, "rd.md"), has: c.Has("mdadm"),
		imsm: c.Line.Bool(true, "rd.md.imsm"), ddf: c.Line.Bool(true, "rd.md.ddf")}
	for _, u := range all(c.Line, "rd.md.uuid") {
		m.uuids = append(m.uuids, digits(u))
	}
	conf := c.Read("/etc/mdadm.conf") + c.Read("/etc/mdadm/mdadm.conf")
	switch {
	case !c.Line.Bool(true, "rd.md.conf") || !hasArrays(conf):
		// Arrays keep the names that they were made with: none is another machine's.
		m.options = []string{"--config=none", "--homehost=<ignore>"}
	}
	return m
}

// hasArrays says whether an mdadm.conf says anything about arrays or names:
// lines may go on in the next, which then begins with a blank.
func hasArrays(conf string) bool {
	for _, line := range strings.Split(conf, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		w := strings.ToLower(f[0])
		if len(w) >= 3 && (strings.HasPrefix("array", w) || strings.HasPrefix("homehost", w) && len(f) > 1 && f[1] != "<system>") {
			return true
		}
	}
	return false
}

// firmware says whether a device is a member of an array of the firmware's.
func firmware(b *device.Block) bool { return b.FS == "isw_raid_member" || b.FS == "ddf_raid_member" }

// takes says whether the words leave members of b's kind to mdadm.
func (m *md) takes(b *device.Block) bool {
	switch b.FS {
	case "linux_raid_member":
		return !m.off
	case "isw_raid_member":
		return !m.off && m.imsm
	case "ddf_raid_member":
		return !m.off && m.ddf
	}
	return false
}

// wants says whether a member is to be used.
func (m *md) wants(v View, b *device.Block) bool {
	switch {
	case !m.takes(b):
		return false
	case len(m.uuids) == 0:
		return m.unnamed(v)
	}
	// Which arrays firmware's metadata holds only mdadm can tell: a name stands for all.
	return firmware(b) || slices.Contains(m.uuids, digits(b.On.UUID))
}

func (m *md) Plan(v View) []Step {
	if !m.has {
		return nil
	}
	mdadm := func(key, why, dev string, mode ...string) Step {
		return Step{Key: key, Why: why, Argv: append(append(append([]string{"mdadm", "--incremental"}, mode...), m.options...), dev)}
	}
	var out []Step
	for _, b := range v.Blocks {
		if m.wants(v, b) {
			out = append(out, mdadm("md member "+b.Name, "member of an array: "+b.Name, "/dev/"+b.Name))
		}
	}
	for _, a := range v.Arrays {
		if a.Level == "container" {
			key := fmt.Sprintf("md container %s %s", a.Name, strings.Join(a.Members, " "))
			out = append(out, mdadm(key, "arrays in "+a.Name, "/dev/"+a.Name))
			if v.Late { // Intel's are not even assembled without all disks otherwise
				out = append(out, mdadm(key+" late", fmt.Sprintf("arrays in %s, with what there is: %s", a.Name, strings.Join(a.Members, ", ")), "/dev/"+a.Name, "--run"))
			}
			continue
		}
		if v.Late && !a.Up() && len(a.Members) > 0 {
			out = append(out, Step{Key: "md run " + a.Name + " " + strings.Join(a.Members, " "),
				Why:  fmt.Sprintf("%s lacks members; it is started with %s", a.Name, strings.Join(a.Members, ", ")),
				Argv: []string{"mdadm", "--run", "/dev/" + a.Name}})
		}
	}
	return out
}

// members of the array with these digits.
func members(v View, uuid string) []*device.Block {
	var out []*device.Block
	for _, b := range v.Blocks {
		if b.FS == "linux_raid_member" && digits(b.On.UUID) == uuid {
			out = append(out, b)
		}
	}
	return out
}

// arrayOf finds the array that stands on a member.
func arrayOf(v View, member string) (device.Array, bool) {
	for _, a := range v.Arrays {
		if slices.Contains(a.Members, member) {
			return a, true
		}
	}
	return device.Array{}, false
}

func (m *md) Missing(v View) []string {
	var out []string
	if m.off {
		return nil
	}
	foreign := slices.ContainsFunc(v.Blocks, firmware)
	for _, u := range m.uuids {
		got := members(v, u)
		if len(got) == 0 {
			// It may be one of firmware's arrays, which have no mark of ours.
			if foreign && slices.ContainsFunc(v.Arrays, func(a device.Array) bool { return a.External && a.Up() }) {
				continue
			}
			out = append(out, fmt.Sprintf("array %s (rd.md.uuid): no member seen", u))
			continue
		}
		a, ok := arrayOf(v, got[0].Name)
		switch {
		case ok && a.Up():
		case !m.has:
			out = append(out, fmt.Sprintf("array %s (rd.md.uuid) on %s: %s", u, names(got), lacks("mdadm", "mdraid")))
		case ok && a.Disks > 0:
			out = append(out, fmt.Sprintf("array %s (rd.md.uuid): %d of %d members seen (%s), it is not started", u, len(got), a.Disks, names(got)))
		default:
			out = append(out, fmt.Sprintf("array %s (rd.md.uuid): members seen: %s, it is not started", u, names(got)))
		}
	}
	return out
}

func (m *md) Left(v View) []string {
	var out []string
	for _, b := range v.Blocks {
		if !b.On.RAID() || b.FS == "array_raid_member" {
			continue
		}
		if a, ok := arrayOf(v, b.Name); ok {
			if !a.Up() && a.Level != "container" {
				out = append(out, fmt.Sprintf("array %s is not started, it has only %s", a.Name, strings.Join(a.Members, ", ")))
			}
			continue
		}
		switch {
		case !m.has:
			out = append(out, fmt.Sprintf("%s is a member of an array, but %s", b.Name, lacks("mdadm", "mdraid")))
		case m.off:
			out = append(out, fmt.Sprintf("%s is a member of an array, but rd.md=0", b.Name))
		case !m.takes(b):
			out = append(out, fmt.Sprintf("%s is a member of an array of the firmware, which rd.md.imsm=0 or rd.md.ddf=0 leaves alone", b.Name))
		case !m.wants(v, b) && len(m.uuids) > 0:
			out = append(out, fmt.Sprintf("%s is a member of array %s, which rd.md.uuid does not name", b.Name, b.On.UUID))
		case !m.wants(v, b):
			out = append(out, fmt.Sprintf("%s is a member of array %s, which nothing names (rd.md.uuid, rd.auto)", b.Name, b.On.UUID))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WaitClean is rd.md.waitclean: it waits until no array is being synchronised,
// however long that takes. An array that was only read so far is not
// synchronised before it may be written; so this comes after a resume from
// disk, which must find arrays as they were.
func (e *Engine) WaitClean(ctx context.Context) error {
	if !e.Line.Bool(false, "rd.md.waitclean") || !Has("mdadm") {
		return nil
	}
	for _, a := range e.Devices.Arrays() {
		if !a.Up() {
			continue
		}
		if a.State == "read-auto" {
			if _, err := e.program(ctx, []string{"mdadm", "--readwrite", "/dev/" + a.Name}, ""); err != nil {
				e.Log.Warnf("%v", err)
				continue // it would never be
			}
		}
		e.Log.Infof("waiting until %s is synchronised (rd.md.waitclean)", a.Name)
		// Its exit code says whether there was anything to wait for.
		if _, err := e.Run(ctx, []string{"mdadm", "--wait", "/dev/" + a.Name}, nil); err != nil {
			return err
		}
	}
	return nil
}

// mdadmFor is what the command line puts into mdadm's environment: it takes
// Intel's arrays only on a machine with Intel's firmware unless it is told so.
func mdadmFor(l cmdline.Line) []string {
	if v, ok := l.Get(noPlatform); ok {
		return []string{noPlatform + "=" + v}
	}
	return nil
}

// noPlatform is mdadm(8)'s own name for it.
const noPlatform = "IMSM_NO_PLATFORM"

// lacks is the reason when a program is not in the ramdisk.
func lacks(program, feature string) string {
	return "this ramdisk has no " + program + "; build it with --add-feature " + feature
}

// Package assemble makes block devices of other block devices: arrays, volume
// groups, encrypted devices, several paths to one disk. It decides from what
// appears ("this signature, or this word of the command line: make that
// device"); the programs of the distribution do the work. Roots, and later the
// roles that write disks, use the same assemblers.
//
// Each assembler is one file and one line in list. Its Plan is a pure function
// of what is seen; only the Engine runs anything. Words are dracut's (rd.md.*,
// rd.lvm.*, rd.luks.*, rd.multipath). What nobody names is assembled only
// under rd.auto=1, or when the boot lacks something without it. There is no
// udev here: device links come from package device.
package assemble

import (
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

// View is what decisions are made from.
type View struct {
	Blocks []*device.Block
	Arrays []device.Array
	Mapped []device.Mapped

	Want    string // the device that is waited for, as root= names it
	Found   string // its kernel name, "" if it is not there
	Why     string // what is known about why it is not there
	Auto    string // kernel name of the partition that root=gpt-auto means
	Lacking bool   // Want or something that the command line names is not there
	Settled bool   // all devices that there were have their drivers
	Late    bool   // most of the wait is over: what can be had in part is taken

	// Resolve gives the kernel name behind a path; nil: its last part.
	Resolve func(path string) string
}

// Step is one thing to do, once.
type Step struct {
	Key    string // the same for the same thing; it has the names of the devices as words
	Why    string
	Argv   []string  // a program of the ramdisk
	Unlock *Unlock   // or an encrypted device
	Sets   *RAIDSets // or sets of firmware RAID
	Btrfs  string    // or a device that the kernel is told of
}

// Assembler makes devices of one kind.
type Assembler interface {
	// Plan is all that v asks for, also what was done before.
	Plan(v View) []Step
	// Missing is what the command line names and is not there, with what is
	// known about why.
	Missing(v View) []string
	// Left is what could be made but is not, and which word would make it.
	Left(v View) []string
}

// Config is what assemblers are made from.
type Config struct {
	Line cmdline.Line // in its canonical spelling
	Has  func(program string) bool
	Read func(path string) string // a file of the ramdisk, "" if it is not there
	Warn func(text string)
}

// list is the visible list of assemblers, lower ones first.
func list(c Config) []Assembler {
	return []Assembler{
		newMultipath(c),
		newMD(c),
		newDMRaid(c),
		newLUKS(c),
		newLVM(c),
		newBtrfs(c),
	}
}

// policy decides whether what nobody names is made.
type policy struct {
	off   bool // rd.md=0 and the like
	auto  bool // rd.auto=1
	never bool // rd.auto=0
}

func newPolicy(l cmdline.Line, keys ...string) policy {
	p := policy{off: !l.Bool(true, keys...)}
	if _, given := l.Last("rd.auto"); given {
		p.auto = l.Bool(false, "rd.auto")
		p.never = !p.auto
	}
	return p
}

// unnamed says whether something is made that no word names.
func (p policy) unnamed(v View) bool {
	return !p.off && (p.auto || !p.never && v.Settled && v.Lacking)
}

// all joins the values of several words, in order.
func all(l cmdline.Line, keys ...string) []string {
	var out []string
	for _, w := range l {
		if slices.Contains(keys, w.Key) && w.Value != "" {
			out = append(out, w.Value)
		}
	}
	return out
}

// naming are the words that name a device to be made.
var naming = []string{
	"rd.md.uuid", "rd.lvm.vg", "rd.lvm.lv", "rd.dm.uuid", "rd.luks.uuid", "rd.luks.name", "rd.luks.partuuid", "rd.luks.serial", "rd.luks.data",
}

// namesAnything says whether a line asks for devices to be assembled at all.
func namesAnything(l cmdline.Line) bool {
	return len(all(l, naming...)) > 0 || l.Bool(false, "rd.auto")
}

// digits is a UUID in any spelling, to compare.
func digits(uuid string) string {
	return strings.ToLower(strings.NewReplacer(":", "", "-", "").Replace(uuid))
}

// is says whether a form (UUID=..., a path) names b.
func (v View) is(b *device.Block, form string) bool {
	if k, val, ok := strings.Cut(form, "="); ok && !strings.HasPrefix(form, "/") {
		switch k {
		case "UUID":
			return strings.EqualFold(b.UUID, val) && val != ""
		case "LABEL":
			return b.Label == val && val != ""
		case "PARTUUID":
			return strings.EqualFold(b.PartUUID, val) && val != ""
		case "PARTLABEL":
			return b.PartLabel == val && val != ""
		}
		return false
	}
	if vg, lv, ok := volume(form); ok {
		for _, m := range v.Mapped {
			if m.Title == title(vg, lv) {
				return b.Name == m.Name
			}
		}
	}
	if v.Resolve != nil {
		return v.Resolve(form) == b.Name
	}
	return filepath.Base(form) == b.Name
}

// mapped finds a mapped device by its title.
func (v View) mapped(title string) (device.Mapped, bool) {
	for _, m := range v.Mapped {
		if m.Title == title {
			return m, true
		}
	}
	return device.Mapped{}, false
}

// read says whether a device is known with its content.
func (v View) read(name string) bool {
	return slices.ContainsFunc(v.Blocks, func(b *device.Block) bool { return b.Name == name })
}

// under says whether something is made of device name.
func (v View) under(name string) bool {
	for _, m := range v.Mapped {
		if slices.Contains(m.Under, name) {
			return true
		}
	}
	for _, a := range v.Arrays {
		if slices.Contains(a.Members, name) {
			return true
		}
	}
	return false
}

// names lists devices.
func names(bs []*device.Block) string {
	var out []string
	for _, b := range bs {
		out = append(out, b.Name)
	}
	return strings.Join(out, ", ")
}

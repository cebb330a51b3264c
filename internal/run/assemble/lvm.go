package assemble

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

// lvm activates logical volumes with the lvm program, each time physical
// volumes were added. It may use only devices that hold physical volumes and
// are not parts of something else, so that it reads no others.
type lvm struct {
	policy
	vgs, lvs []string
	has      bool
}

func newLVM(c Config) Assembler {
	return &lvm{policy: newPolicy(c.Line, "rd.lvm"), vgs: all(c.Line, "rd.lvm.vg"), lvs: all(c.Line, "rd.lvm.lv"),
		has: c.Has("lvm")}
}

// title is the device mapper's name of a logical volume.
func title(vg, lv string) string {
	twice := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	return twice(vg) + "-" + twice(lv)
}

// folders are those below /dev that are no volume groups.
var folders = []string{"mapper", "disk", "md", "block", "char", "bus", "input", "net", "nvme", "cciss", "ida", "rd", "etherd", "i2o", "mmc", "nbd", "ubi", "zvol", "loop"}

// volume reads /dev/VG/LV and /dev/mapper/VG-LV.
func volume(form string) (vg, lv string, ok bool) {
	rest, ok := strings.CutPrefix(form, "/dev/")
	if !ok {
		return "", "", false
	}
	if t, ok := strings.CutPrefix(rest, "mapper/"); ok {
		const mark = "\x00"
		vg, lv, ok = strings.Cut(strings.ReplaceAll(t, "--", mark), "-")
		back := func(s string) string { return strings.ReplaceAll(s, mark, "-") }
		return back(vg), back(lv), ok && vg != "" && lv != "" && !strings.Contains(t, "/")
	}
	vg, lv, ok = strings.Cut(rest, "/")
	return vg, lv, ok && vg != "" && lv != "" && !strings.Contains(lv, "/") && !slices.Contains(folders, vg)
}

// pvs are the physical volumes that can be used.
func (m *lvm) pvs(v View) []*device.Block {
	var out []*device.Block
	for _, b := range v.Blocks {
		if b.FS != "LVM2_member" {
			continue
		}
		// A path to a disk that multipath has taken.
		if slices.ContainsFunc(v.Mapped, func(d device.Mapped) bool {
			return strings.HasPrefix(d.UUID, "mpath-") && slices.Contains(d.Under, b.Name)
		}) {
			continue
		}
		out = append(out, b)
	}
	return out
}

// targets are the volume groups and volumes to activate; none of either: all.
func (m *lvm) targets(v View) (lvs, vgs []string, any bool) {
	if m.off {
		return nil, nil, false
	}
	if len(m.vgs)+len(m.lvs) > 0 {
		return m.lvs, m.vgs, true
	}
	if m.auto || m.unnamed(v) {
		return nil, nil, true
	}
	if vg, lv, ok := volume(v.Want); ok && !m.never {
		return []string{vg + "/" + lv}, nil, true
	}
	return nil, nil, false
}

func (m *lvm) Plan(v View) []Step {
	pvs := m.pvs(v)
	lvs, vgs, any := m.targets(v)
	if !m.has || !any || len(pvs) == 0 {
		return nil
	}
	var ids []string
	filter := `devices { filter = [`
	for _, b := range pvs {
		ids = append(ids, b.Name)
		filter += ` "a|^/dev/` + b.Name + `$|",`
	}
	filter += ` "r|.*|" ] scan_lvs = 1 use_devicesfile = 0 }`
	mode := "complete"
	if v.Late {
		mode = "degraded"
	}
	run := func(verb string, target ...string) Step {
		argv := []string{"lvm", verb, "-ay", "--yes", "--ignorelockingfailure", "--ignoremonitoring", "--poll", "n", "--noudevsync",
			"--activationmode", mode, "--config", settings + " " + filter}
		what := strings.Join(target, " ")
		if what == "" {
			what = "all volume groups"
		}
		return Step{Key: fmt.Sprintf("lvm %s %s %s on %s", verb, what, mode, strings.Join(ids, " ")),
			Why: fmt.Sprintf("activate %s on %s", what, names(pvs)), Argv: append(argv, target...)}
	}
	var out []Step
	for _, lv := range lvs {
		if vg, name, ok := strings.Cut(lv, "/"); ok {
			if _, up := v.mapped(title(vg, name)); up {
				continue
			}
		}
		out = append(out, run("lvchange", lv))
	}
	if len(lvs) == 0 || len(vgs) > 0 {
		out = append(out, run("vgchange", vgs...))
	}
	return out
}

// settings keep lvm from waiting for daemons that a ramdisk does not have.
const settings = `activation { udev_sync = 0 udev_rules = 0 monitoring = 0 } devices { obtain_device_list_from_udev = 0 external_device_info_source = "none" multipath_component_detection = 0 } global { event_activation = 0 } log { prefix = "" }`

func (m *lvm) Missing(v View) []string {
	var out []string
	if m.off {
		return nil
	}
	for _, lv := range m.lvs {
		vg, name, _ := strings.Cut(lv, "/")
		d, up := v.mapped(title(vg, name))
		if up && v.read(d.Name) {
			continue
		}
		out = append(out, fmt.Sprintf("volume %s (rd.lvm.lv): %s", lv, m.why(v)))
	}
	return out
}

func (m *lvm) why(v View) string {
	switch pvs := m.pvs(v); {
	case len(pvs) == 0:
		return "no physical volume seen"
	case !m.has:
		return lacks("lvm", "lvm")
	default:
		return "physical volumes seen: " + names(pvs)
	}
}

func (m *lvm) Left(v View) []string {
	pvs := m.pvs(v)
	if len(pvs) == 0 {
		return nil
	}
	lvs, vgs, any := m.targets(v)
	switch {
	case m.off:
		return []string{names(pvs) + ": physical volumes, but rd.lvm=0"}
	case !m.has:
		return []string{names(pvs) + ": physical volumes, but " + lacks("lvm", "lvm")}
	case !any:
		return []string{names(pvs) + ": physical volumes, of which nothing is named (rd.lvm.vg, rd.lvm.lv, rd.auto)"}
	case len(lvs)+len(vgs) > 0:
		return []string{names(pvs) + ": physical volumes; only " + strings.Join(slices.Concat(lvs, vgs), ", ") + " were asked for"}
	}
	return nil
}

// lvmFor is the environment of lvm.
func lvmFor(l cmdline.Line) []string {
	env := []string{"LVM_SUPPRESS_FD_WARNINGS=1"}
	if !l.Bool(true, "rd.lvm.conf") {
		env = append(env, "LVM_SYSTEM_DIR=") // no lvm.conf
	}
	return env
}

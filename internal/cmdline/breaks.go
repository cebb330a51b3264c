package cmdline

import (
	"slices"
	"strings"
)

// SwitchRoot stands among the stages for the moment after the last one.
const SwitchRoot = "switch-root"

// bareToo says whether a word that takes a choice may stand without one.
func bareToo(name string) bool {
	switch name {
	case "rd.break", "break", "rd.emergency", "rd.driver.export", "systemd.volatile":
		return true
	}
	return false
}

// DebianSteps are the steps of initramfs-tools's break=, in their order there,
// each with the stage before which the same is still to come.
var DebianSteps = [...][2]string{
	{"top", "cmdline"}, {"modules", "pre-udev"}, {"premount", "initqueue"}, {"mount", "pre-mount"}, {"mountroot", "mount"}, {"bottom", "pre-pivot"}, {"init", SwitchRoot},
}

// Break says whether the line asks for a shell before the stage, and by which
// word: rd.break, which bare stands for SwitchRoot; initramfs-tools's break;
// and the two targets that a systemd in a ramdisk stops at.
func (l Line) Break(stage string) (word string, ok bool) {
	for _, w := range l {
		switch w.Key {
		case "rd.break", "rdbreak":
			ok = w.Value == stage || w.Value == "" && stage == SwitchRoot
		case "break":
			steps := strings.Split(w.Value, ",")
			if w.Value == "" {
				steps = []string{"premount"}
			}
			for _, s := range DebianSteps {
				ok = ok || s[1] == stage && slices.Contains(steps, s[0])
			}
		case "rd.emergency": // with a value it is dracut's: what follows a failure
			ok = w.Bare && stage == "pre-udev"
		case "rd.rescue":
			ok = stage == "initqueue"
		case "rd.systemd.unit":
			unit := strings.TrimSuffix(w.Value, ".target")
			ok = unit == "emergency" && stage == "pre-udev" || unit == "rescue" && stage == "initqueue"
		}
		if ok {
			return w.String(), true
		}
	}
	return "", false
}

// Breaks says whether the line asks for a shell anywhere.
func (l Line) Breaks() bool {
	for _, s := range append(Stages[:], SwitchRoot, "pre-shutdown", "shutdown") {
		if _, ok := l.Break(s); ok {
			return true
		}
	}
	return false
}

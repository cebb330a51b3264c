package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/human"
)

// What templates get is text that is ready to be shown: they make no choices
// that a test of this file could not see.

// pair is a line of a description list.
type pair struct{ Key, Value string }

// pairs sorts a map by key.
func pairs[V any](m map[string]V) []pair {
	var out []pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{k, fmt.Sprint(m[k])})
	}
	return out
}

// clock is a time in the forms that pages use; all empty for the zero time.
type clock struct{ ISO, Full, Clock, Ago string }

func (s *Site) clock(t time.Time) clock {
	if t.IsZero() {
		return clock{}
	}
	local := t.In(s.cfg.Zone)
	return clock{
		ISO:   t.UTC().Format("2006-01-02T15:04:05.000Z"),
		Full:  local.Format("2006-01-02 15:04:05 MST"),
		Clock: local.Format("15:04:05"),
		Ago:   ago(s.cfg.Now().Sub(t)),
	}
}

// ago is coarse, and the same as the script's.
func ago(d time.Duration) string {
	s := int(max(d, 0).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s ago", s)
	case s < 3600:
		return fmt.Sprintf("%d min ago", s/60)
	case s < 172800:
		return fmt.Sprintf("%d h ago", s/3600)
	}
	return fmt.Sprintf("%d days ago", s/86400)
}

// row is a machine in the list.
type row struct {
	ID, Name, MAC, Power string
	Status, Tone         string
	Progress             bool
	Percent              int64
	FirmwareName         string
	Phase, Message       string
	Failed               bool
	Warnings             []string
	Rate, ETA            string
	Seen                 clock
}

func (s *Site) row(m *api.Machine) row {
	r := row{
		ID: m.ID, Name: cmp.Or(m.Name, m.ID), Power: m.Power,
		Status: status(m), Tone: tone(m),
		Phase: m.Phase, Message: m.Message, Failed: m.Failed, Warnings: m.Warnings,
		Seen: s.clock(m.Seen),
	}
	if len(m.MACs) > 0 {
		r.MAC = m.MACs[0]
	}
	switch m.Firmware {
	case "uefi", "bios":
		r.FirmwareName = strings.ToUpper(m.Firmware)
	default:
		r.FirmwareName = m.Firmware
	}
	if o := m.Order; o != nil && o.State == api.StateRunning && o.Progress != nil {
		p := o.Progress
		if p.Total > 0 {
			r.Progress, r.Percent = true, min(max(p.Done, 0)*100/p.Total, 100)
		}
		if p.Rate > 0 {
			r.Rate = human.Rate(p.Rate)
			if left := p.Total - p.Done; left > 0 {
				r.ETA = eta(left / p.Rate)
			}
		}
	}
	return r
}

// status leaves out what stands beside it as the message.
func status(m *api.Machine) string {
	if why, ok := strings.CutPrefix(m.Status, "failed: "); ok && why == m.Message {
		return "failed"
	}
	return cmp.Or(m.Status, "unknown")
}

// eta is whole seconds, as an estimate has no tenths.
func eta(seconds int64) string {
	if seconds < 60 {
		return fmt.Sprintf("%d s", seconds)
	}
	return human.Duration(time.Duration(seconds) * time.Second)
}

// tone is the colour of a machine's status word. The word itself is the
// inventory's; the colour only repeats it.
func tone(m *api.Machine) string {
	switch {
	case m.Failed || m.Approval == api.ApprovalHeld || strings.HasPrefix(m.Status, "parked") || strings.HasPrefix(m.Status, "failed"):
		return "bad"
	case m.Order != nil && open(m.Order.State) && m.Order.State != api.StateQueued:
		return "busy"
	case m.Approval == api.ApprovalNew:
		return "note"
	case m.Order != nil && m.Order.State == api.StateDone:
		return "good"
	}
	return "calm"
}

func open(state string) bool {
	return state == api.StateQueued || state == api.StateSent || state == api.StateRunning
}

// orderTone is the colour of an order's state.
func orderTone(state string) string {
	switch state {
	case api.StateDone:
		return "good"
	case api.StateFailed:
		return "bad"
	case api.StateSent, api.StateRunning:
		return "busy"
	}
	return "calm"
}

// imageView is a system image in the list.
type imageView struct {
	Name, Format, Size, RawSize, SHA256, Problem string
	Verified                                     clock
}

func (s *Site) imageView(i api.Image) imageView {
	v := imageView{Name: i.Name, Format: i.Format, Size: human.Bytes(i.Size), RawSize: "–", SHA256: i.SHA256, Problem: i.Problem, Verified: s.clock(i.Verified)}
	if i.Compression != "" {
		v.Format += ", " + i.Compression
	}
	if i.RawSize > 0 {
		v.RawSize = human.Bytes(i.RawSize)
	}
	return v
}

// bootSetView is a boot set in the list.
type bootSetView struct {
	Name, Kernel, Arch, Size, ID string
	Default                      bool
	Added                        clock
}

func (s *Site) bootSetView(b api.BootSet) bootSetView {
	return bootSetView{b.Name, b.Kernel, b.Arch, human.Bytes(b.Size), b.ID, b.Default, s.clock(b.Added)}
}

// imageChoice is an image in the form.
type imageChoice struct{ Name, Label string }

func choice(i api.Image) imageChoice {
	what := "written to the disk"
	if kindFor(i) == api.KindRoot {
		what = "run from memory"
	}
	return imageChoice{i.Name, fmt.Sprintf("%s · %s, %s · %s", i.Name, i.Format, human.Bytes(cmp.Or(i.RawSize, i.Size)), what)}
}

// kindFor is the order that suits an image: a squashfs is a root to run, the
// rest are bytes for a disk.
func kindFor(i api.Image) string {
	if i.Format == "squashfs" {
		return api.KindRoot
	}
	return api.KindDeploy
}

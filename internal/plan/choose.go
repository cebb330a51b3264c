package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/human"
)

// choose applies the target rule: all fields of the hint must match; of the
// disks that match and can take the image there must be exactly one. reasons
// says of each other disk why it is not taken. chosen is -1 without one.
func choose(disks []disk.Info, h api.DiskHint, need int64) (chosen int, reasons []string, err error) {
	chosen = -1
	reasons = make([]string, len(disks))
	var fits []int
	var matched []string // disks that the hint names but that cannot be used
	for i, d := range disks {
		if r := mismatch(d, h); r != "" {
			reasons[i] = r
			continue
		}
		if r := unfit(d, h, need); r != "" {
			reasons[i] = r
			if h != (api.DiskHint{}) {
				matched = append(matched, fmt.Sprintf("%s: %s", name(d), r))
			}
			continue
		}
		fits = append(fits, i)
	}
	switch {
	case len(disks) == 0:
		return -1, reasons, errors.New("this machine has no disks (or the ramdisk has no driver for them)")
	case len(fits) == 1:
		return fits[0], reasons, nil
	case len(fits) > 1:
		var names []string
		for _, i := range fits {
			names = append(names, name(disks[i]))
			reasons[i] = "one of several that fit"
		}
		return -1, reasons, fmt.Errorf("%d disks fit, and bareroot does not guess: %s; name one in the order (--disk, --serial or --wwn)", len(fits), strings.Join(names, ", "))
	case len(matched) > 0:
		return -1, reasons, fmt.Errorf("the disk that the order names cannot be used: %s", strings.Join(matched, "; "))
	}
	var all []string
	for i, d := range disks {
		all = append(all, fmt.Sprintf("%s: %s", name(d), reasons[i]))
	}
	if h != (api.DiskHint{}) {
		return -1, reasons, fmt.Errorf("no disk is what the order names (%s): %s", hintText(h), strings.Join(all, "; "))
	}
	return -1, reasons, fmt.Errorf("no disk can take the image: %s", strings.Join(all, "; "))
}

// mismatch is the first field of the hint that the disk does not meet.
func mismatch(d disk.Info, h api.DiskHint) string {
	switch {
	case h.Path != "" && h.Path != d.Path && !slices.Contains(d.Links, h.Path):
		return fmt.Sprintf("not %s", h.Path)
	case h.Serial != "" && h.Serial != d.Serial:
		return fmt.Sprintf("serial is %q, not %q", d.Serial, h.Serial)
	case h.WWN != "" && normalWWN(h.WWN) != normalWWN(d.WWN):
		return fmt.Sprintf("wwn is %q, not %q", d.WWN, h.WWN)
	case h.Model != "" && h.Model != d.Model:
		return fmt.Sprintf("model is %q, not %q", d.Model, h.Model)
	case h.MinSize > 0 && d.Size < h.MinSize:
		return fmt.Sprintf("smaller than %s", human.Bytes(h.MinSize))
	case h.MaxSize > 0 && d.Size > h.MaxSize:
		return fmt.Sprintf("larger than %s", human.Bytes(h.MaxSize))
	}
	return ""
}

// unfit says why a disk cannot be written. A removable one can if the order
// names it by more than its size.
func unfit(d disk.Info, h api.DiskHint, need int64) string {
	named := h.Path != "" || h.Serial != "" || h.WWN != ""
	switch {
	case d.InUse != "":
		return d.InUse
	case d.ReadOnly:
		return "read-only"
	case d.Size < need:
		return fmt.Sprintf("too small: %d bytes, the image needs %d", d.Size, need)
	case d.Removable && !named:
		return "removable"
	case d.Transport == "usb" && !named:
		return "on USB"
	}
	return ""
}

// normalWWN makes 0x5000..., naa.5000... and wwn-0x5000... one.
func normalWWN(s string) string {
	s = strings.ToLower(s)
	for _, p := range []string{"wwn-", "0x", "naa."} {
		s = strings.TrimPrefix(s, p)
	}
	return s
}

func name(d disk.Info) string {
	return fmt.Sprintf("%s (%s, %s)", d.Path, d.ID, human.Bytes(d.Size))
}

func hintText(h api.DiskHint) string {
	var out []string
	for _, f := range []struct{ k, v string }{{"path", h.Path}, {"serial", h.Serial}, {"wwn", h.WWN}, {"model", h.Model}} {
		if f.v != "" {
			out = append(out, f.k+" "+f.v)
		}
	}
	if h.MinSize > 0 {
		out = append(out, "at least "+human.Bytes(h.MinSize))
	}
	if h.MaxSize > 0 {
		out = append(out, "at most "+human.Bytes(h.MaxSize))
	}
	return strings.Join(out, ", ")
}

package host

import "strings"

// mapped says what a device-mapper device is, by the UUID that its maker gave
// it, the only mark that sysfs has.
type mapped struct {
	Kind string // lvm, crypt, multipath, partition, dmraid, verity, integrity; "" = not known
	VG   string // lvm: from the name
	LV   string
	Hide bool   // lvm: a part of another LV, not one that people see
	Type string // crypt: LUKS1, LUKS2, PLAIN, TCRYPT, BITLK, ...
	UUID string // crypt: of the LUKS header, with dashes
}

func parseMapped(uuid, name string) mapped {
	prefix, rest, _ := strings.Cut(uuid, "-")
	switch {
	case prefix == "LVM":
		m := mapped{Kind: "lvm"}
		m.VG, m.LV, m.Hide = splitLV(name)
		m.Hide = m.Hide || len(rest) > 64 // "-tpool", "-real" and so on
		return m
	case prefix == "CRYPT":
		kind, after, _ := strings.Cut(rest, "-")
		m := mapped{Kind: "crypt", Type: kind}
		switch kind {
		case "LUKS1", "LUKS2":
			id, _, _ := strings.Cut(after, "-")
			m.UUID = dashed(id)
		case "VERITY", "INTEGRITY":
			m.Kind = strings.ToLower(kind)
		}
		return m
	case prefix == "mpath":
		return mapped{Kind: "multipath"}
	case prefix == "DMRAID":
		return mapped{Kind: "dmraid"}
	case strings.HasPrefix(prefix, "part") && digits(prefix[4:]):
		if strings.HasPrefix(rest, "DMRAID-") {
			return mapped{Kind: "dmraid", Hide: true}
		}
		return mapped{Kind: "partition"} // kpartx: part1-mpath-WWID
	}
	return mapped{}
}

// splitLV takes a device-mapper name of lvm2 apart: VG-LV, or VG-LV-LAYER of a
// hidden one; a dash in a name is written twice.
func splitLV(name string) (vg, lv string, layered bool) {
	var parts []string
	start := 0
	for i := 0; i < len(name); i++ {
		if name[i] != '-' {
			continue
		}
		if i+1 < len(name) && name[i+1] == '-' {
			i++
			continue
		}
		parts = append(parts, name[start:i])
		start = i + 1
	}
	parts = append(parts, name[start:])
	if len(parts) < 2 {
		return "", "", false
	}
	undash := func(s string) string { return strings.ReplaceAll(s, "--", "-") }
	return undash(parts[0]), undash(parts[1]), len(parts) > 2
}

// dashed writes a UUID that has lost its dashes.
func dashed(s string) string {
	if len(s) != 32 {
		return s
	}
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// layerModules are what device-mapper needs for the hidden parts of an LV, by
// the end of the part's name.
func layerModules(name string) []string {
	switch {
	case strings.HasSuffix(name, "-tpool"), strings.Contains(name, "_tdata"), strings.Contains(name, "_tmeta"):
		return []string{"dm_thin_pool"}
	case strings.Contains(name, "_rimage_"), strings.Contains(name, "_rmeta_"):
		return []string{"dm_raid"}
	case strings.Contains(name, "_mimage_"), strings.Contains(name, "_mlog"):
		return []string{"dm_mirror", "dm_log"}
	case strings.Contains(name, "_cdata"), strings.Contains(name, "_cmeta"), strings.Contains(name, "_cpool"), strings.Contains(name, "_cvol"):
		return []string{"dm_cache", "dm_cache_smq"}
	case strings.Contains(name, "_wcorig"):
		return []string{"dm_writecache"}
	case strings.HasSuffix(name, "-real"), strings.HasSuffix(name, "-cow"):
		return []string{"dm_snapshot"}
	case strings.HasSuffix(name, "-vpool"), strings.Contains(name, "_vdata"):
		return []string{"dm_vdo", "kvdo"}
	case strings.Contains(name, "_imeta"), strings.Contains(name, "_iorig"):
		return []string{"dm_integrity"}
	}
	return nil
}

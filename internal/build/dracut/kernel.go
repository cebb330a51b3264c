package dracut

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernel is which one, and where its modules and firmware are.
func (p *Plan) kernel(a *Args, m Machine) error {
	v, o := p.Vars, &p.Build
	o.Kver = a.kernel()
	if o.Kver == "" && a.Compat == "ng" && v.text("sysroot") != "" {
		o.Kver = newest(filepath.Join(v.text("sysroot"), "lib/modules"))
	}
	if o.Kver == "" {
		o.Kver = m.Release
	}
	if strings.ContainsAny(o.Kver, "/\n") || o.Kver == "." || o.Kver == ".." {
		return fmt.Errorf("%q is no kernel version", o.Kver)
	}
	if dir := strings.TrimRight(v.text("drivers_dir"), "/"); dir != "" {
		parent, base := filepath.Split(dir)
		switch override := m.Getenv("DRACUT_KMODDIR_OVERRIDE") != ""; {
		case !override && base != o.Kver:
			return fmt.Errorf("--kmoddir %s is not of kernel %s; DRACUT_KMODDIR_OVERRIDE=1 allows it", dir, o.Kver)
		case !override && !strings.HasSuffix(parent, "/lib/modules/"):
			return fmt.Errorf("--kmoddir %s is not in a folder lib/modules; DRACUT_KMODDIR_OVERRIDE=1 allows it", dir)
		}
		o.ModulesDir = dir
	}
	o.FirmwareDir = p.firmware(o.Kver)
	return nil
}

// hasMicrocode says whether there is any. Where none is installed and nobody
// asked for it, its absence is not worth a word.
func (p *Plan) hasMicrocode() bool {
	for _, d := range []string{"lib/firmware/intel-ucode", "lib/firmware/amd-ucode", "usr/lib/firmware/intel-ucode", "usr/lib/firmware/amd-ucode"} {
		if isDir(filepath.Join(p.Build.Sysroot, d)) {
			return true
		}
	}
	return false
}

// newest is the last folder by version.
func newest(dir string) string {
	entries, _ := os.ReadDir(dir) // none: the running kernel's version is taken
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return ""
	}
	return slices.MaxFunc(names, compareNames)
}

// firmware are the folders to read that are there, without those that are looked
// into anyway, below one of the others.
func (p *Plan) firmware(kver string) string {
	dirs := strings.FieldsFunc(strings.Join(p.Vars.list("fw_dir"), ":"), func(r rune) bool { return r == ':' })
	var out []string
	for _, d := range dirs {
		below := slices.ContainsFunc([]string{"/updates/" + kver, "/updates", "/" + kver}, func(sub string) bool {
			parent, ok := strings.CutSuffix(d, sub)
			return ok && slices.Contains(dirs, parent)
		})
		switch {
		case below:
		case isDir(d):
			out = append(out, d)
		default:
			p.notice("--fwdir: %s is not there", d)
		}
	}
	if len(dirs) > 0 && len(out) == 0 {
		p.Build.Firmware = []string{"none"}
	}
	return strings.Join(compact(out), ":")
}

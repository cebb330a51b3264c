package dracut

import (
	"os"
	"path/filepath"
	"strings"
)

// output is the image's file: what the command line names, or where dracut puts
// it.
func (p *Plan) output(a *Args, m Machine) error {
	p.Output = a.Output
	if p.Output == "" {
		p.Output = p.defaultOutput(m)
	}
	// A link is written through, as dracut does.
	if real, err := filepath.EvalSymlinks(p.Output); err == nil {
		p.Output = real
	}
	return nil
}

// defaultOutput goes by what is there: folders of the Boot Loader
// Specification, an initrd beside the modules, and /boot at last.
func (p *Plan) defaultOutput(m Machine) string {
	v, kver := p.Vars, p.Build.Kver
	root := v.text("sysroot")
	id := ""
	if v.text("machine_id") != "no" {
		id = "Default"
		switch {
		case isDir(root + "/efi/Default"), isDir(root + "/boot/Default"), isDir(root + "/boot/efi/Default"):
		default:
			if b, err := os.ReadFile(root + "/etc/machine-id"); err == nil {
				id, _, _ = strings.Cut(strings.TrimSpace(string(b)), "\n")
			}
		}
	}
	for _, d := range []string{"/efi", "/boot", "/boot/efi"} {
		if id != "" && isDir(root+d+"/loader/entries") && isDir(root+d+"/"+id) {
			return root + d + "/" + id + "/" + kver + "/initrd"
		}
	}
	if fi, err := os.Stat(root + "/lib/modules/" + kver + "/initrd"); err == nil && fi.Mode().IsRegular() {
		return root + "/lib/modules/" + kver + "/initrd"
	}
	name := v.text("initrdname")
	if name == "" {
		name = "initramfs-" + kver + ".img"
		if _, err := os.Stat(root + "/etc/debian_version"); err == nil {
			name = "initrd.img-" + kver
		}
	}
	if _, err := os.Stat(root + "/boot/vmlinuz-" + kver); err != nil && root == "" && id != "" {
		for _, d := range []string{"/efi", "/boot/efi"} {
			if m.Mountpoint(d) {
				return d + "/" + id + "/" + kver + "/initrd"
			}
		}
	}
	return root + "/boot/" + name
}

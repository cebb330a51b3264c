package dracut

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bareroot/internal/build"
)

// compress says with what. What Go cannot write becomes zstd, which every kernel
// that is likely to be met can unpack.
func (p *Plan) compress(a *Args, m Machine) error {
	v, o := p.Vars, &p.Build
	words := v.list("compress")
	if v.yes("no_compress") {
		words = []string{"cat"}
	}
	if len(words) == 0 {
		words = []string{map[string]string{"ng": "zstd"}[a.Compat]}
	}
	name := path.Base(words[0])
	switch name {
	case "", ".", "gzip", "pigz":
		o.Compress = "gzip"
	case "cat", "none":
		o.Compress = "none"
	case "zstd", "xz", "lz4":
		o.Compress = name
	case "bzip2", "lbzip2", "lzma", "lzop", "lzo":
		o.Compress = "zstd"
		p.notice("%s cannot be written here: zstd instead", name)
	default:
		p.notice("compressor %q is not known, there are gzip, xz, lz4, zstd and cat: the default is taken", strings.Join(words, " "))
		o.Compress = orElse(map[string]string{"ng": "zstd"}[a.Compat], "gzip")
		return nil
	}
	level := orElse(v.text("compress_level"), v.text("compress_level_"+name))
	for _, w := range words[1:] {
		if n := strings.TrimPrefix(w, "-"); n != w && n != "" && strings.Trim(n, "0123456789") == "" {
			level = n
		} else {
			p.notice("argument %s of the compressor has no effect here", w)
		}
	}
	if level == "" || o.Compress == "none" || o.Compress != name && name != "pigz" {
		return nil
	}
	n, err := strconv.Atoi(level)
	if err != nil || n < 0 || n > 22 {
		return fmt.Errorf("compression level %q is no number from 0 to 22", level)
	}
	o.CompressLevel = n
	return nil
}

// files are those that the user names, and those that options stand for.
func (p *Plan) files(a *Args, m Machine) error {
	v, o := p.Vars, &p.Build
	search := filepath.SplitList(m.Getenv("DRACUT_INSTALL_PATH"))
	o.Install = append(o.Install, p.named(v.list("install_items"), search)...)
	optional := v.list("install_optional_items")
	if !v.yes("nofscks") {
		optional = append(optional, v.list("fscks")...)
	}
	o.InstallOptional = p.named(optional, search)
	for _, inc := range a.Include {
		o.Include = append(o.Include, build.Include{Src: inc[0], Dst: inc[1]})
	}
	if v.yes("mdadmconf") {
		p.copyFirst("etc/mdadm.conf", "etc/mdadm.conf", "etc/mdadm/mdadm.conf")
	}
	if v.yes("lvmconf") {
		p.copyFirst("etc/lvm/lvm.conf", "etc/lvm/lvm.conf")
	}
	if key := v.text("sshkey"); key != "" {
		for _, f := range []string{key, key + ".pub"} {
			if _, err := os.Stat(f); err == nil {
				o.Include = append(o.Include, build.Include{Src: f, Dst: f})
			} else if f == key {
				p.notice("--sshkey: %v", err)
			}
		}
	}
	if o.KernelOnly {
		o.Install, o.InstallOptional = nil, nil
	}
	return nil
}

// named are files and programs by what they are called: patterns stand for all
// that they match, and names for what is found in the folders to search, if any
// are given.
func (p *Plan) named(words, search []string) []string {
	if len(search) == 0 {
		return p.glob(words)
	}
	var out []string
	for _, w := range words {
		n := len(out)
		for _, d := range search {
			if fi, err := os.Stat(filepath.Join(p.Build.Sysroot, d, w)); !strings.Contains(w, "/") && err == nil && fi.Mode().IsRegular() {
				out = append(out, path.Join("/", d, w))
			}
		}
		if len(out) == n {
			out = append(out, w)
		}
	}
	return p.glob(out)
}

// glob lets paths with * ? [ match files below the sysroot, as a shell would.
func (p *Plan) glob(words []string) []string {
	var out []string
	for _, w := range words {
		if !strings.HasPrefix(w, "/") || !strings.ContainsAny(w, "*?[") {
			out = append(out, w)
			continue
		}
		found, err := filepath.Glob(filepath.Join(p.Build.Sysroot, w))
		if err != nil || len(found) == 0 {
			out = append(out, w) // a file of that very name, or none
			continue
		}
		for _, f := range found {
			out = append(out, "/"+strings.TrimPrefix(strings.TrimPrefix(f, filepath.Clean(p.Build.Sysroot)), "/"))
		}
	}
	return compact(out)
}

// copyFirst includes the first of several files that is there.
func (p *Plan) copyFirst(dst string, tries ...string) {
	for _, t := range tries {
		src := filepath.Join(p.Build.Sysroot, t)
		if fi, err := os.Stat(src); err == nil && fi.Mode().IsRegular() {
			p.Build.Include = append(p.Build.Include, build.Include{Src: src, Dst: "/" + dst})
			return
		}
	}
	p.notice("%s is not there and not copied", filepath.Join(p.Build.Sysroot, tries[0]))
}

// extra adds a file with given content.
func (p *Plan) extra(name, why, text string) {
	p.Build.Extra = append(p.Build.Extra, build.ExtraFile{Path: name, Mode: 0o644, Data: []byte(text), Why: why})
}

// etc are the small files that dracut writes from its options.
func (p *Plan) etc(a *Args, m Machine) error {
	v, o := p.Vars, &p.Build
	if len(o.ForceDrivers) > 0 {
		var b strings.Builder
		for _, d := range o.ForceDrivers {
			if !strings.HasPrefix(d, "=") {
				fmt.Fprintf(&b, "rd.driver.pre=%s\n", d)
			}
		}
		p.extra("etc/cmdline.d/20-force_drivers.conf", "--force-drivers", b.String())
	}
	if o.KernelOnly {
		return nil
	}
	if v.yes("ro_mnt") {
		p.extra("etc/cmdline.d/base.conf", "--ro-mnt", "ro\n")
	}
	if words := strings.TrimSpace(strings.Join(v["kernel_cmdline"].Items, " ")); words != "" {
		name := "01-default.conf"
		if a.Compat == "ng" {
			name = "10-default.conf"
		}
		p.extra("etc/cmdline.d/"+name, "--kernel-cmdline", words+"\n")
	}
	return p.fstab(m)
}

// fstab is the ramdisk's etc/fstab, of --mount and --add-fstab.
func (p *Plan) fstab(m Machine) error {
	v, o := p.Vars, &p.Build
	var b strings.Builder
	for _, l := range v["fstab_lines"].Items {
		f := strings.Fields(l)
		switch {
		case len(f) == 0:
			continue
		case len(f) == 1:
			found, ok := m.Mount(f[0])
			if !ok {
				p.notice("--mount %q: nothing is mounted there, and the line is left out; give device, folder, type and options", l)
				continue
			}
			f = slices.Clone(found)
		case len(f) == 2:
			return fmt.Errorf("--mount %q: the filesystem's type is missing: DEV MP FS [OPTS [FREQ PASS]]", l)
		case len(f) == 3:
			f = append(f, "defaults")
		case len(f) > 6:
			return fmt.Errorf("--mount %q: more than six fields", l)
		}
		if len(f) == 4 {
			f = append(f, "0")
		}
		if len(f) == 5 {
			f = append(f, "2")
		}
		if strings.Contains(f[2], "nfs") {
			f[5] = "0"
		}
		b.WriteString(strings.Join(f, " ") + "\n")
		switch fs := f[2]; {
		case strings.HasPrefix(fs, "nfs"):
			o.AddFeatures = compact(append(o.AddFeatures, "nfs"))
		case fs == "cifs":
			o.AddFeatures = compact(append(o.AddFeatures, "cifs"))
		case o.Hostonly && !slices.Contains([]string{"none", "auto", "tmpfs", "swap", "proc", "sysfs"}, fs):
			o.AddDrivers = compact(append(o.AddDrivers, fs))
		}
	}
	for _, name := range v.list("add_fstab") {
		text, err := os.ReadFile(name)
		if err != nil {
			p.notice("--add-fstab: %v", err)
			continue
		}
		b.Write(text)
		if len(text) > 0 && text[len(text)-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	if b.Len() > 0 {
		p.extra("etc/fstab", "--mount and --add-fstab", b.String())
	}
	return nil
}

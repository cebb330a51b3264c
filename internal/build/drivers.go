package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/build/feature"
	"bareroot/internal/build/host"
	"bareroot/internal/cpio"
)

// listed tells that the modules are exactly those that were named.
func (o *Options) listed() bool { return len(o.Drivers) > 0 }

// pickModules decides which kernel modules the ramdisk has. Most general first:
// the generic set or this machine's modules, what features need, then names.
func (r *recipe) pickModules(o *Options, h *host.Host) error {
	if o.NoKernel {
		return nil
	}
	s := newSelection(r.index, o.OmitDrivers)
	generic := r.has(func(f feature.Info) bool { return f.Generic }) && !o.listed()
	own := generic && h != nil && !h.Generic
	if own {
		generic = false
		for _, m := range h.Modules(r.index, o.hostonlyMode()) {
			if err := s.words([]string{m.Name}, m.Why, "this machine's root needs", m.Required); err != nil {
				return err
			}
		}
		for _, m := range h.Missing(r.index, o.hostonlyMode()) {
			r.notices = append(r.notices, fmt.Sprintf("kernel %s has no module %s (%s): with it this machine may not reach its root", r.kver, m.Name, m.Why))
		}
	}
	if generic {
		picks := genericPicks()
		if len(o.Filesystems) > 0 {
			picks = slices.DeleteFunc(picks, func(p pick) bool { return strings.HasPrefix(p.why, "filesystem") })
		}
		s.rules(picks)
	}
	for _, w := range r.features {
		// The generic set and this machine's modules stand for what features
		// have by default; a list of modules stands for itself.
		switch {
		case o.listed() && w.Level < byHost,
			(generic || own) && w.Level == byDefault,
			generic && w.When == feature.Default,
			own && w.When == feature.Default && w.Level < byName:
			continue
		}
		why := "feature " + w.Name
		// Of what the root needs the machine itself was asked, ciphers and levels
		// of RAID as well; another's come along unless the mode is strict.
		if !(own && w.Level == byHost && o.hostonlyMode() == host.Strict) {
			if err := s.words(w.Modules, why, "", false); err != nil {
				return err
			}
		}
		if err := s.words(w.Required, why, "feature "+w.Name+" needs", len(r.index.Modules()) > 0); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		words       []string
		why, option string
	}{
		{o.Filesystems, "filesystem, asked for", "--filesystems"},
		{o.Drivers, "asked for", "--drivers"},
		{o.AddDrivers, "asked for", "--add-drivers"},
		{o.ForceDrivers, "asked for, loaded before devices are probed", "--force-drivers"},
	} {
		for _, w := range l.words {
			if err := r.without(o, s.words([]string{w}, l.why, l.option, true)); err != nil {
				return err
			}
		}
	}
	if err := s.hashers(); err != nil {
		return err
	}
	var err error
	if r.modules, err = s.result(); err != nil {
		return inputError{err}
	}
	r.removeModules(o)
	if generic && len(r.modules) == 0 {
		r.notices = append(r.notices, fmt.Sprintf("no module of the generic set is below %s: either all drivers are built into this kernel, or its modules package is missing", r.index.Dir()))
	}
	return nil
}

func (o *Options) hostonlyMode() string {
	if o.HostonlyMode == "" {
		return host.Sloppy
	}
	return o.HostonlyMode
}

// addModprobe takes the sysroot's modprobe.d along and says its blacklists and
// options to init, which does not read these files, as words of the command
// line.
func (r *recipe) addModprobe(o *Options) ([]item, error) {
	if len(r.modules) == 0 {
		return nil, nil
	}
	var items []item
	var black, options []string
	files := map[string]string{} // base name -> file: etc wins over run over usr
	for _, d := range []string{"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"} {
		real, err := within(o.Sysroot, d)
		if err != nil {
			return nil, inputError{fmt.Errorf("read modprobe.d: %w", err)}
		}
		entries, err := os.ReadDir(real)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, inputError{fmt.Errorf("read modprobe.d: %w", err)}
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") && files[e.Name()] == "" {
				files[e.Name()] = filepath.Join(d, e.Name())
			}
		}
	}
	have := map[string]bool{}
	for _, c := range r.modules {
		have[c.Module.Name] = true
	}
	for _, base := range sortedKeys(files) {
		real, err := within(o.Sysroot, files[base])
		if err != nil {
			return nil, inputError{fmt.Errorf("read modprobe.d: %w", err)}
		}
		b, err := os.ReadFile(real)
		if err != nil {
			return nil, inputError{fmt.Errorf("read modprobe.d: %w", err)}
		}
		it := file("etc/modprobe.d/"+base, 0o644, string(b), "settings of modprobe")
		it.From = real
		items = append(items, it)
		for _, f := range logicalLines(string(b)) {
			switch {
			case f[0] == "blacklist" && len(f) == 2 && have[normal(f[1])]:
				black = append(black, normal(f[1]))
			case f[0] == "options" && len(f) > 2 && have[normal(f[1])]:
				for _, w := range f[2:] {
					options = append(options, normal(f[1])+"."+w)
				}
			case f[0] == "install" && len(f) > 2 && have[normal(f[1])]:
				// "install X /bin/false" is how people forbid a module.
				if cmd := filepath.Base(f[2]); cmd == "false" || cmd == "true" {
					black = append(black, normal(f[1]))
					continue
				}
				r.notices = append(r.notices, fmt.Sprintf("%s: init does not run the install command of module %s", files[base], f[1]))
			}
		}
	}
	var words []string
	if len(black) > 0 {
		slices.Sort(black)
		words = append(words, "modprobe.blacklist="+strings.Join(slices.Compact(black), ","))
	}
	words = append(words, options...)
	if len(words) > 0 {
		items = append(items, file("etc/cmdline.d/10-modprobe.conf", 0o644, strings.Join(words, " ")+"\n", "blacklists and options out of modprobe.d"))
	}
	return items, nil
}

func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

// logicalLines are the lines of a modprobe.d file in fields: comments out,
// lines that end in a backslash joined (modprobe.d(5)).
func logicalLines(text string) (out [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if f := strings.Fields(line); len(f) > 0 && f[0][0] != '#' {
			out = append(out, f)
		}
	}
	return out
}

// regular tells whether an item is a plain file.
func (it *item) regular() bool { return it.Mode&cpio.TypeMask == cpio.TypeRegular }

// size is that of a regular file's content.
func (it *item) size() int64 {
	if it.Data != nil {
		return int64(len(it.Data))
	}
	return it.Size
}

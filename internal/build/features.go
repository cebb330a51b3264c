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
)

// wanted is a feature of the ramdisk and why it is.
type wanted struct {
	feature.Info
	Why   string
	Level level
}

// level tells how a feature came in; what it needs comes in likewise.
type level int

const (
	byDefault level = iota
	byRole          // from here on, what it lacks is an error
	byHost          // this machine's root needs it; from here on its own modules come in whatever the list
	byName
)

// wantedFeatures resolves names, aliases and needs. What of it can be had is
// seen later (available).
func wantedFeatures(o *Options, hostFeatures []string) ([]wanted, []string, error) {
	var notices []string
	omit, forced := map[string]bool{}, map[string]bool{}
	find := func(flag, name string) (feature.Info, error) {
		f, ok := feature.Find(name)
		if !ok {
			return f, inputError{fmt.Errorf("%s %s: no such feature; there are %s", flag, name, feature.Names())}
		}
		return f, nil
	}
	for _, n := range o.ForceFeatures {
		f, err := find("--force-feature", n)
		if err != nil {
			return nil, nil, err
		}
		forced[f.Name] = true
	}
	for _, n := range o.OmitFeatures {
		f, err := find("--omit-feature", n)
		switch {
		case err != nil:
			return nil, nil, err
		case f.When == feature.Always:
			return nil, nil, inputError{fmt.Errorf("--omit-feature %s: every ramdisk has it", n)}
		}
		omit[f.Name] = !forced[f.Name]
	}
	have := map[string]*wanted{}
	var add func(name, why string, l level) error
	add = func(name, why string, l level) error {
		f, err := find("feature", name)
		if err != nil {
			return err
		}
		if omit[f.Name] {
			if l > byDefault && strings.HasPrefix(why, "needed by") {
				return inputError{fmt.Errorf("feature %s is %s and omitted at once", f.Name, why)}
			}
			return nil
		}
		if w := have[f.Name]; w != nil {
			if l <= w.Level {
				return nil
			}
			w.Level, w.Why = l, why
		} else {
			have[f.Name] = &wanted{f, why, l}
		}
		for _, n := range f.Needs {
			if err := add(n, "needed by "+f.Name, l); err != nil {
				return err
			}
		}
		return nil
	}
	for _, list := range []struct {
		flag  string
		names []string
	}{{"--feature", o.Features}, {"--add-feature", o.AddFeatures}, {"--force-feature", o.ForceFeatures}} {
		for _, n := range list.names {
			if _, err := find(list.flag, n); err != nil {
				return nil, nil, err
			}
			if err := add(n, "asked for", byName); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, r := range o.Roles {
		if err := add(r, "role", byRole); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range feature.All() {
		if f.When == feature.Always || f.When == feature.Default && len(o.Features) == 0 {
			if err := add(f.Name, "default", byDefault); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, n := range hostFeatures {
		f, ok := feature.Find(n)
		if !ok {
			notices = append(notices, fmt.Sprintf("this machine's root needs %s, for which there is no feature", n))
			continue
		}
		if err := add(f.Name, "this machine's root needs it", byHost); err != nil {
			return nil, nil, err
		}
	}
	var out []wanted
	for _, f := range feature.All() {
		if w := have[f.Name]; w != nil {
			out = append(out, *w)
		}
	}
	return out, notices, nil
}

// rolesOf are the roles that features bring.
func rolesOf(o *Options) ([]string, error) {
	roles := slices.Clone(o.Roles)
	for _, n := range slices.Concat(o.Features, o.AddFeatures, o.ForceFeatures) {
		f, ok := feature.Find(n)
		if !ok {
			return nil, inputError{fmt.Errorf("feature %s: no such feature; there are %s", n, feature.Names())}
		}
		if f.Role != "" && !slices.Contains(roles, f.Role) {
			roles = append(roles, f.Role)
		}
	}
	return roles, nil
}

// available drops the features that this kernel and sysroot cannot have. One
// that was asked for is an error then.
func (r *recipe) available(o *Options) error {
	gone := map[string]string{}
	var kept []wanted
	lack := func(w wanted) (string, error) {
		if miss := r.kconf.missing(w.Config); len(miss) > 0 {
			return fmt.Sprintf("kernel %s is built without %s (%s)", r.kver, strings.Join(miss, ", "), r.kconf.file), nil
		}
		if !o.NoKernel && len(r.index.Modules()) > 0 {
			for _, m := range w.Required {
				if names, ok := r.index.Lookup(m); !ok && len(names) == 0 {
					return fmt.Sprintf("kernel %s has no module %s", r.kver, m), nil
				}
			}
		}
		if w.Agent && o.Agent == "" {
			return "bareroot-agent was not found; name it with --agent", nil
		}
		for _, b := range w.Binaries {
			if b.Optional {
				continue
			}
			paths, err := r.find(b.Name)
			if err != nil {
				return "", err
			}
			if len(paths) == 0 {
				return fmt.Sprintf("program %s is not below %s (Debian: %s)", b.Name, o.Sysroot, b.Package), nil
			}
		}
		return "", nil
	}
	for _, w := range r.features {
		why, err := lack(w)
		if err != nil {
			return fmt.Errorf("feature %s: %w", w.Name, err)
		}
		for _, n := range w.Needs {
			if why == "" && (gone[n] != "" || !slices.ContainsFunc(r.features, func(x wanted) bool { return x.Name == n })) {
				why = "it needs " + n
			}
		}
		switch {
		case why == "":
			kept = append(kept, w)
		case w.Level > byDefault || w.When == feature.Always:
			return inputError{fmt.Errorf("feature %s (%s): %s", w.Name, w.Why, why)}
		default:
			gone[w.Name] = why
			// A kernel without any of its modules is one notice elsewhere.
			if len(r.index.Modules()) > 0 && !o.listed() {
				r.notices = append(r.notices, fmt.Sprintf("feature %s is left out: %s", w.Name, why))
			}
		}
	}
	r.features = kept
	return nil
}

// dropCardless drops what is bareroot-agent's part and in by default, where the
// list of drivers has none of a network card and the kernel has none built in:
// nobody could be spoken to.
func (r *recipe) dropCardless(o *Options) error {
	if !o.listed() || o.NoKernel || slices.ContainsFunc(r.modules, func(c chosen) bool { return maybeCard(c.Module.Path) }) {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(r.index.Dir(), "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return inputError{fmt.Errorf("read what is built into the kernel: %w", err)}
	}
	for line := range strings.Lines(string(b)) {
		if maybeCard(line) {
			return nil
		}
	}
	r.features = slices.DeleteFunc(r.features, func(w wanted) bool { return w.Agent && w.Level == byDefault && w.When != feature.Always })
	return nil
}

// maybeCard tells whether a module may be a network card's driver. Of those that
// are not the kernel's own, nothing is known.
func maybeCard(p string) bool {
	rest, own := strings.CutPrefix(p, "kernel/drivers/")
	if !own {
		return !strings.HasPrefix(p, "kernel/")
	}
	return strings.HasPrefix(rest, "net/") || strings.Contains(rest, "/net/") || strings.HasPrefix(rest, "infiniband/")
}

// featureNames are the names of the features that are in.
func (r *recipe) featureNames() []string {
	var out []string
	for _, w := range r.features {
		out = append(out, w.Name)
	}
	return out
}

// has tells whether a feature with the property is in.
func (r *recipe) has(is func(feature.Info) bool) bool {
	return slices.ContainsFunc(r.features, func(w wanted) bool { return is(w.Info) })
}

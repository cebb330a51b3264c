package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// kconfig is the configuration that a kernel was built with: lines
// CONFIG_X=value, unset ones as comments or not at all.
type kconfig struct {
	set  map[string]bool // without CONFIG_
	file string          // "" if there is none: nothing is checked then
}

// findConfig reads the configuration from where distributions put it.
func (o *Options) findConfig(modules, kver string) (*kconfig, error) {
	if kver == "" {
		return &kconfig{}, nil
	}
	tries, err := o.below("boot/config-"+kver, "usr/lib/modules/"+kver+"/config", "lib/modules/"+kver+"/config")
	if err != nil {
		return nil, inputError{fmt.Errorf("find the kernel's configuration: %w", err)}
	}
	if o.Kernel != "" {
		tries = append([]string{filepath.Join(filepath.Dir(o.Kernel), "config-"+kver)}, tries...)
	}
	if modules != "" {
		tries = append(tries, filepath.Join(modules, "config"), filepath.Join(modules, "build/.config"))
	}
	for _, name := range tries {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, inputError{fmt.Errorf("read the kernel's configuration: %w", err)}
		}
		return parseConfig(name, string(b)), nil
	}
	return &kconfig{}, nil
}

func parseConfig(file, text string) *kconfig {
	k := &kconfig{set: map[string]bool{}, file: file}
	for line := range strings.Lines(text) {
		word, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if name, is := strings.CutPrefix(word, "CONFIG_"); ok && is && value != "n" {
			k.set[name] = true
		}
	}
	return k
}

func (k *kconfig) known() bool { return k.file != "" && len(k.set) > 0 }

// missing returns the options of names that are not set, none if the
// configuration is not known.
func (k *kconfig) missing(names []string) (out []string) {
	if !k.known() {
		return nil
	}
	for _, n := range names {
		if !k.set[n] {
			out = append(out, "CONFIG_"+n)
		}
	}
	return out
}

// unpacks returns the compression to use where name is wanted: name, if this
// kernel unpacks it or nothing is known of it.
func (k *kconfig) unpacks(name string) string {
	if !k.known() || name == "none" || k.set[codecOption(name)] {
		return name
	}
	for _, c := range codecs {
		if c.option == "" || k.set[c.option] {
			return c.name
		}
	}
	return "none"
}

package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Subset returns the text indexes for a tree that holds only the modules with
// the given paths, by file name. rename gives a module's path there.
func (x *Index) Subset(paths []string, rename func(string) string) (map[string][]byte, error) {
	in := make(map[string]bool, len(paths))
	names := make(map[string]bool, len(paths))
	for _, p := range paths {
		in[p], names[NameOf(p)] = true, true
	}
	var dep strings.Builder
	for _, m := range x.order {
		if !in[m.Path] {
			continue
		}
		dep.WriteString(rename(m.Path) + ":")
		for _, d := range m.Deps {
			if !in[d] {
				return nil, fmt.Errorf("index of a module subset: %s needs %s, which is not in it", m.Path, d)
			}
			dep.WriteString(" " + rename(d))
		}
		dep.WriteByte('\n')
	}
	out := map[string][]byte{
		"modules.dep":     []byte(dep.String()),
		"modules.builtin": []byte(x.text["modules.builtin"]),
		"modules.alias":   aliasesOf(x.text["modules.alias"], names),
		"modules.softdep": filter(x.text["modules.softdep"], func(f []string) bool { return len(f) > 1 && names[Normalize(f[1])] }),
	}
	if text, err := x.optional("modules.order"); err != nil {
		return nil, err
	} else if text != "" {
		// Lines name .ko files whatever the compression.
		order := filter(text, func(f []string) bool { return len(f) == 1 && names[NameOf(f[0])] })
		var b strings.Builder
		for line := range strings.Lines(string(order)) {
			b.WriteString(rename(strings.TrimSpace(line)) + "\n")
		}
		out["modules.order"] = []byte(b.String())
	}
	if text, err := x.optional("modules.devname"); err != nil {
		return nil, err
	} else if text != "" {
		out["modules.devname"] = filter(text, func(f []string) bool { return len(f) > 0 && names[Normalize(f[0])] })
	}
	return out, nil
}

func (x *Index) optional(name string) (string, error) {
	text, err := readText(filepath.Join(x.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("load kernel modules: %w", err)
	}
	return text, nil
}

// aliasesOf is filter for modules.alias, which is long: "alias PATTERN NAME".
func aliasesOf(text string, names map[string]bool) []byte {
	out := make([]byte, 0, len(text))
	for line := range strings.Lines(text) {
		words := strings.TrimRight(line, " \t\r\n")
		if name := words[strings.LastIndexAny(words, " \t")+1:]; names[Normalize(name)] && !strings.HasPrefix(line, "#") && len(strings.Fields(line)) == 3 {
			out = append(out, line...)
		}
	}
	return slices.Clip(out)
}

// filter keeps the lines whose words please keep, and drops comments.
func filter(text string, keep func([]string) bool) []byte {
	out := []byte{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && keep(strings.Fields(line)) {
			out = append(out, line...)
		}
	}
	return slices.Clip(out)
}

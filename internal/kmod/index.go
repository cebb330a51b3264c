// Package kmod answers questions about a kernel's module tree from the text
// files that depmod(8) writes: which modules a device's modalias asks for, what
// a module needs first, what is built in. It follows kmod's libkmod in meaning:
// dashes in names equal underscores, aliases are fnmatch(3) patterns.
//
// It neither loads modules nor reads them, and it never walks the tree: a
// module that depmod does not know does not exist.
package kmod

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// ErrNotFound is the error for a module that is neither in the tree nor built
// into the kernel.
var ErrNotFound = errors.New("no such module")

// Index is a loaded tree. It does not change and may be used by many
// goroutines. The zero Index is that of a kernel without modules.
type Index struct {
	dir     string
	modules map[string]*Module
	builtin map[string]bool
	aliases aliasTable
	soft    map[string]Softdep
	weak    map[string][]string
	order   []*Module // as in modules.dep
	text    map[string]string
	inside  func() aliasTable // aliases of what is built in, read when asked for
}

// Module is one loadable module.
type Module struct {
	Name string   // with underscores
	Path string   // relative to the tree, kernel/fs/ext4/ext4.ko.xz
	Deps []string // paths, as modules.dep has them: the last is loaded first
}

// Softdep names what should be loaded before and after a module, if it exists.
type Softdep struct{ Pre, Post []string }

// Load reads the tree dir, which is /lib/modules/KVER. modules.dep must be
// there; the other files may be absent.
func Load(dir string) (*Index, error) {
	x := &Index{
		dir: dir, modules: map[string]*Module{}, builtin: map[string]bool{},
		soft: map[string]Softdep{}, weak: map[string][]string{}, text: map[string]string{},
	}
	for _, name := range []string{"modules.dep", "modules.builtin", "modules.alias", "modules.softdep", "modules.weakdep"} {
		text, err := readText(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != "modules.dep":
			continue
		case errors.Is(err, fs.ErrNotExist):
			if _, statErr := os.Stat(dir); statErr != nil {
				return nil, fmt.Errorf("load kernel modules: %w", statErr)
			}
			return nil, fmt.Errorf("load kernel modules: %w; run depmod for this kernel first", err)
		case err != nil:
			return nil, fmt.Errorf("load kernel modules: %w", err)
		}
		x.text[name] = text
	}
	x.inside = sync.OnceValue(func() aliasTable {
		// Few ask, and what cannot be read is as if it were absent.
		b, _ := os.ReadFile(filepath.Join(dir, "modules.builtin.modinfo"))
		return parseAliases(builtinAliases(string(b)))
	})
	// The aliases are as much work as all the rest.
	var aliases sync.WaitGroup
	aliases.Go(func() { x.aliases = parseAliases(x.text["modules.alias"]) })
	defer aliases.Wait()
	if err := x.parseDep(x.text["modules.dep"]); err != nil {
		return nil, fmt.Errorf("load kernel modules: %s: %w", filepath.Join(dir, "modules.dep"), err)
	}
	for line := range strings.Lines(x.text["modules.builtin"]) {
		if line = strings.TrimSpace(line); line != "" {
			x.builtin[NameOf(line)] = true
		}
	}
	x.parseSoft(x.text["modules.softdep"])
	x.parseWeak(x.text["modules.weakdep"])
	return x, nil
}

// readText is os.ReadFile for a string: these files are megabytes, and a copy of
// them is as much work as reading.
func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	if fi, err := f.Stat(); err == nil {
		b.Grow(int(fi.Size()))
	}
	_, err = io.Copy(&b, f)
	return b.String(), err
}

func (x *Index) parseDep(text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, deps, ok := strings.Cut(line, ":")
		if !ok || p == "" {
			return fmt.Errorf("line %d has no colon", n)
		}
		m := &Module{Name: NameOf(p), Path: p, Deps: strings.Fields(deps)}
		bad := ""
		for _, q := range m.Deps {
			if !below(q) {
				bad = q
			}
		}
		if !below(p) {
			bad = p
		}
		if bad != "" {
			return fmt.Errorf("line %d: %q is not a path below the tree", n, bad)
		}
		if x.modules[m.Name] == nil {
			x.modules[m.Name] = m
			x.order = append(x.order, m)
		}
	}
	return nil
}

// below says whether a path is one below the tree, in its shortest form.
func below(p string) bool {
	start := 0
	for i := 0; i <= len(p); i++ {
		if i == len(p) || p[i] == '/' {
			switch p[start:i] {
			case "", ".", "..":
				return false
			}
			start = i + 1
		}
	}
	return true
}

func (x *Index) parseSoft(text string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "softdep" {
			continue
		}
		name := Normalize(f[1])
		s, post, named := x.soft[name], false, false
		for _, w := range f[2:] {
			switch {
			case w == "pre:":
				post, named = false, true
			case w == "post:":
				post, named = true, true
			case !named:
			case post:
				s.Post = append(s.Post, Normalize(w))
			default:
				s.Pre = append(s.Pre, Normalize(w))
			}
		}
		x.soft[name] = s
	}
}

func (x *Index) parseWeak(text string) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "weakdep" {
			for _, w := range f[2:] {
				x.weak[Normalize(f[1])] = append(x.weak[Normalize(f[1])], Normalize(w))
			}
		}
	}
}

// Dir is the tree's folder.
func (x *Index) Dir() string { return x.dir }

// Modules lists all loadable modules in the order of modules.dep.
func (x *Index) Modules() []*Module { return slices.Clone(x.order) }

// Resolve finds a module by name (dash or underscore, no alias).
func (x *Index) Resolve(name string) (file string, builtin bool, ok bool) {
	name = Normalize(name)
	if m := x.modules[name]; m != nil {
		return m.Path, false, true
	}
	return "", x.builtin[name], x.builtin[name]
}

// Needs says whether a module does not load without the file: it is the
// module's own, or one of its hard dependencies.
func (x *Index) Needs(name, file string) bool {
	m := x.modules[Normalize(name)]
	return m != nil && (m.Path == file || slices.Contains(m.Deps, file))
}

// Match returns the names of the modules whose aliases match, in the order of
// modules.alias, each once.
func (x *Index) Match(modalias string) []string { return x.aliases.match(modalias) }

// Lookup is what modprobe(8) does with its argument: a module's name, or else
// an alias. An empty result for a built-in name or alias is success, hence ok.
func (x *Index) Lookup(word string) (names []string, ok bool) {
	if _, builtin, found := x.Resolve(word); found {
		if builtin {
			return nil, true
		}
		return []string{Normalize(word)}, true
	}
	if names = x.Match(word); len(names) > 0 {
		return names, true
	}
	if x.inside == nil {
		return nil, false
	}
	builtin := x.inside()
	return nil, len(builtin.match(word)) > 0
}

// builtinAliases writes the aliases of modules.builtin.modinfo, NAME.KEY=VALUE
// ended by NUL each, as lines of modules.alias.
func builtinAliases(modinfo string) string {
	var b strings.Builder
	for field := range strings.SplitSeq(modinfo, "\x00") {
		key, alias, ok := strings.Cut(field, "=")
		name, isAlias := strings.CutSuffix(key, ".alias")
		if ok && isAlias && !strings.ContainsAny(alias, " \n") {
			b.WriteString("alias " + alias + " " + name + "\n")
		}
	}
	return b.String()
}

// Soft returns the soft dependencies of a module.
func (x *Index) Soft(name string) Softdep { return x.soft[Normalize(name)] }

// Weak returns the names that a module may ask for by itself later.
func (x *Index) Weak(name string) []string { return x.weak[Normalize(name)] }

// Closure returns the files of the named modules and of all they need, hard and
// soft, each once, in an order in which they can be loaded. A built-in name
// contributes nothing; an unknown one is ErrNotFound. Soft dependencies that
// do not exist are left out, as modprobe does.
func (x *Index) Closure(names ...string) ([]string, error) {
	c := closure{x: x, seen: map[string]bool{}}
	for _, name := range names {
		if _, builtin, ok := x.Resolve(name); !ok {
			return nil, fmt.Errorf("%s: %w in %s", name, ErrNotFound, x.dir)
		} else if builtin {
			continue
		}
		if err := c.add(Normalize(name)); err != nil {
			return nil, err
		}
	}
	return c.out, nil
}

type closure struct {
	x    *Index
	seen map[string]bool
	out  []string
}

func (c *closure) add(name string) error {
	if c.seen[name] {
		return nil
	}
	c.seen[name] = true
	m := c.x.modules[name]
	soft := c.x.soft[name]
	c.soft(soft.Pre)
	for _, dep := range slices.Backward(m.Deps) {
		d := NameOf(dep)
		if c.x.modules[d] == nil {
			return fmt.Errorf("%s, which %s needs: %w in %s; run depmod again", dep, m.Path, ErrNotFound, c.x.dir)
		}
		if err := c.add(d); err != nil {
			return err
		}
	}
	c.out = append(c.out, m.Path)
	c.soft(soft.Post)
	return nil
}

// soft adds optional modules: one that cannot be had is no error.
func (c *closure) soft(words []string) {
	for _, w := range words {
		names, _ := c.x.Lookup(w)
		for _, n := range names {
			if c.x.modules[n] != nil {
				before := len(c.out)
				if c.add(n) != nil {
					c.out = c.out[:before]
				}
			}
		}
	}
}

// NameOf is the module's name that belongs to a file name.
func NameOf(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return Normalize(base)
}

// Normalize writes a module's name or alias the way that names are compared:
// underscores for dashes, except within brackets.
func Normalize(name string) string {
	if !strings.Contains(name, "-") {
		return name
	}
	b := []byte(name)
	inside := false
	for i, ch := range b {
		switch {
		case ch == '[':
			inside = true
		case ch == ']':
			inside = false
		case ch == '-' && !inside:
			b[i] = '_'
		}
	}
	return string(b)
}

package elfdep

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	maxScripts = 5     // interpreters of interpreters, as in the kernel
	maxLoaded  = 10000 // libraries of one program
)

// closure is the work on one program.
type closure struct {
	r    *Resolver
	name string // of the program, for errors
	out  []Dep
	seen map[string]bool // paths in out
}

// image is one program with its libraries, as in one process.
type image struct {
	*closure
	abi    abi
	main   *loaded
	musl   bool
	dirs   []string // searched for every library
	byName map[string]bool
	byReal map[string]*loaded
	queue  []*loaded
}

// loaded is an object in an image.
type loaded struct {
	*object
	path   string  // as it was found
	origin string  // $ORIGIN
	parent *loaded // who asked for it first
}

func (r *Resolver) newClosure(name string) *closure {
	return &closure{r: r, name: name, seen: map[string]bool{}}
}

// add records a file and the links on the way to it.
func (c *closure) add(pl place, why string) {
	put := func(p string, n node) {
		if c.seen[p] {
			return
		}
		c.seen[p] = true
		mode := n.mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | fs.ModeSymlink)
		c.out = append(c.out, Dep{Path: p, Link: n.target, Mode: mode, Source: c.r.tree.host(p), Why: why})
	}
	for _, l := range pl.links {
		put(l, c.r.tree.lstat(l))
	}
	put(pl.real, pl.node)
}

// notThere makes the error for name, which by names.
func notThere(program, name, by string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return &MissingError{Program: program, Name: name, By: by, Err: err}
}

// program adds the file p and all that it needs.
func (c *closure) program(p, why string, depth int) error {
	pl, err := c.r.tree.resolve(p)
	if err != nil {
		by := c.name
		if depth == 0 {
			by = ""
		}
		return notThere(c.name, p, by, err)
	}
	if !pl.node.mode.IsRegular() {
		return fmt.Errorf("%s: not a regular file", c.r.tree.host(p))
	}
	fresh := !c.seen[pl.real]
	c.add(pl, why)
	if !fresh {
		return nil
	}
	o, err := c.r.object(pl.real)
	switch {
	case err != nil:
		return err
	case o == nil:
		return nil
	case o.shebang != "":
		if depth == maxScripts {
			return fmt.Errorf("%s: more than %d interpreters in a row", c.name, maxScripts)
		}
		if !strings.HasPrefix(o.shebang, "/") {
			return notThere(c.name, o.shebang, pl.real, errors.New("an interpreter needs an absolute path"))
		}
		err := c.program(o.shebang, "interpreter of "+pl.real, depth+1)
		if miss := (*MissingError)(nil); errors.As(err, &miss) && miss.Name == o.shebang {
			miss.By = pl.real
		}
		return err
	}
	return c.load(pl.real, o)
}

// load follows a program or library and all that it loads.
func (c *closure) load(real string, o *object) error {
	im := &image{closure: c, abi: o.abi, byName: map[string]bool{}, byReal: map[string]*loaded{}}
	im.main = &loaded{object: o, path: real, origin: path.Dir(real)}
	im.byReal[real] = im.main
	if o.soname != "" {
		im.byName[o.soname] = true
	}
	loader := o.interp
	if _, _, im.musl = cutMusl(loader); loader == "" {
		loader = im.muslOf()
		im.musl = loader != ""
	}
	im.dirs = c.r.systemDirs(o.abi, im.musl, loader)
	if loader != "" {
		if err := im.loader(loader); err != nil {
			return err
		}
	}
	for im.queue = append(im.queue, im.main); len(im.queue) > 0; im.queue = im.queue[1:] {
		if err := im.needs(im.queue[0]); err != nil {
			return err
		}
	}
	return nil
}

// loader adds the program's loader, which satisfies its own soname.
func (im *image) loader(interp string) error {
	pl, err := im.r.tree.resolve(interp)
	if err != nil {
		return notThere(im.name, interp, im.main.path, err)
	}
	o, err := im.r.object(pl.real)
	if err != nil {
		return err
	}
	if o == nil || o.shebang != "" || o.abi != im.abi {
		return notThere(im.name, interp, im.main.path, errors.New("what is there is no loader for "+im.abi.String()))
	}
	im.add(pl, "loader of "+im.main.path)
	im.enter(&loaded{object: o, path: clean(interp), origin: path.Dir(clean(interp)), parent: im.main}, pl.real)
	im.byName[path.Base(interp)] = true
	return nil
}

// enter takes an object into the image, once.
func (im *image) enter(l *loaded, real string) {
	if l.soname != "" {
		im.byName[l.soname] = true
	}
	if im.byReal[real] == nil {
		im.byReal[real] = l
		im.queue = append(im.queue, l)
	}
}

// needs finds all that l names.
func (im *image) needs(l *loaded) error {
	if len(im.byReal) > maxLoaded {
		return fmt.Errorf("%s: more than %d libraries", im.name, maxLoaded)
	}
	for _, name := range l.needed {
		if im.byName[name] || im.musl && muslOwn(name) {
			continue
		}
		ok, err := im.library(name, l, "needed by "+l.path)
		if err != nil || !ok {
			return notThere(im.name, name, l.path, err)
		}
	}
	for _, o := range l.opened {
		if o.Priority == "suggested" {
			continue
		}
		prio := "recommended"
		if o.Priority == "required" {
			prio = o.Priority
		}
		why := fmt.Sprintf("opened by %s (%s, %s)", l.path, o.Feature, prio)
		found := false
		for _, name := range o.Sonames {
			if found = im.byName[name]; !found {
				var err error
				if found, err = im.library(name, l, why); err != nil && prio == "required" {
					return notThere(im.name, name, l.path, err)
				}
			}
			if found {
				break
			}
		}
		if !found && prio == "required" {
			return notThere(im.name, strings.Join(o.Sonames, " or "), l.path, nil)
		}
	}
	return nil
}

// library finds name as the loader does when l asks for it, and adds it. The
// error is what got in the way in one of the folders.
func (im *image) library(name string, l *loaded, why string) (bool, error) {
	var firstErr error
	for _, p := range im.candidates(name, l) {
		pl, o, err := im.fits(p)
		if o == nil {
			if firstErr == nil && !errors.Is(err, fs.ErrNotExist) {
				firstErr = err
			}
			continue
		}
		im.add(pl, why)
		im.enter(&loaded{object: o, path: p, origin: path.Dir(p), parent: l}, pl.real)
		im.byName[name] = true
		im.variants(p, name, l)
		return true, nil
	}
	return false, firstErr
}

// fits says whether the file p is a library that this image can load.
func (im *image) fits(p string) (place, *object, error) {
	pl, err := im.r.tree.resolve(p)
	if err != nil {
		return pl, nil, err
	}
	if !pl.node.mode.IsRegular() {
		return pl, nil, fs.ErrNotExist
	}
	o, err := im.r.object(pl.real)
	if err != nil || o == nil || o.shebang != "" || o.abi != im.abi {
		return pl, nil, err // of another machine: the loader goes on, too
	}
	return pl, o, nil
}

// variants adds the builds of a library for newer CPUs, below glibc-hwcaps in
// the folder of the plain one.
func (im *image) variants(p, name string, l *loaded) {
	if im.musl {
		return
	}
	for _, v := range im.r.tree.glob(globQuote(path.Dir(p)) + "/glibc-hwcaps/*/" + globQuote(path.Base(p))) {
		if pl, o, err := im.fits(v); err == nil && o != nil {
			im.add(pl, "faster "+name+" for "+path.Base(path.Dir(v)))
			im.enter(&loaded{object: o, path: v, origin: path.Dir(v), parent: l}, pl.real)
		}
	}
}

// candidates are the paths that the loader tries.
func (im *image) candidates(name string, l *loaded) []string {
	if strings.ContainsRune(name, '/') {
		return im.paths(im.expand([]string{name}, l), "")
	}
	var dirs []string
	rpath := func(of *loaded) { dirs = append(dirs, im.expand(of.rpath, of)...) }
	switch {
	case im.musl: // one kind of path, inherited
		for of := l; of != nil; of = of.parent {
			dirs = append(dirs, im.expand(slices.Concat(of.runpath, of.rpath), of)...)
		}
	case l.runpath == nil:
		main := false
		for of := l; of != nil; of = of.parent {
			rpath(of)
			main = main || of == im.main
		}
		if !main {
			rpath(im.main)
		}
	default:
		dirs = im.expand(l.runpath, l)
	}
	if !l.noDef {
		dirs = append(dirs, im.dirs...)
	}
	return im.paths(dirs, name)
}

// paths joins, and drops what depends on the folder a program is started in.
func (im *image) paths(dirs []string, name string) []string {
	var out []string
	for _, d := range dirs {
		if p := path.Join(d, name); strings.HasPrefix(d, "/") && !slices.Contains(out, clean(p)) {
			out = append(out, clean(p))
		}
	}
	return out
}

// expand replaces $ORIGIN, $LIB and $PLATFORM. What the last two mean is built
// into the loader, so all likely values are tried.
func (im *image) expand(paths []string, of *loaded) []string {
	m := machineOf(im.abi)
	out := paths
	replace := func(name string, values []string) {
		var next []string
		for _, p := range out {
			if !strings.Contains(p, "$"+name) && !strings.Contains(p, "${"+name+"}") {
				next = append(next, p)
				continue
			}
			for _, v := range values {
				next = append(next, strings.ReplaceAll(strings.ReplaceAll(p, "${"+name+"}", v), "$"+name, v))
			}
		}
		out = next
	}
	replace("ORIGIN", []string{"/" + of.origin})
	replace("LIB", m.libNames())
	replace("PLATFORM", m.platforms)
	return out
}

var globQuotes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func globQuote(s string) string { return globQuotes.Replace(s) }

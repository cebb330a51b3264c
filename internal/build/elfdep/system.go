package elfdep

import (
	"debug/elf"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

func (a abi) String() string {
	return fmt.Sprintf("%s %s", strings.TrimPrefix(a.machine.String(), "EM_"), strings.TrimPrefix(a.class.String(), "ELFCLASS"))
}

// object reads the file with that real path, once. It is nil for a file that is
// neither an ELF file nor a script.
func (r *Resolver) object(real string) (*object, error) {
	r.mu.Lock()
	o, ok := r.objects[real]
	r.mu.Unlock()
	if ok {
		return o, nil
	}
	o, err := openObject(r.tree.host(real))
	if errors.Is(err, errPlain) {
		o, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.objects[real] = o
	r.mu.Unlock()
	return o, nil
}

// systemDirs are the folders that are searched for any program of that ABI, as
// absolute paths; those that are not there are left out, and the same folder by
// another name is there once.
func (r *Resolver) systemDirs(a abi, musl bool, loader string) []string {
	if musl {
		return r.existing(r.tree.muslDirs(loader))
	}
	r.mu.Lock()
	dirs, ok := r.system[a]
	conf, confOK := r.conf, r.confOK
	r.mu.Unlock()
	if !ok {
		if !confOK {
			conf = r.tree.confDirs()
		}
		dirs = r.existing(slices.Concat(conf, machineOf(a).defaultDirs()))
		r.mu.Lock()
		r.conf, r.confOK, r.system[a] = conf, true, dirs
		r.mu.Unlock()
	}
	if loader != "" { // a loader of another prefix is built for its own folder
		dirs = r.existing(append(slices.Clip(dirs), path.Dir(loader)))
	}
	return dirs
}

func (r *Resolver) existing(dirs []string) []string {
	var out []string
	for _, d := range dirs {
		pl, err := r.tree.resolve(d)
		if err == nil && pl.node.mode.IsDir() && !slices.Contains(out, "/"+pl.real) {
			out = append(out, "/"+pl.real)
		}
	}
	return out
}

// muslLoader is the sysroot's loader of musl for that ABI, "" if there is none.
func (r *Resolver) muslLoader(a abi) string {
	for _, p := range r.tree.glob("lib/ld-musl-*.so.1") {
		if pl, err := r.tree.resolve(p); err == nil && pl.node.mode.IsRegular() {
			if o, err := r.object(pl.real); err == nil && o != nil && o.abi == a {
				return p
			}
		}
	}
	return ""
}

// muslOf is the loader of a library of musl, which names none itself; "" for
// one of glibc, whose libc names its loader.
func (im *image) muslOf() string {
	for _, n := range im.main.needed {
		if strings.HasPrefix(n, "libc.musl-") || n == "libc.so" {
			return im.r.muslLoader(im.abi)
		}
	}
	return ""
}

// NSS returns the modules of the name services ("passwd", "hosts"; all if none
// is given) that /etc/nsswitch.conf of the sysroot names, as program would load
// them, with all that they need. Those that are not there are left out, as libc
// does: since glibc 2.34 files and dns are built in. musl and static programs
// have none.
func (r *Resolver) NSS(program string, databases ...string) ([]Dep, error) {
	pl, err := r.tree.resolve(program)
	if err != nil {
		return nil, notThere("", program, "", err)
	}
	o, err := r.object(pl.real)
	if err != nil || o == nil || o.shebang != "" || o.interp == "" {
		return nil, err
	}
	if _, _, musl := cutMusl(o.interp); musl {
		return nil, nil
	}
	text, err := r.tree.read("etc/nsswitch.conf", maxConfSize)
	if err != nil {
		text = nil
	}
	c := r.newClosure(clean(program))
	dirs := r.systemDirs(o.abi, false, o.interp)
	for _, service := range nssServices(text, databases) {
		for _, d := range dirs {
			p := clean(path.Join(d, "libnss_"+service+".so.2"))
			lib, err := r.tree.resolve(p)
			if err != nil || !lib.node.mode.IsRegular() {
				continue
			}
			lo, err := r.object(lib.real)
			if err != nil || lo == nil || lo.abi != o.abi || lo.typ != elf.ET_DYN {
				continue
			}
			if err := c.program(p, "name service "+service, 0); err != nil {
				return nil, err
			}
			break
		}
	}
	return c.out, nil
}

// nssServices are the services of nsswitch.conf(5), each once, in order.
func nssServices(text []byte, databases []string) []string {
	var out []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		db, list, ok := strings.Cut(line, ":")
		if !ok || len(databases) > 0 && !slices.Contains(databases, strings.TrimSpace(db)) {
			continue
		}
		action := false // between [ and ]
		for _, w := range strings.Fields(strings.NewReplacer("[", " [ ", "]", " ] ").Replace(list)) {
			switch {
			case w == "[" || w == "]":
				action = w == "["
			case !action && !strings.Contains(w, "/") && !slices.Contains(out, w):
				out = append(out, w)
			}
		}
	}
	return out
}

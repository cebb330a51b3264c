package elfdep

import (
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

package build

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is the kernel's bound on symbolic links in one path.
const maxLinks = 40

// within finds p below root as a program in a chroot there would: an absolute
// link means root again, and .. does not lead out. What does not exist is left
// as it is.
func within(root, p string) (string, error) {
	var done []string // components below root, free of links
	todo := strings.Split(filepath.ToSlash(p), "/")
	for links := 0; len(todo) > 0; {
		c := todo[0]
		todo = todo[1:]
		switch c {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, len(done)-1)]
			continue
		}
		target, err := os.Readlink(filepath.Join(root, filepath.Join(done...), c))
		if err != nil { // no link, or not there
			done = append(done, c)
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", filepath.Join(root, p))
		}
		if filepath.IsAbs(target) {
			done = nil
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return filepath.Join(root, filepath.Join(done...)), nil
}

// below is within for several paths of the sysroot.
func (o *Options) below(paths ...string) ([]string, error) {
	var out []string
	for _, p := range paths {
		name, err := within(o.Sysroot, p)
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, nil
}

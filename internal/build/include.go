package build

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

	"bareroot/internal/cpio"
)

// tree copies a folder of this machine as it is: links stay links, programs'
// libraries are not looked for.
func (f *files) tree(src, dst, why string) error {
	return filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return inputError{fmt.Errorf("include %s: %w", src, err)}
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		return f.copied(p, path.Join(dst, filepath.ToSlash(rel)), why, d)
	})
}

func (f *files) copied(p, dst, why string, d fs.DirEntry) error {
	fi, err := d.Info()
	if err != nil {
		return inputError{fmt.Errorf("include %s: %w", p, err)}
	}
	dst = strings.TrimPrefix(path.Clean("/"+dst), "/")
	to := ramdiskPath(dst)
	if err := cpio.CheckName(to); err != nil && to != "." {
		return inputError{fmt.Errorf("include %s: %w", p, err)}
	}
	if f.have[to] {
		return nil
	}
	switch {
	case fi.IsDir():
		if to != "." && !slices.Contains(merged[:], to) && !f.standing(to) {
			f.put(dir(to, modeBits(fi.Mode()), why))
			return f.attributes(p, to)
		}
	case fi.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(p)
		if err != nil {
			return inputError{fmt.Errorf("include %s: %w", p, err)}
		}
		f.put(item{Path: to, Mode: cpio.TypeSymlink | 0o777, Link: ramdiskLink(dst, target), Why: why})
	case fi.Mode().IsRegular():
		if h, err := os.Open(p); err != nil {
			return inputError{fmt.Errorf("include %s: %w", p, err)}
		} else {
			h.Close()
		}
		f.put(item{Path: to, Mode: cpio.TypeRegular | modeBits(fi.Mode()), From: p, Size: fi.Size(), Why: why})
		return f.attributes(p, to)
	default:
		f.r.notices = append(f.r.notices, fmt.Sprintf("%s is neither file, folder nor link and is not included", p))
	}
	return nil
}

// standing tells whether a folder is one that every ramdisk has: its mode stays.
func (f *files) standing(p string) bool {
	return slices.ContainsFunc(f.r.skeleton, func(it item) bool { return it.Path == p && it.Mode&cpio.TypeMask == cpio.TypeDir })
}

// include copies a file, or what a folder holds.
func (f *files) include(inc Include) error {
	if inc.Src == "" || inc.Dst == "" {
		return inputError{fmt.Errorf("include %q to %q: both must be given", inc.Src, inc.Dst)}
	}
	why := "included from " + inc.Src
	fi, err := os.Stat(inc.Src)
	if err != nil {
		return inputError{fmt.Errorf("include: %w", err)}
	}
	if fi.IsDir() {
		real, err := filepath.EvalSymlinks(inc.Src)
		if err != nil {
			return inputError{fmt.Errorf("include: %w", err)}
		}
		return f.tree(real, inc.Dst, why)
	}
	dst := inc.Dst
	if strings.HasSuffix(dst, "/") {
		dst += filepath.Base(inc.Src)
	}
	if err := f.copied(inc.Src, dst, why, fs.FileInfoToDirEntry(fi)); err != nil {
		return err
	}
	return f.needs(inc.Src, why)
}

// needs adds what a single included program of the sysroot needs: its libraries
// or its interpreter. It may as well be data, so that what is not there is only
// worth a word.
func (f *files) needs(src, why string) error {
	root, err := filepath.Abs(f.o.Sysroot)
	if err != nil {
		return err
	}
	if src, err = filepath.Abs(src); err != nil {
		return err
	}
	rel, err := filepath.Rel(root, src)
	own := "" // why the file that is looked at is in; "" if it is the included one
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		// Of another system than the programs: a script's interpreter is of that one.
		if rel, err = interpreter(src); err != nil || rel == "" {
			return err
		}
		own = "interpreter of " + src
	}
	deps, err := f.r.resolver.Closure(rel)
	if err != nil {
		f.r.notices = append(f.r.notices, fmt.Sprintf("%s is included without what it needs: %v", src, err))
		return nil
	}
	f.deps = append(f.deps, deps...)
	for _, d := range deps {
		why := d.Why
		if why == "" {
			why = own
		}
		if why == "" {
			continue // the file itself, which is at another place
		}
		if err := f.dep(d, why); err != nil {
			return err
		}
	}
	return nil
}

// interpreter is what a script's first line names; "" if the file is none.
func interpreter(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", inputError{fmt.Errorf("include: %w", err)}
	}
	defer f.Close()
	head := make([]byte, 256) // as far as the kernel reads
	n, err := f.Read(head)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", inputError{fmt.Errorf("include %s: %w", name, err)}
	}
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	words, ok := strings.CutPrefix(line, "#!")
	if w := strings.Fields(words); ok && len(w) > 0 && path.IsAbs(w[0]) {
		return w[0], nil
	}
	return "", nil
}

// hooks puts programs where init is to look for them.
func (f *files) hooks() error {
	for _, h := range f.o.Hooks {
		if !slices.Contains(stages[:], h.Stage) {
			return inputError{fmt.Errorf("--hook %s: stages are %s", h.Stage, strings.Join(stages[:], ", "))}
		}
		fi, err := os.Stat(h.File)
		if err == nil && !fi.Mode().IsRegular() {
			err = errors.New("it is no regular file")
		}
		if err != nil {
			return inputError{fmt.Errorf("--hook %s %s: %w", h.Stage, h.File, err)}
		}
		f.put(item{
			Path: "usr/lib/bareroot/hooks/" + h.Stage + ".d/" + filepath.Base(h.File), Mode: cpio.TypeRegular | 0o755,
			From: h.File, Size: fi.Size(), Why: "hook of stage " + h.Stage,
		})
	}
	return nil
}

// addExtra adds files with given content to the configuration segment, so that
// all other segments stay the same.
func (r *recipe) addExtra(o *Options) error {
	var items []item
	for _, x := range o.Extra {
		p := ramdiskPath(x.Path)
		if err := cpio.CheckName(p); err != nil {
			return inputError{fmt.Errorf("add %s: %w", x.Path, err)}
		}
		mode := x.Mode
		if mode == 0 {
			mode = 0o644
		}
		data := x.Data
		if x.OfFeatures != nil {
			data = x.OfFeatures(r.featureNames())
		}
		if data == nil {
			data = []byte{}
		}
		items = append(items, item{Path: p, Mode: cpio.TypeRegular | mode&0o7777, Data: data, Why: x.Why})
	}
	if len(items) > 0 {
		have := map[string]bool{}
		for _, it := range items {
			have[it.Path] = true
		}
		for _, it := range r.config {
			if !have[it.Path] {
				items = append(items, it)
			}
		}
		r.config = withParents(items)
	}
	return nil
}

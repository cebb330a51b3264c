package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bareroot/internal/cpio"
)

// firmwareDir is the folder that the firmware names of modules are relative to.
type firmwareDir struct{ dir string }

// find returns the files that belong to a name out of .modinfo, which may be a
// glob: paths below the folder, perhaps with the suffix of a compression that
// the kernel's loader undoes.
func (d firmwareDir) find(name string) ([]string, error) {
	if cpio.CheckName(name) != nil {
		return nil, nil
	}
	for _, suffix := range []string{"", ".zst", ".xz"} {
		if !strings.ContainsAny(name, "*?[") {
			fi, err := os.Stat(filepath.Join(d.dir, name+suffix))
			if err == nil && fi.Mode().IsRegular() {
				return []string{name + suffix}, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				return nil, fmt.Errorf("find firmware: %w", err)
			}
			continue
		}
		hits, err := fs.Glob(os.DirFS(d.dir), name+suffix)
		if err != nil {
			return nil, nil // a pattern that fs.Glob does not read names nothing
		}
		if len(hits) > 0 {
			return hits, nil
		}
	}
	return nil, nil
}

// items resolves all names. A file reached under several names is stored once
// and linked.
func (d firmwareDir) items(names map[string][]string) (items []item, missing []string, err error) {
	first := map[string]string{} // real file -> path in the ramdisk
	done := map[string]bool{}
	for _, name := range sortedKeys(names) {
		files, err := d.find(name)
		if err != nil {
			return nil, nil, err
		}
		if len(files) == 0 {
			missing = append(missing, name)
		}
		for _, f := range files {
			if done[f] {
				continue
			}
			done[f] = true
			real, err := filepath.EvalSymlinks(filepath.Join(d.dir, f))
			if err != nil {
				return nil, nil, fmt.Errorf("find firmware: %w", err)
			}
			fi, err := os.Stat(real)
			if err != nil {
				return nil, nil, fmt.Errorf("find firmware: %w", err)
			}
			if !fi.Mode().IsRegular() {
				continue
			}
			p := "usr/lib/firmware/" + f
			why := "named by " + strings.Join(names[name][:min(len(names[name]), 3)], ", ")
			if at := first[real]; at != "" {
				target, err := filepath.Rel(filepath.Dir(p), at)
				if err != nil {
					return nil, nil, fmt.Errorf("find firmware: %w", err)
				}
				items = append(items, link(p, target, why))
				continue
			}
			first[real] = p
			items = append(items, item{Path: p, Mode: cpio.TypeRegular | 0o644, From: filepath.Join(d.dir, f), Size: fi.Size(), Why: why})
		}
	}
	return withParents(items), missing, nil
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bareroot/internal/cpio"
)

// firmwareDir is where the firmware is that modules name.
type firmwareDir struct {
	dirs  []string // the names are relative to the first of them that has the file
	subs  []string // where the kernel looks below it first: updates/KVER/, updates/, KVER/
	wants []string // "needed" or none, "all", "none", or patterns
	omit  []string // patterns
	kconf *kconfig
}

// where names the folders in a sentence.
func (d firmwareDir) where() string { return strings.Join(d.dirs, ", ") }

// below notes those folders that the kernel looks into first and that are there.
func (d *firmwareDir) below(kver string) {
	for _, sub := range []string{"updates/" + kver + "/", "updates/", kver + "/"} {
		if slices.ContainsFunc(d.dirs, func(dir string) bool {
			fi, err := os.Stat(filepath.Join(dir, sub))
			return err == nil && fi.IsDir()
		}) && (kver != "" || sub == "updates/") {
			d.subs = append(d.subs, sub)
		}
	}
}

// found is a file of firmware: its folder and its path below it.
type found struct{ dir, name string }

// find returns the files that belong to a name out of .modinfo, which may be a
// glob, perhaps with the suffix of a compression that the kernel's loader
// undoes.
func (d firmwareDir) find(name string) ([]found, error) {
	if cpio.CheckName(name) != nil {
		return nil, nil
	}
	for _, dir := range d.dirs {
		for _, sub := range append(d.subs[:len(d.subs):len(d.subs)], "") {
			if out, err := findIn(dir, sub+name); err != nil || len(out) > 0 {
				return out, err
			}
		}
	}
	return nil, nil
}

func findIn(dir, name string) ([]found, error) {
	for _, suffix := range []string{"", ".zst", ".xz"} {
		if !strings.ContainsAny(name, "*?[") {
			fi, err := os.Stat(filepath.Join(dir, name+suffix))
			if err == nil && fi.Mode().IsRegular() {
				return []found{{dir, name + suffix}}, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				return nil, fmt.Errorf("find firmware: %w", err)
			}
			continue
		}
		hits, err := fs.Glob(os.DirFS(dir), name+suffix)
		if err != nil {
			return nil, nil // a pattern that fs.Glob does not read names nothing
		}
		var out []found
		for _, h := range hits {
			out = append(out, found{dir, h})
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, nil
}

// named adds to the names that modules give those that the options ask for,
// and drops the ones they do not want.
func (d firmwareDir) named(names map[string][]string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, w := range d.wants {
		switch w {
		case "none":
			return nil, nil
		case "needed":
			for n, by := range names {
				out[n] = by
			}
		case "all":
			for _, dir := range d.dirs {
				err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
					if err != nil || e.IsDir() {
						return err
					}
					rel, err := filepath.Rel(dir, p)
					if err == nil && !ucode(rel) {
						out[rel] = []string{"--firmware all"}
					}
					return err
				})
				if err != nil {
					return nil, inputError{fmt.Errorf("read firmware: %w", err)}
				}
			}
		default:
			if _, err := path.Match(w, ""); err != nil {
				return nil, inputError{fmt.Errorf("--firmware %s: %w", w, err)}
			}
			if hits, err := d.find(w); err != nil {
				return nil, err
			} else if len(hits) == 0 {
				return nil, inputError{fmt.Errorf("--firmware %s: no file below %s fits", w, d.where())}
			}
			out[w] = []string{"--firmware " + w}
		}
	}
	return out, nil
}

// ucode tells the processor microcode, which has a segment of its own.
func ucode(name string) bool {
	return strings.HasPrefix(name, "intel-ucode/") || strings.HasPrefix(name, "amd-ucode/")
}

// omitted tells whether a file is not wanted, with or without its suffix.
func (d firmwareDir) omitted(f string) bool {
	for _, p := range d.omit {
		for _, name := range []string{f, plainName(f)} {
			if ok, _ := path.Match(p, name); ok || strings.HasPrefix(name, strings.TrimSuffix(p, "/")+"/") {
				return true
			}
		}
	}
	return false
}

// unpacked undoes a compression that this kernel's firmware loader does not
// know. Where nothing is known of the kernel, the file stays as it is.
func (d firmwareDir) unpacked(it item) (item, error) {
	option := map[string]string{".zst": "FW_LOADER_COMPRESS_ZSTD", ".xz": "FW_LOADER_COMPRESS_XZ"}[path.Ext(it.Path)]
	if option == "" || !d.kconf.known() || d.kconf.set[option] || option == "FW_LOADER_COMPRESS_XZ" && d.kconf.set["FW_LOADER_COMPRESS"] && !d.kconf.set["FW_LOADER_COMPRESS_ZSTD"] {
		return it, nil
	}
	b, err := os.ReadFile(it.From)
	if err == nil {
		b, err = decompress(b)
	}
	if err != nil {
		return it, inputError{fmt.Errorf("read firmware %s: %w", it.From, err)}
	}
	it.Path, it.Data, it.Size = plainName(it.Path), b, int64(len(b))
	return it, nil
}

// items resolves all names. A file reached under several names is stored once
// and linked.
func (d firmwareDir) items(modules map[string][]string) (items []item, missing []string, err error) {
	names, err := d.named(modules)
	if err != nil {
		return nil, nil, err
	}
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
		for _, hit := range files {
			f := hit.name
			if done[f] || d.omitted(f) {
				continue
			}
			done[f] = true
			real, err := filepath.EvalSymlinks(filepath.Join(hit.dir, f))
			if errors.Is(err, fs.ErrNotExist) {
				continue // a link to a package that is not installed
			}
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
			why := "named by " + strings.Join(names[name][:min(len(names[name]), 3)], ", ")
			if strings.HasPrefix(names[name][0], "--") {
				why = "asked for with " + names[name][0]
			}
			it, err := d.unpacked(item{Path: "usr/lib/firmware/" + f, Mode: cpio.TypeRegular | 0o644, From: filepath.Join(hit.dir, f), Size: fi.Size(), Why: why})
			if err != nil {
				return nil, nil, err
			}
			if at := first[real]; at != "" {
				target, err := filepath.Rel(filepath.Dir(it.Path), at)
				if err != nil {
					return nil, nil, fmt.Errorf("find firmware: %w", err)
				}
				items = append(items, link(it.Path, target, why))
				continue
			}
			first[real] = it.Path
			items = append(items, it)
		}
	}
	return withParents(items), missing, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

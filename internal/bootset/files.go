package bootset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ErrNoList is the error for a boot set without a list of its files.
var ErrNoList = errors.New("it has no list of its files; \"bareroot build --format dir\" makes one")

// Files reads dir/files.json.
func Files(dir string) ([]File, error) {
	b, err := os.ReadFile(filepath.Join(dir, "files.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoList
	}
	if err != nil {
		return nil, fmt.Errorf("read boot set: %w", err)
	}
	var files []File
	if err := json.Unmarshal(b, &files); err != nil {
		return nil, fmt.Errorf("read boot set: %s: %w", filepath.Join(dir, "files.json"), err)
	}
	return files, nil
}

// Meant returns the files that a person means by name: a path in the ramdisk,
// the end of one, a kernel module's name, or a pattern.
func Meant(files []File, name string) (out []File) {
	name = strings.TrimPrefix(name, "/")
	for _, f := range files {
		if f.Path == name {
			out = append(out, f)
		}
	}
	if out != nil {
		return out
	}
	for _, f := range files {
		if f.meant(name) {
			out = append(out, f)
		}
	}
	return out
}

func (f File) meant(name string) bool {
	if strings.HasSuffix(f.Path, "/"+name) {
		return true
	}
	for _, against := range []string{f.Path, path.Base(f.Path)} {
		if ok, err := path.Match(name, against); err == nil && ok {
			return true
		}
	}
	module, _, is := strings.Cut(path.Base(f.Path), ".ko")
	return is && strings.ReplaceAll(module, "-", "_") == strings.ReplaceAll(name, "-", "_")
}

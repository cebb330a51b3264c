package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Where a distribution keeps its shared libraries.
var libraryDirs = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"}

// peerFiles finds the programs and all shared libraries they need, by DT_NEEDED:
// name in the guest to path here. The name of the loader is returned too.
func peerFiles(programs []string) (files map[string]string, loader string, err error) {
	files = map[string]string{}
	var need []string
	add := func(path string) error {
		f, err := elf.Open(path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		defer f.Close()
		if s := f.Section(".interp"); s != nil {
			b, err := s.Data()
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			loader = filepath.Base(string(b[:len(b)-1]))
			need = append(need, loader)
		}
		libs, err := f.ImportedLibraries()
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		need = append(need, libs...)
		return nil
	}
	for _, p := range programs {
		files["bin/"+filepath.Base(p)] = p
		if err := add(p); err != nil {
			return nil, "", err
		}
	}
	for len(need) > 0 {
		name := need[0]
		need = need[1:]
		if files["lib/"+name] != "" {
			continue
		}
		path, err := library(name)
		if err != nil {
			return nil, "", err
		}
		files["lib/"+name] = path
		if err := add(path); err != nil {
			return nil, "", err
		}
	}
	return files, loader, nil
}

func library(name string) (string, error) {
	for _, d := range libraryDirs {
		p := filepath.Join(d, name)
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	return "", fmt.Errorf("library %s is in none of %v", name, libraryDirs)
}

// Package elfdep finds every file that a program needs.
package elfdep

import (
	"errors"
	"io/fs"
)

// Dep is one file or symbolic link that a program needs.
type Dep struct {
	Path   string      // as in the sysroot, without a leading slash
	Link   string      // target as it is written in the link; empty for a file
	Mode   fs.FileMode // permission bits
	Source string      // the file or link itself on this machine
	Why    string      // "needed by usr/bin/curl"
}

// Resolver answers for one sysroot. It may be used by several goroutines.
type Resolver struct{ root string }

// New returns a resolver for the tree below sysroot.
func New(sysroot string) *Resolver { return &Resolver{root: sysroot} }

// Closure returns path itself (relative to the sysroot, with or without a
// leading slash), the links on the way to it and all that it needs.
func (r *Resolver) Closure(path string) ([]Dep, error) {
	return nil, errors.New("not yet written")
}

// Find looks a bare name up in the sysroot's usual program folders and returns
// all matches, for Closure.
func (r *Resolver) Find(name string) ([]string, error) {
	return nil, errors.New("not yet written")
}

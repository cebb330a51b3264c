package elfdep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
)

const (
	maxLinks = 40   // in one path, as in the kernel
	maxGlob  = 1024 // matches of one pattern
)

// tree looks at the files below root and stays there.
type tree struct {
	root  string
	mu    sync.Mutex
	nodes map[string]node
}

// node is what lstat and readlink say.
type node struct {
	mode   fs.FileMode
	target string // of a link
	err    error
}

// place is where a path leads.
type place struct {
	real  string   // free of links
	links []string // met on the way, each with real folders in front
	node  node     // of real
}

func newTree(root string) *tree {
	if root == "" {
		root = "/"
	}
	return &tree{root: root, nodes: map[string]node{}}
}

// host is where p, whose folders are no links, is on this machine.
func (t *tree) host(p string) string { return filepath.Join(t.root, filepath.FromSlash(p)) }

func (t *tree) lstat(p string) node {
	t.mu.Lock()
	n, ok := t.nodes[p]
	t.mu.Unlock()
	if ok {
		return n
	}
	fi, err := os.Lstat(t.host(p))
	if err != nil {
		n.err = err
	} else if n.mode = fi.Mode(); n.mode&fs.ModeSymlink != 0 {
		n.target, n.err = os.Readlink(t.host(p))
	}
	t.mu.Lock()
	t.nodes[p] = n
	t.mu.Unlock()
	return n
}

// resolve follows p. A file in the place of a folder counts as not there.
func (t *tree) resolve(p string) (place, error) {
	pl := place{node: node{mode: fs.ModeDir}}
	var done []string // real components
	todo := strings.Split(p, "/")
	for len(todo) > 0 {
		c := todo[0]
		todo = todo[1:]
		switch c {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, len(done)-1)]
			pl.node = node{mode: fs.ModeDir}
			continue
		}
		here := path.Join(path.Join(done...), c)
		n := t.lstat(here)
		switch {
		case errors.Is(n.err, syscall.ENOTDIR):
			return pl, fmt.Errorf("%s: %w", t.host(here), fs.ErrNotExist)
		case n.err != nil:
			return pl, n.err
		case n.mode&fs.ModeSymlink == 0:
			done, pl.node = append(done, c), n
			continue
		}
		if pl.links = append(pl.links, here); len(pl.links) > maxLinks {
			return pl, fmt.Errorf("%s: too many symbolic links", t.host(p))
		}
		if strings.HasPrefix(n.target, "/") {
			done = nil
		}
		todo = append(strings.Split(n.target, "/"), todo...)
		pl.node = node{mode: fs.ModeDir}
	}
	pl.real = path.Join(done...)
	return pl, nil
}

// read returns the text file p, at most limit bytes of it.
func (t *tree) read(p string, limit int64) ([]byte, error) {
	pl, err := t.resolve(p)
	if err != nil {
		return nil, err
	}
	if !pl.node.mode.IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", t.host(pl.real))
	}
	return readSome(t.host(pl.real), limit)
}

// glob is filepath.Glob inside the tree, sorted.
func (t *tree) glob(pattern string) []string {
	found := []string{""}
	for _, c := range strings.Split(clean(pattern), "/") {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(c, `*?[\`) {
				next = append(next, path.Join(dir, c))
				continue
			}
			pl, err := t.resolve(dir)
			if err != nil {
				continue
			}
			entries, err := os.ReadDir(t.host(pl.real))
			if err != nil {
				continue
			}
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(c, ".") {
					continue
				}
				if ok, err := path.Match(c, e.Name()); err == nil && ok && len(next) < maxGlob {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		found = next
	}
	sort.Strings(found)
	return found
}

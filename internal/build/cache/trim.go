package cache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tmpAge is how long a temporary file may be written to; after that whoever
// wrote it is gone.
const tmpAge = time.Hour

// Stats describe a store, or what was removed from it.
type Stats struct {
	Dir     string           `json:"dir"`
	Entries int              `json:"entries"`
	Bytes   int64            `json:"bytes"`
	Max     int64            `json:"max"`
	Oldest  time.Time        `json:"oldest,omitzero"` // last use of the unit unused for longest
	Kinds   map[string]Usage `json:"kinds"`
}

// Usage is a part of a store.
type Usage struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

// entry is a file of the store.
type entry struct {
	path string
	kind string // "" for a temporary file
	size int64
	used time.Time
}

var (
	shardName = regexp.MustCompile(`^[0-9a-f]{2}$`)
	unitName  = regexp.MustCompile(`^[0-9a-f]{62}-([a-z0-9-]{1,16})$`)
)

// entries looks the whole store through. Only files with our names are seen:
// the folder may hold others by mistake. What disappears meanwhile was removed
// by another process.
func (c *Cache) entries() ([]entry, error) {
	var out []entry
	add := func(dir string, e fs.DirEntry, kind string) error {
		fi, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case fi.Mode().IsRegular():
			out = append(out, entry{filepath.Join(dir, e.Name()), kind, fi.Size(), fi.ModTime()})
		}
		return nil
	}
	top, err := readDir(c.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range top {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			if err := add(c.dir, e, ""); err != nil {
				return nil, err
			}
		}
		if !e.IsDir() || !shardName.MatchString(e.Name()) {
			continue
		}
		dir := filepath.Join(c.dir, e.Name())
		units, err := readDir(dir)
		if err != nil {
			return nil, err
		}
		for _, u := range units {
			if m := unitName.FindStringSubmatch(u.Name()); m != nil {
				if err := add(dir, u, m[1]); err != nil {
					return nil, err
				}
			}
		}
	}
	return withData(out), nil
}

func readDir(dir string) ([]fs.DirEntry, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

func (c *Cache) stats(list []entry) Stats {
	s := Stats{Dir: c.dir, Max: c.max, Kinds: map[string]Usage{}}
	for _, e := range list {
		s.Bytes += e.size
		if e.kind == "" {
			continue
		}
		if e.kind == dataKind { // a part of the unit beside it
			u := s.Kinds[fileKind]
			s.Kinds[fileKind] = Usage{u.Entries, u.Bytes + e.size}
			continue
		}
		s.Entries++
		u := s.Kinds[e.kind]
		s.Kinds[e.kind] = Usage{u.Entries + 1, u.Bytes + e.size}
		if s.Oldest.IsZero() || e.used.Before(s.Oldest) {
			s.Oldest = e.used
		}
	}
	return s
}

// Stats looks at the whole store. Bytes includes what is being written.
func (c *Cache) Stats() (Stats, error) {
	if c == nil {
		return Stats{Kinds: map[string]Usage{}}, nil
	}
	list, err := c.entries()
	if err != nil {
		return Stats{}, fmt.Errorf("look through build cache: %w", err)
	}
	return c.stats(list), nil
}

// Trim removes units, those unused for longest first, until the store has at
// most max bytes, and returns what was removed.
func (c *Cache) Trim(max int64) (Stats, error) {
	if c == nil {
		return Stats{Kinds: map[string]Usage{}}, nil
	}
	c.trimming.Lock()
	defer c.trimming.Unlock()
	return c.trim(max)
}

func (c *Cache) trim(max int64) (Stats, error) {
	list, err := c.entries()
	if err != nil {
		return Stats{}, fmt.Errorf("look through build cache: %w", err)
	}
	var total int64
	for _, e := range list {
		total += e.size
	}
	// By name where times are equal: processes that trim at once choose alike.
	slices.SortFunc(list, func(a, b entry) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	if total > max { // a little more, or the next build would do this again
		max -= max / 16
	}
	var removed []entry
	for _, e := range list {
		stale := e.kind == "" && c.now().Sub(e.used) > tmpAge
		if !stale && (total <= max || e.kind == "") {
			continue
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.stats(removed), fmt.Errorf("trim build cache: %w", err)
		}
		total -= e.size
		removed = append(removed, e)
	}
	return c.stats(removed), nil
}

// Clean removes all units, also those that are being written, and returns what
// they were. Files that are not ours stay.
func (c *Cache) Clean() (Stats, error) {
	if c == nil {
		return Stats{Kinds: map[string]Usage{}}, nil
	}
	c.trimming.Lock()
	defer c.trimming.Unlock()
	list, err := c.entries()
	if err != nil {
		return Stats{}, fmt.Errorf("look through build cache: %w", err)
	}
	var removed []entry
	for _, e := range list {
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.stats(removed), fmt.Errorf("clean build cache: %w", err)
		}
		removed = append(removed, e)
	}
	top, err := readDir(c.dir)
	if err != nil {
		return c.stats(removed), fmt.Errorf("clean build cache: %w", err)
	}
	for _, e := range top {
		if e.IsDir() && shardName.MatchString(e.Name()) {
			os.Remove(filepath.Join(c.dir, e.Name())) // another build has put something into it
		}
	}
	return c.stats(removed), nil
}

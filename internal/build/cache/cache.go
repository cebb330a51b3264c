// Package cache keeps what a build made, to be found by what it was made from.
//
// A unit is the bytes that one piece of work gave: a module compressed, a
// segment assembled. Its key is all that decides those bytes, so a unit is never
// out of date, only unused. A store is a folder of one user, mode 0700:
//
//	CACHEDIR.TAG        backup programs leave the folder out (not in one that was there before)
//	3f/09c2...-module   a unit: header (see entry.go) and bytes, or a pack (see pack.go)
//	3f/09c2...-file     a unit about the bytes beside it, which boot sets share (see file.go)
//	tmp-123456          a unit while it is written
//
// Any number of processes may use a store at once, without locks: a unit appears
// whole by rename, whoever finds one checks its hash, and what does not match is
// a miss and removed. Nothing is synced to the disk: what a power cut damages is
// a miss, too. A unit's modification time is its last use, to the hour; Close
// removes those unused for longest until the store is back below its bound.
// While builds run it may be above that, for each of them by an eighth and a file
// that it keeps.
//
// A store that cannot be written to (full, read-only) costs a build nothing but
// the work: it is told once, by Notice.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultMax bounds a store that was opened without a bound of its own.
const DefaultMax = 2 << 30

// touchAfter is how old a unit's last use must be to be written down again.
const touchAfter = time.Hour

// Key names one unit of work.
type Key struct {
	Kind    string   // "module", "segment": a-z, 0-9 and "-", at most 16
	Content [32]byte // sha256 of what went in
	Params  string   // all else that decides the bytes: encoder, level, arch, version
}

var kinds = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

// id is the key in 32 bytes.
func (k Key) id() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "bareroot cache %d\x00%s\x00%x\x00%s", formatVersion, k.Kind, k.Content, k.Params)
	return [32]byte(h.Sum(nil))
}

// Cache is a store. All methods may be called on a nil Cache, which holds
// nothing, and by several goroutines.
type Cache struct {
	dir   string
	max   int64
	now   func() time.Time
	usage atomic.Int64 // bytes put since the store was last looked through

	mu     sync.Mutex
	ready  bool  // the folder is there and ours
	off    bool  // no more Put
	notice error // the first thing that went wrong

	trimming sync.Mutex
}

// DefaultDir is bareroot/build in the user's cache folder ($XDG_CACHE_HOME or
// ~/.cache).
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the build cache: %w", err)
	}
	return filepath.Join(dir, "bareroot", "build"), nil
}

// Open opens the store in dir (DefaultDir if empty), bounded to max bytes
// (DefaultMax if 0). The folder is made by the first Put. An error means: build
// without a cache, and say so.
func Open(dir string, max int64) (*Cache, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	if max <= 0 {
		max = DefaultMax
	}
	c := &Cache{dir: dir, max: max, now: time.Now}
	err := checkDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open build cache: %w", err)
	}
	c.ready = err == nil
	return c, nil
}

// checkDir refuses a folder that somebody else could put units into: a unit's
// hash says that it is whole, not that it is what its key says.
func checkDir(dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to %d who builds: what is in it cannot be trusted", dir, st.Uid, os.Geteuid())
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s has mode %04o: others may write to it, so what is in it cannot be trusted", dir, fi.Mode().Perm())
	}
	return nil
}

// tag is what backup programs look for: https://bford.info/cachedir/
const tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by bareroot build; it can be removed at any time.\n"

// prepare makes the folder, once. It says whether units can be put.
func (c *Cache) prepare() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready || c.off {
		return !c.off
	}
	err := os.MkdirAll(c.dir, 0o700)
	if err == nil {
		err = checkDir(c.dir)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, "CACHEDIR.TAG"), []byte(tag), 0o600)
	}
	if err != nil {
		c.off, c.notice = true, err
		return false
	}
	c.ready = true
	return true
}

func (c *Cache) isReady() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

// fail notes what went wrong and ends all Put: what fails once will fail for
// each of a thousand modules.
func (c *Cache) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off = true; c.notice == nil {
		c.notice = err
	}
}

// Notice is one sentence about the first thing that went wrong, or "".
func (c *Cache) Notice() string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notice == nil {
		return ""
	}
	return "the build cache is not written to: " + c.notice.Error()
}

// path is where the unit is.
func (c *Cache) path(k Key, id [32]byte) string {
	name := hex.EncodeToString(id[:])
	return filepath.Join(c.dir, name[:2], name[2:]+"-"+k.Kind)
}

// Get returns what was put under k. It has been checked to be whole.
func (c *Cache) Get(k Key) ([]byte, bool) {
	if c == nil || !kinds.MatchString(k.Kind) || !c.isReady() {
		return nil, false
	}
	id := k.id()
	path := c.path(k, id)
	data, used, err := readEntry(path, id)
	if err != nil {
		if errors.Is(err, errDamaged) {
			os.Remove(path) // it stays a miss
		}
		return nil, false
	}
	c.use(path, used)
	return data, true
}

// use writes down that the unit at path is used, if it was used long ago.
func (c *Cache) use(path string, used time.Time) {
	if now := c.now(); now.Sub(used).Abs() > touchAfter {
		os.Chtimes(path, now, now) // a read-only store: nothing is removed from it either
	}
}

// Put keeps data under k. It never fails a build: see Notice.
func (c *Cache) Put(k Key, data []byte) {
	if c == nil || int64(len(data))+headerSize > c.max {
		return
	}
	if !kinds.MatchString(k.Kind) {
		c.fail(fmt.Errorf("%q is not a kind of unit", k.Kind))
		return
	}
	if !c.prepare() {
		return
	}
	id := k.id()
	if err := c.write(c.path(k, id), id, data); err != nil {
		c.fail(err)
		return
	}
	c.grown(int64(len(data)) + headerSize)
}

// grown counts what was put and looks after the bound now and then.
func (c *Cache) grown(n int64) {
	if c.usage.Add(n) > c.max/8 && c.trimming.TryLock() {
		defer c.trimming.Unlock()
		c.usage.Store(0)
		if _, err := c.trim(c.max); err != nil {
			c.fail(err)
		}
	}
}

// write makes the unit appear whole. A Clean by another process may take the
// temporary file or the folder away at any time; then there is no unit.
func (c *Cache) write(path string, id [32]byte, data []byte) error {
	f, err := c.createTemp()
	if err != nil {
		return err
	}
	tmp := f.Name()
	err = writeEntry(f, id, data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = place(tmp, path)
	}
	if err != nil {
		os.Remove(tmp) // it is cleared away when it is old
	}
	return err
}

// Close brings the store back below its bound if anything was put.
func (c *Cache) Close() error {
	if c == nil || c.usage.Swap(0) == 0 {
		return nil
	}
	c.trimming.Lock()
	defer c.trimming.Unlock()
	_, err := c.trim(c.max)
	return err
}

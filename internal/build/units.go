package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"bareroot/internal/build/cache"
)

// unitVersion is part of all keys: raise it when the same inputs give other
// bytes.
const unitVersion = "4"

// moduleFacts is what the builder must know of a module's content.
type moduleFacts struct {
	SHA256   string   `json:"sha256"` // before compression
	Size     int64    `json:"size"`
	Firmware []string `json:"firmware,omitempty"`
	Machine  string   `json:"machine,omitempty"`
}

// tree remembers the facts of files between builds, of a kernel's modules or of
// what else is large, so that those that are still the same need not be read. A file is the same if device,
// inode, size and both times are; changes within the clock's grain of a build
// are why young files are not remembered.
type tree struct {
	cache *cache.Cache
	key   cache.Key
	mu    sync.Mutex
	known map[string]treeEntry // by path
	grown bool
}

type treeEntry struct {
	State string `json:"state"`
	moduleFacts
}

func openTree(c *cache.Cache, dir, what string) *tree {
	t := &tree{cache: c, known: map[string]treeEntry{}}
	if c == nil {
		return t
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	t.key = cache.Key{Kind: "tree", Content: sha256.Sum256([]byte(abs)), Params: what + " " + unitVersion}
	if b, ok := c.Get(t.key); ok {
		if json.Unmarshal(b, &t.known) != nil {
			t.known = map[string]treeEntry{}
		}
	}
	return t
}

// state is what tells that a file is still the same; "" if that cannot be told.
func state(fi os.FileInfo, now time.Time) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	changed := time.Unix(st.Ctim.Unix())
	if now.Sub(changed) < cache.Settled || now.Sub(fi.ModTime()) < cache.Settled {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d:%d:%d", st.Dev, st.Ino, st.Size, fi.ModTime().UnixNano(), changed.UnixNano())
}

func (t *tree) get(path string, fi os.FileInfo) (moduleFacts, bool) {
	if t.cache == nil {
		return moduleFacts{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.known[path]
	if s := state(fi, time.Now()); !ok || s == "" || s != e.State {
		return moduleFacts{}, false
	}
	return e.moduleFacts, true
}

func (t *tree) put(path string, fi os.FileInfo, f moduleFacts) {
	if t.cache == nil {
		return
	}
	if s := state(fi, time.Now()); s != "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.known[path] = treeEntry{s, f}
		t.grown = true
	}
}

func (t *tree) save() error {
	if !t.grown {
		return nil
	}
	b, err := json.Marshal(t.known)
	if err != nil {
		return fmt.Errorf("remember the modules: %w", err)
	}
	t.cache.Put(t.key, b)
	return nil
}

// moduleSource reads, checks and packs modules, out of the cache where it can.
// The cache has them in a pack for each kernel version, encoder and architecture;
// a few that a build adds are units of their own.
type moduleSource struct {
	tree   *tree
	cache  *cache.Cache // of packed modules; nil if they are not kept
	arch   string
	params string
	pack   *cache.Pack
	packed *cache.PackWriter // nil if the pack stays as it is
	bufs   sync.Pool         // of *[]byte, for packed modules
}

// fewModules are not worth writing a pack again.
const fewModules = 40

func (r *recipe) newModuleSource() *moduleSource {
	return &moduleSource{tree: r.tree, arch: r.arch, params: "module " + unitVersion + " " + r.inside.params() + " " + r.arch}
}

// open makes the cache ready for packed modules; close must follow.
func (s *moduleSource) open(o *Options, r *recipe) {
	if r.inside.name == "none" {
		return
	}
	s.cache = o.Cache
	k := cache.Key{Kind: "pack", Content: sha256.Sum256([]byte(r.kver)), Params: s.params}
	s.pack = s.cache.OpenPack(k)
	missing := 0
	for _, c := range r.modules {
		e, ok := s.tree.known[c.Module.Path]
		if sum, err := unhex(e.SHA256); !ok || err != nil || !s.pack.Has(sum) {
			missing++
		}
	}
	if missing > fewModules {
		s.packed = s.cache.NewPack(k)
	}
}

// close ends the use of the cache. What was made is kept, also by a build that
// was interrupted: it is right by itself, and may have been a minute's work.
func (s *moduleSource) close() {
	s.packed.Commit(s.pack)
	s.pack.Close()
}

// keep is told of each packed module, in their order, and where in the segment it is.
func (s *moduleSource) keep(p packed, at int64) {
	if s.packed != nil {
		if sum, err := unhex(p.SHA256); err == nil {
			s.packed.Add(sum, p.Compressed, at)
		}
	}
	b := p.Compressed
	s.bufs.Put(&b)
}

func (s *moduleSource) buf() []byte {
	if b, ok := s.bufs.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

func unhex(sum string) (out [32]byte, err error) {
	if n, err := hex.Decode(out[:], []byte(sum)); err != nil || n != len(out) || len(sum) != 2*len(out) {
		return out, fmt.Errorf("%q is no sha256", sum)
	}
	return out, nil
}

// facts reads a module unless it is known, into buf if it can. data is nil if it
// was not read.
func (s *moduleSource) facts(from, path string, buf *[]byte) (f moduleFacts, data []byte, err error) {
	fi, err := os.Stat(from)
	if err != nil {
		return f, nil, inputError{fmt.Errorf("read kernel module: %w", err)}
	}
	f, ok := s.tree.get(path, fi)
	if !ok {
		if data, err = readModule(from, buf); err != nil {
			return f, nil, err
		}
		firmware, machine, err := moduleInfo(data)
		if err != nil {
			return f, nil, fmt.Errorf("kernel module %s is damaged: %w", from, err)
		}
		sum := sha256.Sum256(data)
		f = moduleFacts{hex.EncodeToString(sum[:]), int64(len(data)), firmware, archOf(machine)}
		s.tree.put(path, fi, f)
	}
	if f.Machine != s.arch {
		return f, nil, inputError{fmt.Errorf("kernel module %s is for %s, bareroot-init for %s", from, f.Machine, s.arch)}
	}
	return f, data, nil
}

// all returns the facts of all modules and the firmware that they name, if no
// module has to be read for it; nil otherwise.
func (s *moduleSource) all(r *recipe) ([]moduleFacts, firmwareNames) {
	facts, names := make([]moduleFacts, len(r.modules)), firmwareNames{}
	for i, c := range r.modules {
		fi, err := os.Stat(filepath.Join(r.index.Dir(), c.Module.Path))
		if err != nil {
			return nil, nil
		}
		f, ok := s.tree.get(c.Module.Path, fi)
		if !ok || f.Machine != s.arch {
			return nil, nil
		}
		facts[i] = f
		names.add(f.Firmware, c.Module.Name)
	}
	return facts, names
}

// module returns a module compressed by itself.
func (s *moduleSource) module(ctx context.Context, m *moduleCompressor, from string, c chosen) (packed, error) {
	f, data, err := s.facts(from, c.Module.Path, &m.buf)
	if err != nil {
		return packed{}, err
	}
	p := packed{moduleFacts: f, From: from, Why: c.Why}
	k := cache.Key{Kind: "module", Params: s.params}
	if s.cache != nil {
		if k.Content, err = unhex(f.SHA256); err != nil {
			return p, err
		}
		var ok bool
		if p.Compressed, ok = s.pack.Get(k.Content, s.buf()); ok {
			return p, nil
		}
		if p.Compressed, ok = s.cache.Get(k); ok {
			return p, nil
		}
	}
	if data == nil {
		if data, err = readModule(from, &m.buf); err != nil {
			return p, err
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
			return p, fmt.Errorf("kernel module %s changed while it was read; build again", from)
		}
	}
	if p.Compressed, err = m.compress(ctx, data, s.buf()); err != nil {
		return p, fmt.Errorf("compress kernel module %s: %w", from, err)
	}
	if s.packed == nil {
		s.cache.Put(k, p.Compressed)
	}
	return p, nil
}

// contentKey names a segment by all that decides its bytes. sums are the hashes
// of the items' contents, more what else is in it.
func contentKey(kind, params string, mtime time.Time, items []item, sums [][]byte, more []byte) cache.Key {
	h := sha256.New()
	for i, it := range items {
		fmt.Fprintf(h, "%q %o %q %d %d %x\n", it.Path, it.Mode, it.Link, it.Major, it.Minor, sums[i])
	}
	h.Write(more)
	k := cache.Key{Kind: "file", Params: fmt.Sprintf("segment %s %s %d %s", unitVersion, kind, mtime.Unix(), params)}
	h.Sum(k.Content[:0])
	return k
}

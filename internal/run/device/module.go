package device

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"bareroot/internal/cmdline"
	"bareroot/internal/kmod"
	"bareroot/internal/sys"
)

// Modules loads kernel modules with what they need, each once.
type Modules struct {
	index  *kmod.Index
	line   cmdline.Line
	block  []string // never loaded for a device
	insert func(name string, image []byte, params string) error
	cpu    string // names the processor
	dec    sync.Pool

	mu      sync.Mutex
	loads   map[string]*load
	hashed  chan struct{} // closed when the hashers are loaded; nil before the first signed module
	hashers []string      // files
}

type load struct {
	done chan struct{}
	err  error
}

// NewModules reads the index of dir. line gives parameters (NAME.KEY=VALUE)
// and what is not loaded for a device: rd.driver.blacklist, and
// rd.driver.post, which is loaded by name when the devices have settled.
func NewModules(dir string, line cmdline.Line) (*Modules, error) {
	x, err := kmod.Load(dir)
	if err != nil {
		return nil, err
	}
	m := &Modules{index: x, line: line, insert: sys.InitModule, cpu: "/sys/devices/system/cpu/modalias", loads: map[string]*load{}}
	for _, n := range line.List("rd.driver.blacklist", "rdblacklist", "modprobe.blacklist", "rd.driver.post", "rdinsmodpost") {
		m.block = append(m.block, kmod.Normalize(n))
	}
	return m, nil
}

// Match returns the modules for a modalias, without the blacklisted ones.
func (m *Modules) Match(modalias string) []string {
	return m.allowed(m.index.Match(modalias))
}

func (m *Modules) allowed(names []string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(m.block, n) })
}

// Load loads a module or alias with its dependencies. It returns when all are
// loaded, also those that another goroutine began with, and the devices that
// are there have been tried with them.
func (m *Modules) Load(word string) error { return m.load(word, "") }

// LoadBackground is Load for modules whose devices nobody waits for by waiting
// for the module: file systems, algorithms, a disk controller that is alone
// with its driver. The kernel then looks for its devices in the background,
// and does not wait for those of other modules either (kernel/module/main.c:
// after its init function a module waits for all probing that is under way).
func (m *Modules) LoadBackground(word string) error { return m.load(word, "async_probe") }

func (m *Modules) load(word, params string) error {
	names, ok := m.index.Lookup(word)
	if !ok {
		return fmt.Errorf("load module %s: %w in %s", word, kmod.ErrNotFound, m.index.Dir())
	}
	if _, _, named := m.index.Resolve(word); !named {
		names = m.allowed(names) // a blacklist is for aliases; who names a module gets it
	}
	var errs []error
	for _, n := range names {
		files, err := m.index.Closure(n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, f := range files {
			err := m.one(f, params)
			// What is only softly needed may fail: one by one the algorithms of an
			// alias, of which this processor has some.
			if err != nil && m.index.Needs(n, f) {
				errs = append(errs, err)
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (m *Modules) one(file, params string) error {
	m.mu.Lock()
	l := m.loads[file]
	if l != nil {
		m.mu.Unlock()
		<-l.done
		return l.err
	}
	l = &load{done: make(chan struct{})}
	m.loads[file] = l
	m.mu.Unlock()
	l.err = m.insertFile(file, params)
	close(l.done)
	return l.err
}

// Loaded counts the modules loaded by this process.
func (m *Modules) Loaded() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, l := range m.loads {
		select {
		case <-l.done:
			if l.err == nil {
				n++
			}
		default:
		}
	}
	return n
}

func (m *Modules) insertFile(file, params string) error {
	name := kmod.NameOf(file)
	if _, err := os.Stat("/sys/module/" + name + "/initstate"); err == nil {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(m.index.Dir(), file))
	if err != nil {
		return fmt.Errorf("load module %s: %w", name, err)
	}
	switch {
	case strings.HasSuffix(file, ".ko"):
	case strings.HasSuffix(file, ".zst"):
		z, _ := m.dec.Get().(*unpacker)
		if z == nil {
			z = &unpacker{}
		}
		defer m.dec.Put(z)
		if b, err = z.unzstd(b); err != nil {
			return fmt.Errorf("load module %s: decompress %s: %w", name, file, err)
		}
	default:
		return fmt.Errorf("load module %s: %s is compressed in a way that init does not read; the builder makes .ko.zst", name, file)
	}
	m.hashQuickly(file, kmod.SignatureHash(b))
	return m.insert(name, b, strings.TrimSpace(Params(m.line, name)+" "+params))
}

// unpacker keeps its memory from module to module: a page that is touched first
// costs more than what is done with it here.
type unpacker struct {
	dec *zstd.Decoder
	buf []byte
}

// unzstd gives what b holds, until the next call.
func (z *unpacker) unzstd(b []byte) ([]byte, error) {
	if z.dec == nil {
		var err error
		if z.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(256<<20)); err != nil {
			return nil, err
		}
	}
	out, err := z.dec.DecodeAll(b, z.buf[:0])
	z.buf = out[:0]
	return out, err
}

// Params are the parameters of a module on the command line: the words
// NAME.KEY[=VALUE], where - and _ in NAME are equal.
func Params(l cmdline.Line, name string) string {
	var out []string
	for _, w := range l {
		mod, key, ok := strings.Cut(w.Key, ".")
		if !ok || key == "" || kmod.Normalize(mod) != name {
			continue
		}
		p := key
		if !w.Bare {
			v := w.Value
			if strings.ContainsAny(v, " \t") {
				v = `"` + v + `"`
			}
			p += "=" + v
		}
		out = append(out, p)
	}
	return strings.Join(out, " ")
}

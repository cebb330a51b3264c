package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
	"bareroot/internal/sys"
)

// output is where a build goes. Until finish nothing at the final name changes;
// abort after finish does nothing.
type output interface {
	name() string
	check() error
	wantsKernel() bool
	readers() string // who besides its owner can read what was made; "" for nobody
	begin(*cache.Cache) (target, error)
	finish(*Result, []bootset.File, []keeping) error
	abort()
}

// folder is a hidden working folder beside the final name. Its files are made
// durable side by side, while others are still written.
type folder struct {
	path   string
	syncs  *errgroup.Group
	lock   *os.File     // nil on a filesystem without locks
	shared *cache.Cache // whose files the parts can be, by hard links; nil for none
}

func newFolder(final string) (folder, error) {
	abs, err := filepath.Abs(final)
	if err != nil {
		return folder{}, err
	}
	dir, prefix := filepath.Dir(abs), "."+filepath.Base(abs)+".tmp-"
	sweep(dir, prefix, time.Now())
	p, err := os.MkdirTemp(dir, prefix)
	if err != nil {
		return folder{}, fmt.Errorf("write to the output's folder: %w", err)
	}
	return folder{path: p, syncs: new(errgroup.Group), lock: lockFolder(p)}, nil
}

// remove takes away what is there under the working name.
func (f folder) remove() {
	if f.path != "" {
		os.RemoveAll(f.path)
	}
	if f.lock != nil {
		f.lock.Close()
	}
}

// create makes a part, which nobody may write to afterwards: it may be shared with
// the cache and with other boot sets.
func (f folder) create(_ int, name string) (io.WriteCloser, error) { return f.file(name, 0o444) }

func (f folder) file(name string, mode fs.FileMode) (*syncFile, error) {
	w, err := os.OpenFile(filepath.Join(f.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	return &syncFile{f: w, name: name, syncs: f.syncs}, nil
}

func (f folder) skip(int) {}

func (f folder) links() bool { return f.shared != nil }

// kept links the part to what the cache has, or copies that.
func (f folder) kept(_ int, name string, from *cache.File) error {
	w, err := f.file(name, 0o444)
	if err != nil {
		return errors.Join(err, from.Close())
	}
	final := filepath.Join(f.path, name)
	fi, err := w.f.Stat() // its mode is that of a file under this umask
	if err == nil && from.Link(final+".link", fi.Mode().Perm()) == nil {
		err = errors.Join(w.f.Close(), os.Rename(final+".link", final))
		if err == nil {
			f.syncs.Go(func() error { // its bytes may only have been copied to the cache
				if err := errors.Join(from.Sync(), from.Close()); err != nil {
					return fmt.Errorf("write %s: %w", name, plain(err))
				}
				return nil
			})
			return nil
		}
		return errors.Join(plain(err), from.Close())
	}
	if err == nil {
		_, err = from.CopyTo(w, 0, from.Size)
	}
	return errors.Join(plain(err), w.Close(), from.Close())
}

// syncFile is a file whose first Close begins to make it durable; later ones do
// nothing.
type syncFile struct {
	f      *os.File
	name   string
	syncs  *errgroup.Group
	closed bool
}

func (s *syncFile) Write(b []byte) (int, error) {
	n, err := sys.InPieces(s.f).Write(b)
	return n, plain(err)
}

// plain leaves the working folder's name out of an error; it says nothing to a
// person.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// ReadFrom lets the kernel copy from file to file.
func (s *syncFile) ReadFrom(r io.Reader) (int64, error) { return s.f.ReadFrom(r) }

func (s *syncFile) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.syncs.Go(func() error {
		if err := errors.Join(s.f.Sync(), s.f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", s.name, plain(err))
		}
		return nil
	})
	return nil
}

// existing tells whether an output is there, and refuses one of another kind.
func existing(path string, kind func(fs.FileMode) bool, name string) (bool, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, inputError{err}
	case !kind(fi.Mode()):
		return false, inputError{fmt.Errorf("%s exists and is no %s", path, name)}
	}
	return true, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some filesystems cannot sync a folder and say EINVAL.
	if err = d.Sync(); errors.Is(err, unix.EINVAL) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// dirOutput makes a boot set.
type dirOutput struct {
	path  string
	force bool
	work  folder
}

func (d *dirOutput) name() string { return d.path }

func (d *dirOutput) wantsKernel() bool { return true }

func (d *dirOutput) readers() string { return "whoever its server serves" }

func (d *dirOutput) check() error {
	there, err := existing(d.path, fs.FileMode.IsDir, "folder")
	if err != nil || !there {
		return err
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return inputError{err}
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(d.path, "manifest.json")); err != nil {
		return fmt.Errorf("%s holds files and is no boot set: %w; name another folder", d.path, ErrExists)
	}
	if !d.force {
		return fmt.Errorf("boot set %s exists: %w without --force", d.path, ErrExists)
	}
	for _, e := range entries {
		if segment, _ := path.Match("[0-9][0-9]-*.cpio*", e.Name()); !segment && e.Name() != "manifest.json" && e.Name() != "files.json" && e.Name() != "vmlinuz" {
			return fmt.Errorf("boot set %s also holds %s, which is none of its files: %w; move that away, or name another folder", d.path, e.Name(), ErrExists)
		}
	}
	return nil
}

func (d *dirOutput) begin(c *cache.Cache) (target, error) {
	var err error
	if d.work, err = newFolder(d.path); err != nil {
		return nil, err
	}
	if c.Links(d.work.path) {
		d.work.shared = c
	}
	return d.work, os.Chmod(d.work.path, 0o755)
}

func (d *dirOutput) abort() {
	if d.work.path != "" {
		_ = d.work.syncs.Wait() // the build has failed, whatever they came to
		d.work.remove()
	}
}

func (d *dirOutput) finish(res *Result, files []bootset.File, keep []keeping) error {
	res.Output = d.path
	for name, v := range map[string]any{"manifest.json": res.Manifest, "files.json": files} {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		w, err := d.work.file(name, 0o644)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			w.Close()
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := w.Close(); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := d.work.syncs.Wait(); err != nil {
		return err
	}
	for _, k := range keep {
		d.work.shared.Share(k.key, []byte(k.blob.SHA256), filepath.Join(d.work.path, k.blob.File))
	}
	if err := syncDir(d.work.path); err != nil {
		return fmt.Errorf("write %s: %w", d.path, err)
	}
	return replaceDir(d.work.path, d.path)
}

// replaceDir puts the folder from in the place of to in one step. What was
// there is removed afterwards; from does not exist then.
func replaceDir(from, to string) error {
	abs, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	err = os.Rename(from, abs) // also replaces an empty folder
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, abs, unix.RENAME_EXCHANGE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			// A filesystem without exchange: for a moment there is none.
			old := from + ".old"
			if err = os.Rename(abs, old); err == nil {
				if err = os.Rename(from, abs); err != nil {
					return errors.Join(err, os.Rename(old, abs))
				}
				err = os.RemoveAll(old)
			}
		} else if err == nil {
			err = os.RemoveAll(from)
		}
	}
	if err != nil {
		return fmt.Errorf("put the boot set at %s: %w", to, err)
	}
	return syncDir(filepath.Dir(abs))
}

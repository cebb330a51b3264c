package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"bareroot/internal/bootset"
)

// output is where a build goes. Until finish nothing at the final name changes;
// abort after finish does nothing.
type output interface {
	name() string
	check() error
	wantsKernel() bool
	begin() (target, error)
	finish(*Result, []bootset.File) error
	abort()
}

// folder is a hidden working folder beside the final name.
type folder struct{ path string }

func newFolder(final string) (folder, error) {
	abs, err := filepath.Abs(final)
	if err != nil {
		return folder{}, err
	}
	p, err := os.MkdirTemp(filepath.Dir(abs), "."+filepath.Base(abs)+".tmp-")
	if err != nil {
		return folder{}, fmt.Errorf("make room for the output: %w", err)
	}
	return folder{p}, nil
}

func (f folder) create(name string) (io.WriteCloser, error) {
	w, err := os.OpenFile(filepath.Join(f.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &syncFile{f: w}, nil
}

// syncFile is a file whose first Close makes it durable; later ones do nothing.
type syncFile struct {
	f        *os.File
	volatile bool // not worth waiting for the disk
	closed   bool
}

// Write leaves the working folder's name out of errors; it says nothing to a
// person.
func (s *syncFile) Write(b []byte) (int, error) {
	n, err := s.f.Write(b)
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return n, err
}

// ReadFrom lets the kernel copy from file to file.
func (s *syncFile) ReadFrom(r io.Reader) (int64, error) { return s.f.ReadFrom(r) }

func (s *syncFile) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.volatile {
		return s.f.Close()
	}
	return errors.Join(s.f.Sync(), s.f.Close())
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

func (d *dirOutput) check() error {
	fi, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return inputError{err}
	case !fi.IsDir():
		return inputError{fmt.Errorf("%s exists and is no folder", d.path)}
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
	return nil
}

func (d *dirOutput) begin() (target, error) {
	var err error
	if d.work, err = newFolder(d.path); err != nil {
		return nil, err
	}
	return d.work, os.Chmod(d.work.path, 0o755)
}

func (d *dirOutput) abort() {
	if d.work.path != "" {
		os.RemoveAll(d.work.path)
	}
}

func (d *dirOutput) finish(res *Result, files []bootset.File) error {
	res.Output = d.path
	for name, v := range map[string]any{"manifest.json": res.Manifest, "files.json": files} {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		w, err := d.work.create(name)
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

// fileOutput makes one ramdisk: segments are built in a working folder and
// joined. Each is padded to 4 bytes, so that plain ones start where the kernel
// finds them.
type fileOutput struct {
	path  string
	force bool
	work  folder
}

func (f *fileOutput) name() string { return f.path }

func (f *fileOutput) wantsKernel() bool { return false }

func (f *fileOutput) check() error {
	fi, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return inputError{err}
	case !fi.Mode().IsRegular():
		return inputError{fmt.Errorf("%s exists and is no regular file", f.path)}
	case !f.force:
		return fmt.Errorf("%s exists: %w without --force", f.path, ErrExists)
	}
	return nil
}

func (f *fileOutput) begin() (target, error) {
	var err error
	f.work, err = newFolder(f.path)
	return unsynced{f.work}, err
}

func (f *fileOutput) abort() {
	if f.work.path != "" {
		os.RemoveAll(f.work.path)
	}
}

func (f *fileOutput) finish(res *Result, _ []bootset.File) error {
	res.Output = f.path
	w, err := f.work.create("ramdisk")
	if err != nil {
		return err
	}
	defer w.Close()
	for _, s := range res.Manifest.Segments {
		in, err := os.Open(filepath.Join(f.work.path, s.File))
		if err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("join the segments: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.Rename(filepath.Join(f.work.path, "ramdisk"), f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

// unsynced makes files that need not survive a power cut.
type unsynced struct{ folder }

func (u unsynced) create(name string) (io.WriteCloser, error) {
	w, err := u.folder.create(name)
	if err != nil {
		return nil, err
	}
	s := w.(*syncFile)
	s.volatile = true
	return s, nil
}

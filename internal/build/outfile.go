package build

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
)

// fileOutput makes one ramdisk: all segments, one after the other. Each is
// padded to 4 bytes, so that plain ones start where the kernel finds them.
type fileOutput struct {
	path  string
	force bool
	work  folder
	join  *joiner
}

func (f *fileOutput) name() string { return f.path }

func (f *fileOutput) wantsKernel() bool { return false }

// readers looks at the file: a filesystem without modes gives it to all.
func (f *fileOutput) readers() string {
	if fi, err := os.Stat(f.path); err == nil && fi.Mode().Perm()&0o077 == 0 {
		return ""
	}
	return "other users"
}

func (f *fileOutput) check() error {
	there, err := existing(f.path, fs.FileMode.IsRegular, "regular file")
	if err == nil && there && !f.force {
		err = fmt.Errorf("%s exists: %w without --force", f.path, ErrExists)
	}
	return err
}

func (f *fileOutput) begin(*cache.Cache) (target, error) {
	var err error
	if f.work, err = newFolder(f.path); err != nil {
		return nil, err
	}
	// Ramdisks hold keys and passwords.
	file, err := os.OpenFile(filepath.Join(f.work.path, "ramdisk"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, plain(err)
	}
	f.join = newJoiner(f.work.path, file, 8<<20)
	return f.join, nil
}

func (f *fileOutput) abort() {
	if f.join != nil {
		f.join.abort()
	}
	f.work.remove()
}

func (f *fileOutput) finish(res *Result, _ []bootset.File, _ []keeping) error {
	res.Output = f.path
	if err := f.join.finish(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.Rename(filepath.Join(f.work.path, "ramdisk"), f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

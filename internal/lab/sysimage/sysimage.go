// Package sysimage makes the system image of the lab: a real, small system
// of the host's own distribution (Debian or Ubuntu, by mmdebstrap), as one
// disk image that boots under BIOS and UEFI, and as a squashfs of the same
// tree for a live root. It is not a builder of production images: root has
// no password, so that a person at a lab console can look around.
//
// It needs no root: owners of files are kept by a user namespace with the
// ids of /etc/subuid.
package sysimage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/hosttool"
)

// Image is a finished system image. All files are below Dir.
type Image struct {
	Dir            string `json:"-"`
	RawZst         string `json:"-"` // disk.raw.zst
	SHA256         string `json:"sha256"`
	ZstSize        int64  `json:"zst_size"`
	RawSize        int64  `json:"raw_size"`
	RawSHA256      string `json:"raw_sha256"`
	Squashfs       string `json:"-"` // root.squashfs
	SquashfsSHA256 string `json:"squashfs_sha256"`
	SquashfsSize   int64  `json:"squashfs_size"`
	Suite          string `json:"suite"`
	Kernel         string `json:"kernel"` // version of the kernel inside
}

// Names of the files in an image's directory.
const (
	rawName      = "disk.raw.zst"
	squashfsName = "root.squashfs"
	metaName     = "image.json"
)

// Build returns the image of the host's own suite, from the cache if it was
// made before. progress gets one short line a step; it may be nil.
func Build(ctx context.Context, cacheDir string, progress func(string)) (Image, error) {
	if progress == nil {
		progress = func(string) {}
	}
	rec, err := hostRecipe("/")
	if err != nil {
		return Image{}, fmt.Errorf("make system image: %w", err)
	}
	cacheDir, err = filepath.Abs(cacheDir)
	if err != nil {
		return Image{}, fmt.Errorf("make system image: %w", err)
	}
	dir := filepath.Join(cacheDir, "image-"+rec.hash())
	if img, err := open(dir); err == nil {
		return img, nil
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return Image{}, fmt.Errorf("make system image: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(cacheDir, "image.lock"), progress)
	if err != nil {
		return Image{}, fmt.Errorf("make system image: %w", err)
	}
	defer unlock()
	img, err := open(dir) // another process may have made it meanwhile
	if err == nil {
		return img, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		progress(fmt.Sprintf("cached image is unusable and made again: %v", err))
	}
	w := &work{rec: rec, dir: dir + ".new", run: hosttool.Host{}, root: os.Geteuid() == 0, progress: progress}
	if err := w.make(ctx); err != nil {
		return Image{}, fmt.Errorf("make system image of %s: %w", rec.Suite, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return Image{}, fmt.Errorf("make system image: %w", err)
	}
	if err := os.Rename(w.dir, dir); err != nil {
		return Image{}, fmt.Errorf("make system image: %w", err)
	}
	return open(dir)
}

// open reads a finished image. Sizes are checked, hashes are not: readers of
// the image check those as they stream.
func open(dir string) (Image, error) {
	b, err := os.ReadFile(filepath.Join(dir, metaName))
	if err != nil {
		return Image{}, err
	}
	img := Image{Dir: dir, RawZst: filepath.Join(dir, rawName), Squashfs: filepath.Join(dir, squashfsName)}
	if err := json.Unmarshal(b, &img); err != nil {
		return Image{}, fmt.Errorf("read %s: %w", filepath.Join(dir, metaName), err)
	}
	for path, want := range map[string]int64{img.RawZst: img.ZstSize, img.Squashfs: img.SquashfsSize} {
		st, err := os.Stat(path)
		if err != nil {
			return Image{}, err
		}
		if st.Size() != want {
			return Image{}, fmt.Errorf("%s has %d bytes, expected %d", path, st.Size(), want)
		}
	}
	return img, nil
}

// lock waits for the one builder of this cache.
func lock(ctx context.Context, path string, progress func(string)) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		return func() { f.Close() }, nil
	}
	progress("another process is making the image; waiting for it")
	got := make(chan error, 1)
	go func() { got <- flockWait(f) }()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		// The waiting goroutine ends with the file's lock; it closes the file.
		go func() { <-got; f.Close() }()
		return nil, ctx.Err()
	}
}

func flockWait(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func trimLine(b []byte) string { return strings.TrimSpace(string(b)) }

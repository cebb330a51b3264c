package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/api"
	"bareroot/internal/bootset"
	"bareroot/internal/serve/store"
	"bareroot/internal/sys"
)

// A push is stateless: the request names every file by hash, PutBlob takes
// those that were asked for into <state>/uploads, and the same request again
// finds them there, or in another boot set. So a broken push goes on where it
// stopped, also after a restart of the server, and what nobody comes back for
// is removed after a day.
//
//	uploads/SHA256.want   its size: asked for
//	uploads/SHA256        verified
//	uploads/.part-*       on its way

const (
	uploadLife = 24 * time.Hour
	diskMargin = 64 << 20 // bytes that stay free
)

func (s *Service) uploadPath(name string) string {
	return filepath.Join(s.cfg.StateDir, "uploads", name)
}

// push is one boot set on its way in.
type push struct {
	api.PushRequest
	name     string
	manifest *bootset.Manifest
	files    []bootset.Blob
}

// Push registers a boot set as the newest generation of its name, or says
// which files to send before.
func (s *Service) Push(ctx context.Context, name string, r api.PushRequest) (*api.PushReply, error) {
	p, err := newPush(name, r)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.uploadPath(""), 0o700); err != nil {
		return nil, fmt.Errorf("push boot set %s: %w", name, err)
	}
	s.dropStaleUploads()
	tmp, err := os.MkdirTemp(filepath.Join(s.cfg.StateDir, "bootsets"), ".new-")
	if err != nil {
		return nil, fmt.Errorf("push boot set %s: %w", name, err)
	}
	defer os.RemoveAll(tmp)
	missing, err := s.gather(ctx, tmp, p)
	if err != nil {
		return nil, fmt.Errorf("push boot set %s: %w", name, err)
	}
	if len(missing) > 0 {
		if err := s.want(missing); err != nil {
			return nil, err
		}
		return &api.PushReply{Missing: missing}, nil
	}
	if err := writeSynced(filepath.Join(tmp, "manifest.json"), r.Manifest); err != nil {
		return nil, fmt.Errorf("push boot set %s: %w", name, err)
	}
	if err := syncDir(tmp); err != nil {
		return nil, fmt.Errorf("push boot set %s: %w", name, err)
	}
	reply, err := s.newGeneration(ctx, tmp, p)
	if err != nil {
		return nil, err
	}
	for _, b := range p.files {
		// Linked into the boot set; if one stays, a day's age removes it.
		_ = os.Remove(s.uploadPath(b.SHA256))
		_ = os.Remove(s.uploadPath(b.SHA256 + ".want"))
	}
	s.broker.publish(api.Change{})
	return reply, nil
}

func newPush(name string, r api.PushRequest) (*push, error) {
	if !labelForm.MatchString(name) {
		return nil, bad("boot set name %q must be letters, digits, dots, dashes, underscores or plus signs, at most 128", name)
	}
	if len(r.Manifest) > api.MaxManifest {
		return nil, bad("push boot set %s: its manifest has %d bytes, at most %d are taken", name, len(r.Manifest), api.MaxManifest)
	}
	m, err := bootset.Parse(r.Manifest)
	if err != nil {
		return nil, bad("push boot set %s: %s", name, err)
	}
	p := &push{PushRequest: r, name: name, manifest: m, files: m.Blobs()}
	if r.Files != nil {
		if r.Files.Size > api.MaxFiles {
			return nil, bad("push boot set %s: files.json has %d bytes, at most %d are taken", name, r.Files.Size, api.MaxFiles)
		}
		p.files = append(p.files, bootset.Blob{File: "files.json", Size: r.Files.Size, SHA256: r.Files.SHA256})
	}
	if p.Keep == 0 {
		p.Keep = api.KeepDefault
	}
	if p.Keep < 1 || p.Keep > api.KeepMost {
		return nil, bad("push boot set %s: keep %d: from 1 to %d generations can be kept", name, p.Keep, api.KeepMost)
	}
	if len(p.files) > api.MaxBlobs {
		return nil, bad("push boot set %s: it has %d files, at most %d are taken", name, len(p.files), api.MaxBlobs)
	}
	seen := map[string]bool{"manifest.json": true}
	var total int64
	for _, b := range p.files {
		switch {
		case !hashForm(b.SHA256):
			return nil, bad("push boot set %s: the sha256 of %s must be 64 lower-case hexadecimal digits, not %q", name, b.File, b.SHA256)
		case b.Size < 0 || b.Size > api.MaxBootSet:
			return nil, bad("push boot set %s: %s has %d bytes, at most %d are taken", name, b.File, b.Size, int64(api.MaxBootSet))
		case seen[b.File]:
			return nil, bad("push boot set %s: two files are called %s", name, b.File)
		}
		seen[b.File] = true
		total += b.Size
	}
	if total > api.MaxBootSet {
		return nil, bad("push boot set %s: it has %d bytes, at most %d are taken", name, total, int64(api.MaxBootSet))
	}
	return p, nil
}

func hashForm(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// gather links the push's files into dir and returns those that are nowhere
// here. A file of another boot set is hashed before it is believed.
func (s *Service) gather(ctx context.Context, dir string, p *push) ([]api.Blob, error) {
	var missing []api.Blob
	have := map[string][]string{}
	err := s.store.View(ctx, func(t *store.Tx) error {
		rows, err := t.KeptBootSets()
		for _, row := range rows {
			for _, b := range row.Manifest.Blobs() {
				have[b.SHA256] = append(have[b.SHA256], filepath.Join(s.setPath(row.Manifest.ID), b.File))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	listed := map[string]int64{}
	for _, b := range p.files {
		found := false
		for _, from := range append([]string{s.uploadPath(b.SHA256)}, have[b.SHA256]...) {
			if found, err = takeBlob(ctx, filepath.Join(dir, b.File), from, b); found || err != nil {
				break
			}
		}
		if err != nil {
			return nil, err
		}
		if size, twice := listed[b.SHA256]; !found && !twice {
			listed[b.SHA256] = b.Size
			missing = append(missing, api.Blob{SHA256: b.SHA256, Size: b.Size})
		} else if twice && size != b.Size {
			return nil, bad("%s: the manifest gives one hash two sizes", b.File)
		}
	}
	return missing, nil
}

// takeBlob links from to the new name "to", or copies it where links do not
// work, if it has the content.
func takeBlob(ctx context.Context, to, from string, b bootset.Blob) (bool, error) {
	if fi, err := os.Lstat(from); err != nil || !fi.Mode().IsRegular() || fi.Size() != b.Size {
		return false, nil
	}
	if err := os.Link(from, to); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // another push was faster and removed it
		}
		if err := copyFile(ctx, to, from); err != nil {
			return false, err
		}
	}
	f, err := os.Open(to)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum, n, err := hashReader(sys.UntilDone(ctx, f))
	if err != nil {
		return false, err
	}
	if sum == b.SHA256 && n == b.Size {
		return true, nil
	}
	return false, os.Remove(to)
}

// want notes the files that may be sent, after a look at the disk.
func (s *Service) want(missing []api.Blob) error {
	var total int64
	for _, b := range missing {
		total += b.Size
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.uploadPath(""), &st); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", s.uploadPath(""), err)
	}
	if free := int64(st.Bavail) * st.Bsize; total > free-diskMargin {
		return problem(507, "the boot set's files need %d bytes, %s has %d free. Remove boot sets or images, or give the server more space.", total, s.cfg.StateDir, free)
	}
	for _, b := range missing {
		if err := writeSynced(s.uploadPath(b.SHA256+".want"), []byte(strconv.FormatInt(b.Size, 10))); err != nil {
			return fmt.Errorf("ask for %.12s: %w", b.SHA256, err)
		}
	}
	return nil
}

// PutBlob takes a file that an answer to Push asked for. It is visible only
// when it is whole and has its hash.
func (s *Service) PutBlob(ctx context.Context, sum string, body io.Reader) error {
	if !hashForm(sum) {
		return bad("%.80q is no sha256 of 64 lower-case hexadecimal digits", sum)
	}
	text, err := os.ReadFile(s.uploadPath(sum + ".want"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take %.12s: %w", sum, err)
		}
		if _, err := os.Stat(s.uploadPath(sum)); err == nil {
			return nil // sent twice
		}
		return conflict("nobody asked for a file with sha256 %s; push the boot set's manifest first", sum)
	}
	size, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("take %.12s: %w", sum, err)
	}
	f, err := os.CreateTemp(s.uploadPath(""), ".part-")
	if err != nil {
		return fmt.Errorf("take %.12s: %w", sum, err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	got, n, err := hashReader(io.TeeReader(io.LimitReader(sys.UntilDone(ctx, body), size+1), f))
	switch {
	case err != nil && errors.Is(err, unix.ENOSPC):
		return problem(507, "the server's disk is full. Remove boot sets or images there.")
	case err != nil:
		return bad("the file with sha256 %s broke off after %d of %d bytes: %s", sum, n, size, err)
	case n != size || got != sum:
		return bad("the file sent as sha256 %s, %d bytes, has %s and %d bytes or more; it changed since the boot set was built, or on its way", sum, size, got, n)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("take %.12s: %w", sum, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("take %.12s: %w", sum, err)
	}
	if err := os.Rename(f.Name(), s.uploadPath(sum)); err != nil {
		return fmt.Errorf("take %.12s: %w", sum, err)
	}
	return nil
}

// dropStaleUploads removes what nobody came back for.
func (s *Service) dropStaleUploads() {
	entries, err := os.ReadDir(s.uploadPath(""))
	if err != nil {
		return
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || s.now().Sub(fi.ModTime()) < uploadLife {
			continue
		}
		if err := os.Remove(s.uploadPath(e.Name())); err != nil {
			s.cfg.Log.Warn("stale upload not removed", "file", e.Name(), "err", err)
		}
	}
}

// writeSynced writes a small file that survives a power cut.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// hashReader reads r to its end.
func hashReader(r io.Reader) (sum string, n int64, err error) {
	h := sha256.New()
	n, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

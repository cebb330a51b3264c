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
	"regexp"
	"strings"

	"bareroot/api"
	"bareroot/internal/serve/order"
	"bareroot/internal/serve/store"
	"bareroot/internal/sys"
)

var (
	sumForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	labelForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
)

func (s *Service) imagePath(sum string) string {
	return filepath.Join(s.cfg.StateDir, "images", sum)
}

// Images lists system images by name.
func (s *Service) Images(ctx context.Context) ([]api.Image, error) {
	out := []api.Image{}
	err := s.store.View(ctx, func(t *store.Tx) error {
		is, err := t.Images()
		out = append(out, is...)
		return err
	})
	return out, err
}

// AddImage copies a file of this machine into the state directory: the
// registered bytes are the server's own, whatever becomes of the file.
// Adding the same content under the same name again changes nothing.
func (s *Service) AddImage(ctx context.Context, r api.ImageRequest) (*api.Image, error) {
	if !labelForm.MatchString(r.Name) {
		return nil, bad("image name %q must be letters, digits, dots, dashes, underscores or plus signs, at most 128", r.Name)
	}
	r.SHA256 = strings.ToLower(r.SHA256)
	if r.SHA256 != "" && !sumForm.MatchString(r.SHA256) {
		return nil, bad("image %s: %q is no sha256 in hex", r.Name, r.SHA256)
	}
	switch r.Format {
	case "", "raw", "squashfs":
	default:
		return nil, bad("image %s: format %q is none of raw, squashfs", r.Name, r.Format)
	}
	src, err := openRegular(r.Path)
	if err != nil {
		return nil, bad("add image %s: %s", r.Name, err)
	}
	defer src.Close()
	tmp, err := os.CreateTemp(filepath.Join(s.cfg.StateDir, "images"), ".new-")
	if err != nil {
		return nil, fmt.Errorf("add image %s: %w", r.Name, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	i, err := takeImage(ctx, tmp, src)
	if err != nil {
		if f, ok := errors.AsType[*formatError](err); ok {
			return nil, bad("image %s: %s %s", r.Name, r.Path, f)
		}
		return nil, fmt.Errorf("add image %s from %s: %w", r.Name, r.Path, err)
	}
	if r.SHA256 != "" && r.SHA256 != i.SHA256 {
		return nil, bad("image %s: %s has sha256 %s, %s was asked for", r.Name, r.Path, i.SHA256, r.SHA256)
	}
	if r.Format != "" {
		i.Format = r.Format
	}
	i.Name, i.Added = r.Name, s.now()
	i.Verified = i.Added
	if err := tmp.Sync(); err != nil {
		return nil, fmt.Errorf("add image %s: %w", r.Name, err)
	}
	err = s.store.Update(ctx, func(t *store.Tx) error {
		switch old, err := t.Image(r.Name); {
		case err == nil && old.SHA256 != i.SHA256:
			return conflict("image %s is registered with other content (sha256 %s); remove it first with: bareroot image remove %s", r.Name, old.SHA256, r.Name)
		case err == nil:
			old.Verified, old.Problem, i.Added = i.Verified, "", old.Added
			i.Format = old.Format
		case !notFound(err):
			return err
		}
		// The file is in place, on the disk, before the row that names it.
		if err := os.Rename(tmp.Name(), s.imagePath(i.SHA256)); err != nil {
			return err
		}
		if err := syncDir(filepath.Join(s.cfg.StateDir, "images")); err != nil {
			return err
		}
		return t.PutImage(i)
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{})
	return &i, nil
}

func openRegular(path string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("path %q must be absolute: it is read on the server's machine", path)
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return os.Open(path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// VerifyImage hashes the stored bytes again and keeps what it found.
func (s *Service) VerifyImage(ctx context.Context, name string) (*api.Image, error) {
	i, err := s.image(ctx, name)
	if err != nil {
		return nil, err
	}
	i.Problem = s.checkImage(ctx, i)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("verify image %s: %w", name, err)
	}
	i.Verified = s.now()
	err = s.store.Update(ctx, func(t *store.Tx) error {
		if _, err := t.Image(name); err != nil {
			return missing(err, "image %s was removed while it was verified", name)
		}
		return t.PutImage(i)
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{})
	return &i, nil
}

func (s *Service) image(ctx context.Context, name string) (i api.Image, err error) {
	err = s.store.View(ctx, func(t *store.Tx) error {
		i, err = t.Image(name)
		return missing(err, "no image %q; see: bareroot image list", name)
	})
	return i, err
}

func (s *Service) checkImage(ctx context.Context, i api.Image) string {
	f, err := os.Open(s.imagePath(i.SHA256))
	if err != nil {
		return "stored file: " + err.Error()
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, sys.UntilDone(ctx, f))
	if err != nil {
		return "stored file: " + err.Error()
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != i.SHA256 || n != i.Size {
		return fmt.Sprintf("stored file is %d bytes with sha256 %s, registered were %d bytes with %s", n, sum, i.Size, i.SHA256)
	}
	return ""
}

// RemoveImage removes an image that no open order and no live root names.
func (s *Service) RemoveImage(ctx context.Context, name string) error {
	err := s.store.Update(ctx, func(t *store.Tx) error {
		i, err := t.Image(name)
		if err != nil {
			return missing(err, "no image %q; see: bareroot image list", name)
		}
		if err := t.DeleteImage(name); err != nil {
			return err
		}
		if _, err := t.ImageBySHA256(i.SHA256); !notFound(err) {
			return err // still there under another name
		}
		open, err := t.OpenOrders()
		if err != nil {
			return err
		}
		for _, o := range open {
			if names(o, i.SHA256) {
				return conflict("image %s is needed by the open order %s; cancel it first with: bareroot order cancel %s", name, o.ID, o.ID)
			}
		}
		ms, err := t.Machines()
		if err != nil {
			return err
		}
		for _, m := range ms {
			if m.Boot == api.BootRoot && wordsName(m.RootWords, i.SHA256) {
				return conflict("image %s is the live root of machine %s; give the machine another root or disk first", name, m.Name)
			}
		}
		// The row goes first: a file without a row is swept at the next
		// start, a row without its file would be a broken promise.
		return nil
	})
	if err != nil {
		return err
	}
	s.broker.publish(api.Change{})
	return s.sweepImages(ctx)
}

// sweepImages removes image files that no row names. It runs inside a
// transaction, so that none is being added meanwhile.
func (s *Service) sweepImages(ctx context.Context) error {
	return s.store.Update(ctx, func(t *store.Tx) error {
		es, err := os.ReadDir(filepath.Join(s.cfg.StateDir, "images"))
		if err != nil {
			return fmt.Errorf("remove image file: %w", err)
		}
		for _, e := range es {
			if !sumForm.MatchString(e.Name()) {
				continue
			}
			if _, err := t.ImageBySHA256(e.Name()); !notFound(err) {
				if err != nil {
					return err
				}
				continue
			}
			if err := os.Remove(s.imagePath(e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove image file: %w", err)
			}
		}
		return nil
	})
}

func names(o store.Order, sum string) bool { return order.Open(o.State) && mentions(o, sum) }

func mentions(o store.Order, sum string) bool {
	return o.Deploy != nil && o.Deploy.Image.SHA256 == sum || o.Root != nil && wordsName(o.Root.Words, sum)
}

func wordsName(words []string, sum string) bool {
	for _, w := range words {
		if strings.Contains(w, sum) {
			return true
		}
	}
	return false
}

// ImageFile is the file with that hash, for a session whose machine has to do
// with it: an order that this boot was given or that is open names it, or it
// is the machine's live root. To any other session there is no such image: a
// published image's hash is no secret.
func (s *Service) ImageFile(ctx context.Context, ss *Session, sha256 string) (path string, err error) {
	unknown := problem(404, "no image %.64q for this machine", sha256)
	if !sumForm.MatchString(sha256) {
		return "", unknown
	}
	err = s.store.View(ctx, func(t *store.Tx) error {
		m, err := current(t, ss)
		if err != nil {
			return err
		}
		orders, err := t.Orders(m.ID)
		if err != nil {
			return err
		}
		mine := m.Boot == api.BootRoot && wordsName(m.RootWords, sha256)
		for _, o := range orders {
			mine = mine || (order.Open(o.State) || o.Boot == ss.Attempt) && mentions(o, sha256)
		}
		if !mine {
			return unknown
		}
		i, err := t.ImageBySHA256(sha256)
		if err != nil {
			return missing(err, "%s", unknown.Detail)
		}
		if i.Problem != "" {
			return conflict("image %s is damaged: %s", i.Name, i.Problem)
		}
		return nil
	})
	return s.imagePath(sha256), err
}

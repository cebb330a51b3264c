package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"bareroot/api"
	"bareroot/internal/bootset"
	"bareroot/internal/serve/store"
	"bareroot/internal/sys"
)

const defaultSet = "default boot set"

func (s *Service) setPath(id string) string { return filepath.Join(s.cfg.StateDir, "bootsets", id) }

func asBootSet(b store.BootSet, dflt string) api.BootSet {
	return api.BootSet{Name: b.Name, ID: b.Manifest.ID, Kernel: b.Manifest.Kver, Arch: b.Manifest.Arch, Size: b.Manifest.Size(), Default: b.Name == dflt, Added: b.Added, Generation: b.Generation}
}

// BootSets lists boot sets by name.
func (s *Service) BootSets(ctx context.Context) ([]api.BootSet, error) {
	out := []api.BootSet{}
	err := s.store.View(ctx, func(t *store.Tx) error {
		rows, err := t.BootSets()
		if err != nil {
			return err
		}
		dflt, err := t.Setting(defaultSet)
		for _, b := range rows {
			out = append(out, asBootSet(b, dflt))
		}
		return err
	})
	return out, err
}

// BootSetFiles lists the files of a boot set's ramdisk that fit a name, all if
// it is empty.
func (s *Service) BootSetFiles(ctx context.Context, name, fits string) ([]api.BootFile, error) {
	var id string
	err := s.store.View(ctx, func(t *store.Tx) error {
		b, err := t.BootSet(name)
		if err != nil {
			return missing(err, "no boot set %q; see: bareroot boot list", name)
		}
		id = b.Manifest.ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	files, err := bootset.Files(s.setPath(id))
	if errors.Is(err, bootset.ErrNoList) {
		return nil, problem(http.StatusNotFound, "boot set %s: %v", name, err)
	}
	if err != nil {
		return nil, err
	}
	if fits != "" {
		files = bootset.Meant(files, fits)
	}
	out := make([]api.BootFile, len(files))
	for i, f := range files {
		out[i] = api.BootFile(f)
	}
	return out, nil
}

// AddBootSet copies a boot set into the state directory and verifies the
// copy. Adding the same content under the same name again changes nothing.
func (s *Service) AddBootSet(ctx context.Context, r api.BootSetRequest) (*api.BootSet, error) {
	if !labelForm.MatchString(r.Name) {
		return nil, bad("boot set name %q must be letters, digits, dots, dashes, underscores or plus signs, at most 128", r.Name)
	}
	if !filepath.IsAbs(r.Path) {
		return nil, bad("path %q must be absolute: it is read on the server's machine", r.Path)
	}
	m, err := bootset.Read(r.Path)
	if err != nil {
		return nil, bad("add boot set %s: %s", r.Name, err)
	}
	tmp, err := os.MkdirTemp(filepath.Join(s.cfg.StateDir, "bootsets"), ".new-")
	if err != nil {
		return nil, fmt.Errorf("add boot set %s: %w", r.Name, err)
	}
	defer os.RemoveAll(tmp)
	if err := copySet(ctx, tmp, r.Path, m); err != nil {
		return nil, bad("add boot set %s: %s", r.Name, err)
	}
	if err := bootset.Verify(tmp, m); err != nil {
		return nil, bad("add boot set %s from %s: %s", r.Name, r.Path, err)
	}
	row := store.BootSet{Name: r.Name, Manifest: *m, Added: s.now()}
	var out api.BootSet
	err = s.store.Update(ctx, func(t *store.Tx) error {
		old, err := t.BootSet(r.Name)
		switch {
		case err == nil && old.Manifest.ID != m.ID:
			return conflict("boot set %s is registered with other content (%.12s); add this one under another name, or remove that one with: bareroot boot remove %s", r.Name, old.Manifest.ID, r.Name)
		case err == nil:
			row = old
		case !notFound(err):
			return err
		default:
			if err := t.AddBootSet(row); err != nil {
				return err
			}
		}
		if err := s.placeSet(tmp, m); err != nil {
			return err
		}
		dflt, err := t.Setting(defaultSet)
		if err != nil {
			return err
		}
		if dflt == "" || r.Default {
			dflt = r.Name
			if err := t.PutSetting(defaultSet, dflt); err != nil {
				return err
			}
		}
		out = asBootSet(row, dflt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{})
	return &out, nil
}

// placeSet moves the verified copy to its place. A directory there has the
// same content and stays, unless it is damaged.
func (s *Service) placeSet(tmp string, m *bootset.Manifest) error {
	to := s.setPath(m.ID)
	if bootset.Verify(to, m) == nil {
		return nil
	}
	old := tmp + ".old"
	if err := os.Rename(to, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("place boot set: %w", err)
	}
	if err := os.Rename(tmp, to); err != nil {
		return fmt.Errorf("place boot set: %w", err)
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("place boot set: %w", err)
	}
	return syncDir(filepath.Dir(to))
}

func copySet(ctx context.Context, to, from string, m *bootset.Manifest) error {
	files := []string{"manifest.json", m.Kernel.File}
	for _, g := range m.Segments {
		files = append(files, g.File)
	}
	if _, err := os.Stat(filepath.Join(from, "files.json")); err == nil {
		files = append(files, "files.json")
	}
	for _, f := range files {
		if err := copyFile(ctx, filepath.Join(to, f), filepath.Join(from, f)); err != nil {
			return err
		}
	}
	return syncDir(to)
}

func copyFile(ctx context.Context, to, from string) error {
	src, err := openRegular(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.Copy(dst, sys.UntilDone(ctx, src)); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := dst.Sync(); err != nil {
		return err
	}
	return dst.Close()
}

// DefaultBootSet makes the boot set the one that unpinned machines get.
func (s *Service) DefaultBootSet(ctx context.Context, name string) (*api.BootSet, error) {
	var out api.BootSet
	err := s.store.Update(ctx, func(t *store.Tx) error {
		b, err := t.BootSet(name)
		if err != nil {
			return missing(err, "no boot set %q; see: bareroot boot list", name)
		}
		out = asBootSet(b, name)
		return t.PutSetting(defaultSet, name)
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{})
	return &out, nil
}

// RemoveBootSet removes a boot set that no machine is pinned to. The default
// one can go only as the last one.
func (s *Service) RemoveBootSet(ctx context.Context, name string) error {
	var ids []string
	err := s.store.Update(ctx, func(t *store.Tx) error {
		b, err := t.BootSet(name)
		if err != nil {
			return missing(err, "no boot set %q; see: bareroot boot list", name)
		}
		ms, err := t.Machines()
		if err != nil {
			return err
		}
		for _, m := range ms {
			if m.BootSet == name {
				return conflict("boot set %s is pinned by machine %s", name, m.Name)
			}
		}
		all, err := t.BootSets()
		if err != nil {
			return err
		}
		dflt, err := t.Setting(defaultSet)
		if err != nil {
			return err
		}
		if dflt == name {
			if len(all) > 1 {
				return conflict("boot set %s is the default; make another one the default first with: bareroot boot default NAME", name)
			}
			if err := t.PutSetting(defaultSet, ""); err != nil {
				return err
			}
		}
		generations, err := t.Generations(name)
		if err != nil {
			return err
		}
		ids = []string{b.Manifest.ID}
		for _, g := range generations {
			ids = append(ids, g.Manifest.ID)
		}
		return t.DeleteBootSet(name)
	})
	if err != nil {
		return err
	}
	s.broker.publish(api.Change{})
	s.removeSets(ctx, ids)
	return nil
}

// BootFile is the path of a file that a boot set's manifest names.
func (s *Service) BootFile(ctx context.Context, setID, file string) (path string, err error) {
	err = s.store.View(ctx, func(t *store.Tx) error {
		b, err := t.BootSetByID(setID)
		if err != nil {
			return missing(err, "no boot set %.64q", setID)
		}
		if file == b.Manifest.Kernel.File {
			return nil
		}
		for _, g := range b.Manifest.Segments {
			if file == g.File {
				return nil
			}
		}
		return problem(404, "boot set %s has no file %.64q", b.Name, file)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(s.setPath(setID), file), nil
}

package sysimage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"bareroot/internal/hosttool"
)

// FromTree makes an image of a tree that fill puts together, in dir, which
// must not exist. The tree needs boot/grub/grub.cfg and a boot/vmlinuz-VERSION,
// which GRUB need not start: tests make images that only say they were reached.
func FromTree(ctx context.Context, dir string, fill func(tree string) error) (Image, error) {
	w := &work{dir: dir, run: hosttool.Host{}, root: os.Geteuid() == 0, progress: func(string) {}}
	if err := os.MkdirAll(w.path("tree"), 0o755); err != nil {
		return Image{}, fmt.Errorf("make image: %w", err)
	}
	// disk removes what packages would have left.
	for _, f := range []string{"root.tar", "overlay.tar"} {
		if err := os.WriteFile(w.path(f), nil, 0o644); err != nil {
			return Image{}, fmt.Errorf("make image: %w", err)
		}
	}
	if err := fill(w.path("tree")); err != nil {
		return Image{}, fmt.Errorf("make image: %w", err)
	}
	img := Image{Dir: dir}
	if err := w.disk(ctx, &img); err != nil {
		return Image{}, fmt.Errorf("make image: %w", err)
	}
	if err := w.removeTree(ctx); err != nil {
		return Image{}, fmt.Errorf("make image: %w", err)
	}
	b, err := json.MarshalIndent(img, "", "  ")
	if err != nil {
		return Image{}, fmt.Errorf("make image: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, metaName), append(b, '\n'), 0o644); err != nil {
		return Image{}, fmt.Errorf("make image: %w", err)
	}
	return open(dir)
}

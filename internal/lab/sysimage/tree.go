package sysimage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"bareroot/internal/hosttool"
)

// work is one build, in a directory of its own that becomes the image.
type work struct {
	rec      recipe
	dir      string
	run      hosttool.Runner
	root     bool // we are root: no user namespace needed
	progress func(string)
}

func (w *work) path(name string) string { return filepath.Join(w.dir, name) }

func (w *work) tool(ctx context.Context, args ...string) ([]byte, error) {
	return w.run.Run(ctx, hosttool.Cmd{Args: args, Dir: w.dir, Env: []string{
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(epoch.Unix(), 10),
		"E2FSPROGS_FAKE_TIME=" + strconv.FormatInt(epoch.Unix(), 10), "TMPDIR=" + w.dir, "LC_ALL=C.UTF-8"}})
}

// inside runs a program that sees and makes files of many owners.
func (w *work) inside(ctx context.Context, args ...string) ([]byte, error) {
	if !w.root {
		args = append([]string{"unshare", "--map-auto", "--map-root-user", "-m", "--"}, args...)
	}
	return w.tool(ctx, args...)
}

// make runs all the steps and leaves only what an image consists of.
func (w *work) make(ctx context.Context) error {
	if err := w.preflight(); err != nil {
		return err
	}
	if err := w.removeTree(ctx); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	err := w.steps(ctx)
	if err != nil {
		// The context may be cancelled; a half-made tree must go all the same.
		clean := context.WithoutCancel(ctx)
		err = errors.Join(err, w.removeTree(clean), os.RemoveAll(w.dir))
	}
	return err
}

func (w *work) steps(ctx context.Context) error {
	if err := w.packages(ctx); err != nil {
		return err
	}
	img := Image{Suite: w.rec.Suite}
	if err := w.disk(ctx, &img); err != nil {
		return err
	}
	if err := w.removeTree(ctx); err != nil {
		return err
	}
	b, err := json.MarshalIndent(img, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(w.path(metaName), append(b, '\n'), 0o644)
}

// preflight says what an ordinary user lacks before minutes are spent.
func (w *work) preflight() error {
	if w.root {
		return nil
	}
	u, err := user.Current()
	if err != nil {
		return err
	}
	for _, f := range []string{"/etc/subuid", "/etc/subgid"} {
		b, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		found := false
		for line := range strings.Lines(string(b)) {
			name, _, _ := strings.Cut(line, ":")
			found = found || name == u.Username || name == u.Uid
		}
		if !found {
			return fmt.Errorf("%s has no line for user %s (add one: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s), or run with sudo",
				f, u.Username, u.Username)
		}
	}
	return nil
}

// packages makes tree/, the system's files with their owners.
func (w *work) packages(ctx context.Context) error {
	over, err := tarball(w.rec.Overlay)
	if err != nil {
		return fmt.Errorf("write overlay: %w", err)
	}
	if err := os.WriteFile(w.path("overlay.tar"), over, 0o644); err != nil {
		return err
	}
	w.progress("installing " + w.rec.Distro + " " + w.rec.Suite + " with mmdebstrap")
	args := []string{"mmdebstrap", "--variant=apt", "--format=tar", "--include=" + strings.Join(w.rec.Packages, ","),
		`--aptopt=Acquire::Languages "none"`}
	for _, d := range []string{"doc", "man", "locale"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+d+"/*")
	}
	if !w.root {
		args = append(args, "--mode=unshare")
	}
	args = append(args,
		"--customize-hook=tar-in overlay.tar /",
		`--customize-hook=rm -f "$1/etc/hostname"`,
		`--customize-hook=chroot "$1" passwd -d root`,
		w.rec.Suite, "root.tar")
	if _, err := w.tool(ctx, append(args, w.rec.Sources...)...); err != nil {
		return err
	}
	w.progress("unpacking")
	if err := os.Mkdir(w.path("tree"), 0o755); err != nil {
		return err
	}
	// Device nodes cannot be made in a user namespace; devtmpfs has them.
	_, err = w.inside(ctx, "tar", "-C", "tree", "--numeric-owner", "--exclude=./dev/*", "-xpf", "root.tar")
	return err
}

// removeTree removes files that belong to other users of the namespace.
func (w *work) removeTree(ctx context.Context) error {
	if _, err := os.Lstat(w.path("tree")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := w.inside(ctx, "rm", "-rf", "--one-file-system", w.path("tree"))
	return err
}

package assemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bareroot/internal/run/console"
	"bareroot/internal/sys"
)

// Stop undoes what is assembled on this machine and used by nobody, whoever
// made it: mapped devices, arrays and loop devices, the upper ones first. It
// reads what there is from sysfs, so that it serves a shutdown in a process
// that assembled nothing. What is left is in the error.
func Stop(ctx context.Context, r Runner, log *console.Log) error {
	return stop(ctx, "/sys", stopper{
		mapped: sys.RemoveMapped, array: sys.StopArray, loop: sys.DetachLoop,
		clean: func() error {
			path := program("mdadm")
			if path == "" {
				return nil
			}
			_, err := run(ctx, r, log, path, []string{"mdadm", "--wait-clean", "--scan"}, console.Environment(), "")
			return err
		},
	})
}

// NeedsStop says whether the device number ("253:0") stands on something that
// must be stopped after the root was unmounted.
func NeedsStop(number string) bool { return needsStop("/sys", number) }

func needsStop(root, number string) bool {
	real, err := filepath.EvalSymlinks(filepath.Join(root, "dev/block", number))
	if err != nil {
		return false
	}
	for _, dir := range []string{real, filepath.Dir(real)} {
		for _, sub := range []string{"dm", "md", "loop"} {
			if _, err := os.Stat(filepath.Join(dir, sub)); err == nil {
				return true
			}
		}
	}
	return false
}

type stopper struct {
	mapped, array, loop func(string) error
	clean               func() error
}

func stop(ctx context.Context, root string, do stopper) error {
	read := func(parts ...string) string {
		return sys.Line(filepath.Join(append([]string{root, "block"}, parts...)...))
	}
	cleaned := false
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stop devices: %w", err)
		}
		dirs, _ := filepath.Glob(filepath.Join(root, "block/*"))
		progress := false
		var errs []error
		for _, d := range dirs {
			name := filepath.Base(d)
			var err error
			switch {
			case read(name, "dm/name") != "":
				if inUse(d) {
					errs = append(errs, fmt.Errorf("%s is in use", name))
					continue
				}
				err = do.mapped(read(name, "dm/name"))
			case read(name, "md/array_state") != "" && read(name, "md/array_state") != "clear":
				if inUse(d) {
					errs = append(errs, fmt.Errorf("%s is in use", name))
					continue
				}
				if strings.HasPrefix(read(name, "md/metadata_version"), "external:") && !cleaned {
					cleaned = true
					if err := do.clean(); err != nil {
						errs = append(errs, err)
					}
				}
				err = do.array("/dev/" + name)
			case read(name, "loop/backing_file") != "":
				if inUse(d) {
					continue
				}
				// One that is mounted takes this for later, and says nothing.
				if err = do.loop("/dev/" + name); err == nil && read(name, "loop/backing_file") != "" {
					continue
				}
			default:
				continue
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			progress = true
		}
		if len(errs) == 0 || !progress {
			return errors.Join(errs...)
		}
	}
}

// inUse says whether another device stands on this one or its partitions.
func inUse(dir string) bool {
	for _, pattern := range []string{"holders/*", "*/holders/*"} {
		if m, _ := filepath.Glob(filepath.Join(dir, pattern)); len(m) > 0 {
			return true
		}
	}
	return false
}

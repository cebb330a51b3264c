package rootfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/sys"
)

// ExportModules gives the mounted root the ramdisk's kernel modules, in memory
// over its /lib/modules, if rd.driver.export= asks for it and the root has
// none for the running kernel; "force" does not look.
func ExportModules(l cmdline.Line, log *console.Log, kver string) error {
	v, _ := l.Get("rd.driver.export")
	if !l.Bool(false, "rd.driver.export") {
		return nil
	}
	from, to := filepath.Join("/usr/lib/modules", kver), resolveIn(Target, "/lib/modules")
	if hasModules(filepath.Join(to, kver)) && v != "force" {
		log.Infof("rd.driver.export: the root has modules for %s", kver)
		return nil
	}
	if err := sys.Mount("driver_export", to, "tmpfs", "mode=0755"); err != nil {
		return fmt.Errorf("rd.driver.export: %w", err)
	}
	n, err := copyFiles(from, filepath.Join(to, kver))
	if err != nil {
		return fmt.Errorf("rd.driver.export: %w", err)
	}
	log.Infof("the root has the %d files of the ramdisk's modules for %s", n, kver)
	return nil
}

// copyFiles copies the folders and plain files below from.
func copyFiles(from, to string) (n int, err error) {
	err = filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(dst, 0o755)
		case d.Type().IsRegular():
			n++
			_, err := sys.CopyFile(p, dst, 0o644)
			return err
		}
		return nil
	})
	return n, err
}

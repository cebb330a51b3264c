package boot

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"bareroot/internal/rdconf"
)

// setXattrs sets the extended attributes that the ramdisk's archive could not
// hold. With root= on the command line the kernel unpacks a ramdisk into ramfs,
// which keeps none.
func (b *Boot) setXattrs() {
	text, err := os.ReadFile(rdconf.XattrsPath)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var list rdconf.Xattrs
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		b.log.Warnf("extended attributes: %v", err)
		return
	}
	failed, first, why := 0, "", error(nil)
	for _, path := range slices.Sorted(maps.Keys(list)) {
		for _, name := range slices.Sorted(maps.Keys(list[path])) {
			if err := unix.Lsetxattr(filepath.Join("/", path), name, list[path][name], 0); err != nil {
				if failed++; failed == 1 {
					first, why = name+" of /"+path, err
				}
			}
		}
	}
	if failed > 0 {
		b.log.Warnf("%d extended attributes could not be set in the ramdisk, the first %s: %v", failed, first, why)
	}
}

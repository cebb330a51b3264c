package build

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/build/host"
	"bareroot/internal/cpio"
)

// ucodes are the processors' vendors, where distributions have their microcode
// below the firmware folder and what the kernel looks for in the first, plain
// archive (Documentation/arch/x86/microcode.rst).
var ucodes = [...]struct{ vendor, folder, file string }{
	{"GenuineIntel", "intel-ucode", "kernel/x86/microcode/GenuineIntel.bin"},
	{"AuthenticAMD", "amd-ucode", "kernel/x86/microcode/AuthenticAMD.bin"},
}

// addMicrocode joins the microcode files of each vendor. For this machine only,
// the vendor is that of its processor.
func (r *recipe) addMicrocode(o *Options, h *host.Host) error {
	if miss := r.kconf.missing([]string{"MICROCODE"}); len(miss) > 0 {
		r.notices = append(r.notices, "no microcode: this kernel is built without CONFIG_MICROCODE")
		return nil
	}
	var items []item
	for _, u := range ucodes {
		if h != nil && !h.Generic && h.CPUVendor != "" && h.CPUVendor != u.vendor {
			continue
		}
		var dir string
		var entries []os.DirEntry
		err := fs.ErrNotExist
		for _, d := range r.firmware.dirs {
			dir = filepath.Join(d, u.folder)
			if entries, err = os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return inputError{fmt.Errorf("read microcode: %w", err)}
		}
		var b bytes.Buffer
		var names []string
		for _, e := range entries {
			// .initramfs marks the ones that must be loaded early.
			if n := e.Name(); !e.IsDir() && !strings.HasSuffix(n, ".asc") && !strings.HasPrefix(n, "README") {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		for _, n := range names {
			text, err := os.ReadFile(filepath.Join(dir, n))
			if err == nil {
				text, err = decompress(text)
			}
			if err != nil {
				return inputError{fmt.Errorf("read microcode %s: %w", filepath.Join(dir, n), err)}
			}
			b.Write(text)
		}
		if b.Len() > 0 {
			items = append(items, item{Path: u.file, Mode: cpio.TypeRegular | 0o644, Data: b.Bytes(), From: dir, Why: fmt.Sprintf("microcode of %s processors, %d files", u.vendor, len(names))})
		}
	}
	if len(items) == 0 {
		r.notices = append(r.notices, fmt.Sprintf("no microcode below %s (Debian: intel-microcode, amd64-microcode)", r.firmware.where()))
		return nil
	}
	r.microcode = withParents(append(items, file("early_cpio", 0o644, "1", "marks the archive that comes before the others")))
	return nil
}

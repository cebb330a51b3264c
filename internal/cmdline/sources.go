package cmdline

import (
	"errors"
	"fmt"
	"io/fs"
)

// AskPath is where dracut keeps the words that rd.cmdline=ask asked for.
const AskPath = "/etc/cmdline.d/99-cmdline-ask.conf"

// ReadSources reads what stands in a ramdisk beside its configuration, the
// weakest first: /etc/cmdline.d/*.conf, /etc/cmdline, the kernel's own line,
// and what dracut-ng's hooks add below /run. With rd.hostonly=0 on the
// kernel's line the files of /etc, made for one machine, are left out, each
// with a notice; AskPath stays.
func ReadSources(root fs.FS) (sources []Source, notices []string, err error) {
	paths, err := fs.Glob(root, "etc/cmdline.d/*.conf") // sorted
	if err != nil {
		return nil, nil, fmt.Errorf("list the words of the ramdisk: %w", err)
	}
	late, err := fs.Glob(root, "run/initramfs/cmdline.d/*.conf")
	if err != nil {
		return nil, nil, fmt.Errorf("list the words of hooks: %w", err)
	}
	for _, p := range append(append(paths, "etc/cmdline", "proc/cmdline"), late...) {
		text, err := fs.ReadFile(root, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read command line: %w", err)
		}
		s := Source{Name: "/" + p, Text: string(text)}
		if p == "proc/cmdline" && !Parse(s.Text, "").Bool(true, "rd.hostonly") {
			kept := sources[:0]
			for _, before := range sources {
				if before.Name == AskPath {
					kept = append(kept, before)
					continue
				}
				notices = append(notices, fmt.Sprintf("rd.hostonly=0: %s is ignored", before.Name))
			}
			sources = kept
		}
		sources = append(sources, s)
	}
	return sources, notices, nil
}

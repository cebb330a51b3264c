package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/rdconf"
)

// attributes keeps the extended attributes of a file that goes to the path to:
// capabilities, access lists and the user's own. Labels of security modules
// mean nothing in a ramdisk.
func (f *files) attributes(source, to string) error {
	list := make([]byte, 64<<10) // as long as a list can be
	n, err := unix.Llistxattr(source, list)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return inputError{fmt.Errorf("read the attributes of %s: %w", source, err)}
	}
	value := make([]byte, 64<<10)
	for _, name := range slices.Sorted(strings.SplitSeq(strings.TrimRight(string(list[:n]), "\x00"), "\x00")) {
		if name != "security.capability" && !strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "system.posix_acl_") {
			continue
		}
		n, err := unix.Lgetxattr(source, name, value)
		if err != nil {
			return inputError{fmt.Errorf("read attribute %s of %s: %w", name, source, err)}
		}
		if f.xattrs[to] == nil {
			f.xattrs[to] = map[string][]byte{}
		}
		f.xattrs[to][name] = slices.Clone(value[:n])
	}
	return nil
}

// putAttributes adds the list for init.
func (f *files) putAttributes() error {
	if len(f.xattrs) == 0 {
		return nil
	}
	b, err := json.MarshalIndent(f.xattrs, "", " ")
	if err != nil {
		return fmt.Errorf("list the extended attributes: %w", err)
	}
	f.put(file(strings.TrimPrefix(rdconf.XattrsPath, "/"), 0o644, string(b)+"\n", "extended attributes, which init sets"))
	return nil
}

package hook

import (
	"fmt"
	"os"
	"strings"
)

// wrapper makes a shell read the hook, $0, and leave what is exported at its
// end, however that comes.
const wrapper = `trap 'r=$?; set +x; export -p >"$BAREROOT_STATE"; exit $r' 0; . "$0"`

// argv is how a hook is started: more than one word for a script.
func (h *Hooks) argv(path string) ([]string, error) {
	if strings.HasSuffix(path, ".sh") {
		sh := "/bin/sh"
		// A script for bash says so; what it says matters to nobody else when a
		// shell reads it.
		if b, err := os.ReadFile(path); err == nil {
			first, _, _ := strings.Cut(string(b), "\n")
			if _, err := os.Stat("/bin/bash"); err == nil && strings.HasPrefix(first, "#!") && strings.Contains(first, "bash") {
				sh = "/bin/bash"
			}
		}
		if _, err := os.Stat(sh); err != nil {
			return nil, fmt.Errorf("there is no shell in this ramdisk to read it (%w); build with the feature shell", err)
		}
		w := wrapper
		if h.Trace != nil && h.Trace() {
			w = strings.Replace(w, `. "$0"`, `set -x; . "$0"`, 1)
		}
		return []string{sh, "-c", w, path}, nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("it is neither executable nor named *.sh")
	}
	return []string{path}, nil
}

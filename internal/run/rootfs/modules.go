package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// PolicyWord says what a root without modules for the running kernel means.
const PolicyWord = "bareroot.modules"

// ErrModules is the error for a root that is refused for its modules.
var ErrModules = errors.New("refused by " + PolicyWord + "=refuse")

// CheckModules compares the mounted root with the running kernel kver: a boot
// server may be ahead of a root, or behind it. The notice says what is wrong
// with a root that is booted all the same. A root that has no /lib, or whose
// /usr is not mounted yet, cannot be judged: only "refuse" minds.
func CheckModules(root, kver string, l cmdline.Line) (notice string, err error) {
	policy, _ := l.Get(PolicyWord)
	if policy == "ignore" {
		return "", nil
	}
	what := modulesProblem(root, kver, policy == "refuse")
	switch {
	case what == "":
		return "", nil
	case policy == "refuse":
		return "", fmt.Errorf("%s; %w", what, ErrModules)
	}
	return what, nil
}

func modulesProblem(root, kver string, strict bool) string {
	if !folder(resolveIn(root, "/lib")) {
		if strict {
			return fmt.Sprintf("the root's /lib cannot be seen (is /usr a filesystem of its own?), so whether it has modules for the running kernel %s cannot be told", kver)
		}
		return ""
	}
	dir := resolveIn(root, "/lib/modules")
	var have []string
	if folder(dir) {
		if hasModules(filepath.Join(dir, kver)) {
			return ""
		}
		entries, _ := os.ReadDir(dir) // unreadable: it has none that we could use
		for _, e := range entries {
			if hasModules(filepath.Join(dir, e.Name())) {
				have = append(have, e.Name())
			}
		}
	}
	if len(have) == 0 {
		return fmt.Sprintf("the root has no kernel modules at all, the running kernel is %s; install that kernel's modules in the root", kver)
	}
	slices.Sort(have)
	return fmt.Sprintf("the root has no modules for the running kernel %s, it has them for %s; boot one of those kernels, or install this one's modules in the root", kver, strings.Join(have, ", "))
}

// folder does not follow a link: one that resolveIn left leads in circles.
func folder(p string) bool {
	fi, err := os.Lstat(p)
	return err == nil && fi.IsDir()
}

// hasModules: a kernel that was removed often leaves an empty folder, or one
// with a file or two that nobody owns.
func hasModules(dir string) bool {
	for _, name := range []string{"modules.dep", "modules.dep.bin", "kernel"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// Package dracut holds the VM tests of "bareroot dracut": the command lines that
// people wrote for dracut, run as they wrote them, and what they built, booted.
package dracut

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// packages are those whose programs the command lines name.
var packages = []string{
	"bash", "busybox-static", "ca-certificates", "coreutils", "curl", "eject", "iputils-ping", "kmod", "mawk", "mount", "ncurses-base", "netcat-openbsd",
	"net-tools", "nfs-common", "openssh-client", "openssh-server", "tftp-hpa", "tgt", "util-linux", "wget",
}

func tree(ctx context.Context, cache string) (string, error) {
	return distro.Packages(ctx, cache, "amd64", packages...)
}

func TestMain(m *testing.M) {
	vmtest.Main(m, func(ctx context.Context, cache string) error {
		_, err := tree(ctx, cache)
		return err
	})
}

// system is a private copy of the packages' tree, with the links that their
// installation would make and these files more.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	from, err := tree(t.Context(), vmtest.CacheDir(t))
	if err != nil {
		t.Fatal(err)
	}
	// Beside it, for a copy of links to the same files.
	dir, err := os.MkdirTemp(filepath.Dir(from), ".dracut-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	root := filepath.Join(dir, "root")
	if out, err := exec.Command("cp", "-al", from, root).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v: %s", err, out)
	}
	for name, target := range map[string]string{"usr/bin/awk": "mawk", "usr/bin/nc": "../../bin/nc.openbsd", "bin/sh": "bash"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// shell runs a script in which dracut is bareroot, for the tests' kernel and the
// system root, and returns what was said.
func shell(t *testing.T, root, dir, script string) string {
	t.Helper()
	k := vmtest.Kernel(t)
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-e")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(`dracut() { "$BAREROOT" dracut -r "$ROOT" -k "$MODULES" "$@"; }` + "\n" + script)
	cmd.Env = append(os.Environ(), "BAREROOT="+bin, "ROOT="+root, "KERNEL_VERSION="+k.Version, "MODULES="+k.ModulesDir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// machine boots an image up to the shell.
func machine(t *testing.T, img, words string) *vmtest.VM {
	t.Helper()
	spec := vmtest.Direct(t, img, "rd.break ip=10.77.0.9::10.77.0.1:24:::none "+words)
	spec.NICs = []qemu.NIC{{}}
	v := vmtest.Boot(t, spec)
	v.Expect(`bareroot:\S* *# `, 3*time.Minute)
	return v
}

// does types a command and waits for what it must say.
func does(t *testing.T, v *vmtest.VM, command, want string) {
	t.Helper()
	v.Send(command + "\n")
	v.Expect(want, time.Minute)
}

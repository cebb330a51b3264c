package build

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/tests/vm/vmtest"
)

// TestFailuresKeepTheOld: whatever ends a build, what was there before stays as
// it is, nothing is left beside it, and one sentence says why.
func TestFailuresKeepTheOld(t *testing.T) {
	k := vmtest.Kernel(t)
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		t.Fatal(err)
	}
	build := func(t *testing.T, attr *syscall.SysProcAttr, words ...string) (int, string) {
		t.Helper()
		args := append([]string{"build", "--no-cache", "--kernel", k.Image, "--modules-dir", filepath.Dir(k.ModulesDir), "--kver", k.Version}, words...)
		c := exec.CommandContext(t.Context(), bin, args...)
		var says bytes.Buffer
		c.Stderr, c.SysProcAttr = &says, attr
		err := c.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), says.String()
	}
	secret := put(t, 0, "secret", t.TempDir(), "secret")
	// Without rights over the files of others and modes: root may read everything.
	nobody := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	for name, c := range map[string]struct {
		size  string // of the filesystem with the output
		attr  *syscall.SysProcAttr
		words []string
		code  int
		want  string
	}{
		"disk full":         {"2m", nil, nil, 1, "no space left"},
		"unreadable file":   {"64m", nobody, []string{"--include", secret, "/etc/secret"}, 2, secret},
		"missing module":    {"64m", nil, []string{"--add-drivers", "no_such_module"}, 2, "no_such_module"},
		"missing program":   {"64m", nil, []string{"--install", "no-such-program"}, 2, "no-such-program"},
		"wrong kernel":      {"64m", nil, []string{"--kver", "5.4.0"}, 2, "5.4.0"},
		"no modules folder": {"64m", nil, []string{"--modules-dir", "/nonexistent"}, 2, "/nonexistent"},
		"too large":         {"64m", nil, []string{"--size-budget", "1MiB"}, 1, "--size-budget allows 1.0 MiB"},
	} {
		for _, form := range []string{"file", "dir"} {
			t.Run(name+"/"+form, func(t *testing.T) {
				dir := t.TempDir()
				if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+c.size+",mode=0777"); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := unix.Unmount(dir, 0); err != nil {
						t.Error(err)
					}
				})
				out := filepath.Join(dir, "out")
				old := put(t, 0o644, "the old one", out)
				if form == "dir" {
					if err := os.Remove(out); err != nil {
						t.Fatal(err)
					}
					old = put(t, 0o644, "the old one", out, "manifest.json")
				}
				words := append([]string{"--drivers", "virtio_pci ext4", "--format", form, "--force", "-o", out}, c.words...)
				code, says := build(t, c.attr, words...)
				last := strings.Split(strings.TrimSpace(says), "\n")
				sentence := strings.Join(last[max(0, len(last)-2):], "\n") // a hint may follow it
				if code != c.code || !strings.Contains(sentence, c.want) || !strings.Contains(sentence, "bareroot: ") {
					t.Errorf("exit code %d, want %d, and %q:\n%s", code, c.code, c.want, says)
				}
				if b, err := os.ReadFile(old); err != nil || string(b) != "the old one" {
					t.Errorf("the old output is %.40q, %v", b, err)
				}
				if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
					t.Errorf("left behind: %v %v", left, err)
				}
			})
		}
	}
	t.Run("interrupted", func(t *testing.T) {
		dir := t.TempDir()
		old := put(t, 0o644, "the old one", dir, "out")
		c := exec.CommandContext(t.Context(), bin, "build", "--no-cache", "--compress", "xz", "--kernel", k.Image, "--modules-dir", k.ModulesDir, "--force", "-o", old)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(time.Minute)
		for working := false; !working; {
			entries, err := os.ReadDir(dir)
			if err != nil || time.Now().After(until) {
				t.Fatalf("the build does not begin: %v", err)
			}
			working = len(entries) > 1
		}
		if err := c.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Error("an interrupted build succeeded")
		}
		if b, err := os.ReadFile(old); err != nil || string(b) != "the old one" {
			t.Errorf("the old output is %.40q, %v", b, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
}

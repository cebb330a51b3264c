package distro

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/hosttool"
)

func TestKernelPackages(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want []string
	}{
		"debian": {"linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n", []string{"linux-image-6.1.0-56-amd64"}},
		"ubuntu": {"linux-image-generic\n  Depends: linux-image-6.8.0-41-generic\n  Depends: linux-modules-extra-6.8.0-41-generic\n |Depends: linux-firmware\n",
			[]string{"linux-image-6.8.0-41-generic", "linux-modules-extra-6.8.0-41-generic", "linux-modules-6.8.0-41-generic"}},
		"nothing": {"linux-image-amd64\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, kernelPackages(tc.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	order := []string{"6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-cloud-amd64", "6.8.0", "6.12.0"}
	for i := range order {
		for j := range order {
			if got := compare(order[i], order[j]); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compare(%s, %s) = %d", order[i], order[j], got)
			}
		}
	}
}

func TestFindRelease(t *testing.T) {
	if r, err := find("debian", "12"); err != nil || r.Kernel != "linux-image-amd64" {
		t.Errorf("debian 12: %+v, %v", r, err)
	}
	if _, err := find("fedora", "42"); err == nil || !strings.Contains(err.Error(), "debian 12") {
		t.Errorf("fedora: %v", err)
	}
}

type archive struct{ t *testing.T }

// Run plays apt: one package with kernel 6.1.0-2-amd64.
func (a archive) Run(_ context.Context, c hosttool.Cmd) ([]byte, error) {
	write := func(path string) {
		a.t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			a.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	switch filepath.Base(c.Args[0]) {
	case "apt-cache":
		return []byte("x\n  Depends: linux-image-6.1.0-2-amd64\n"), nil
	case "apt-get":
		write(filepath.Join(c.Dir, "linux.deb"))
		if slices.Contains(c.Args, "--download-only") {
			write(filepath.Join(c.Dir, "cache/archives/tool.deb"))
		}
	case "dpkg-deb":
		write(filepath.Join(c.Args[3], "boot/vmlinuz-6.1.0-2-amd64"))
	case "depmod":
		write(filepath.Join(c.Args[2], "lib/modules", c.Args[3], "modules.dep"))
	}
	return nil, nil
}

type offline struct{}

func (offline) Run(context.Context, hosttool.Cmd) ([]byte, error) { return nil, os.ErrDeadlineExceeded }

func TestPackaged(t *testing.T) {
	cache := t.TempDir()
	if _, err := packaged(t.Context(), offline{}, releases[0], cache); err == nil {
		t.Error("a kernel came from nowhere")
	}
	k, err := packaged(t.Context(), archive{t}, releases[0], cache)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(cache, "kernel-linux-image-6.1.0-2-amd64")
	want := Found{Image: root + "/boot/vmlinuz-6.1.0-2-amd64", ModulesDir: root + "/lib/modules/6.1.0-2-amd64", Version: "6.1.0-2-amd64", Root: root}
	if d := cmp.Diff(want, k); d != "" {
		t.Error(d)
	}
	// Once there, it does not need the archive.
	if again, err := packaged(t.Context(), offline{}, releases[0], cache); err != nil || again != want {
		t.Errorf("from the cache: %+v, %v", again, err)
	}
	left, err := filepath.Glob(filepath.Join(cache, ".kernel-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTree(t *testing.T) {
	cache := t.TempDir()
	if _, err := makeTree(t.Context(), offline{}, releases[0], cache, "arm64", true, []string{"busybox-static"}); err == nil {
		t.Error("a tree came from nowhere")
	}
	dir, err := makeTree(t.Context(), archive{t}, releases[0], cache, "arm64", true, []string{"busybox-static"})
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := in(dir); !ok || k.Version != "6.1.0-2-amd64" || filepath.Dir(k.Root) != cache || !strings.HasPrefix(filepath.Base(k.Root), "debian-12-arm64-") {
		t.Errorf("%+v", k)
	}
	if again, err := makeTree(t.Context(), offline{}, releases[0], cache, "arm64", true, []string{"busybox-static"}); err != nil || again != dir {
		t.Errorf("from the cache: %s, %v", again, err)
	}
	if _, err := makeTree(t.Context(), offline{}, releases[0], cache, "arm64", true, nil); err == nil {
		t.Error("other packages came from the same tree")
	}
	left, err := filepath.Glob(filepath.Join(cache, ".tree-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

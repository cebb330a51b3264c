package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/build/elfdep"
)

// TestLoaderCache: a library that only ld.so.conf leads to comes with the list
// by which the ramdisk's loader finds it. The program is this host's shell,
// whose library is moved into such a folder.
func TestLoaderCache(t *testing.T) {
	root, o := sysroot(t)
	deps, err := elfdep.New("/").Closure("/bin/sh")
	if err != nil {
		t.Fatalf("the host's own shell: %v", err)
	}
	moved := ""
	for _, d := range deps {
		if d.Link != "" || !strings.HasPrefix(d.Path, "usr/") {
			continue
		}
		b, err := os.ReadFile(d.Source)
		if err != nil {
			t.Fatal(err)
		}
		to := d.Path
		if strings.HasPrefix(filepath.Base(to), "libc.so") {
			moved = "opt/lib/" + filepath.Base(to)
			to = moved
		}
		put(t, root, to, b)
		if err := os.Chmod(filepath.Join(root, to), d.Mode.Perm()); err != nil {
			t.Fatal(err)
		}
	}
	if moved == "" {
		t.Fatalf("the host's shell needs no libc.so below usr/: %v", deps)
	}
	for link, target := range map[string]string{"lib64": "usr/lib64", "bin": "usr/bin"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range deps {
		if d.Link != "" && strings.HasPrefix(d.Path, "usr/") {
			p := filepath.Join(root, d.Path)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(d.Link, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(t, root, "etc/ld.so.conf", []byte("/opt/lib\n"))
	o.Install = []string{"/usr/bin/sh"}
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, out)
	have := unpack(t, out)
	if have[moved] == "" || !strings.Contains(have["etc/ld.so.cache"], "/"+moved) {
		t.Errorf("%s is in: %v; the loader's list: %.60q", moved, have[moved] != "", have["etc/ld.so.cache"])
	}
}

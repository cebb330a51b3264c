package elfdep

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// TestLoaderCacheRuns has the real loader find a library by our cache, in a
// chroot, where it does not without.
func TestLoaderCacheRuns(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Fatalf("%v: install gcc", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may chroot")
	}
	build, root := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var libs []string
	text := "int main(void) { return 0"
	for _, n := range []string{"a", "b2", "b10", "z"} { // several: the order counts
		write(filepath.Join(build, n+".c"), "int f_"+n+"(void) { return 0; }")
		lib := "lib" + n + ".so.1"
		if out, err := exec.Command(gcc, "-shared", "-fPIC", "-Wl,-soname,"+lib, "-o", filepath.Join(build, lib), filepath.Join(build, n+".c")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		libs = append(libs, filepath.Join(build, lib))
		text += " + f_" + n + "()"
	}
	decl := "int f_a(void), f_b2(void), f_b10(void), f_z(void);\n"
	write(filepath.Join(build, "p.c"), decl+text+"; }\n")
	if err := os.MkdirAll(filepath.Join(root, "opt/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-o", filepath.Join(root, "prog"), filepath.Join(build, "p.c")}, libs...)
	if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	copyFile := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(to, string(b))
		if err := os.Chmod(to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range libs {
		copyFile(l, filepath.Join(root, "opt/lib", filepath.Base(l)))
	}
	host := New("/")
	o, err := openObject(filepath.Join(root, "prog"))
	if err != nil {
		t.Fatal(err)
	}
	copyFile(o.interp, filepath.Join(root, o.interp))
	deps, err := host.Closure("/bin/true") // for libc
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deps {
		if strings.HasPrefix(filepath.Base(d.Path), "libc.so") {
			copyFile(d.Source, filepath.Join(root, d.Path))
			// A program of a machine without merged /usr looks here.
			copyFile(d.Source, filepath.Join(root, "lib", strings.TrimPrefix(d.Path, "usr/lib")))
		}
	}
	write(filepath.Join(root, "etc/ld.so.conf"), "/opt/lib\n")

	run := func() ([]byte, error) {
		cmd := exec.Command("/prog")
		cmd.Dir = "/"
		cmd.Env = []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		return cmd.CombinedOutput()
	}
	if out, err := run(); err == nil || !strings.Contains(string(out), "cannot open shared object") {
		t.Fatalf("it runs without a cache already: %v %s", err, out)
	}
	r := New(root)
	if deps, err = r.Closure("prog"); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(root, "etc/ld.so.cache"), string(r.LoaderCache(deps)))
	if out, err := run(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if ldconfig, err := exec.LookPath("/sbin/ldconfig"); err == nil {
		out, err := exec.Command(ldconfig, "-p", "-C", filepath.Join(root, "etc/ld.so.cache")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "libb10.so.1 (libc6,x86-64) => /opt/lib/libb10.so.1") {
			t.Errorf("ldconfig -p: %v\n%s", err, out)
		}
	}
}

func TestLoaderCacheNothing(t *testing.T) {
	r := New(files(t, glibc(map[string]any{"bin/prog": fake{interp: ld64, needed: []string{"libx.so.1"}, runpath: "/opt"}, "opt/libx.so.1": fake{}})))
	deps, err := r.Closure("bin/prog")
	if err != nil {
		t.Fatal(err)
	}
	if b := r.LoaderCache(deps[:1]); b != nil {
		t.Errorf("%d bytes for a program alone", len(b))
	}
	if b := r.LoaderCache(deps); b == nil || strings.Contains(string(b), "libx") || !strings.Contains(string(b), "/usr/lib64/ld-linux-x86-64.so.2\x00") {
		t.Errorf("%q", b)
	}
}

// TestCompareNames: an order, and that of the loader for names it is known for.
func TestCompareNames(t *testing.T) {
	sorted := []string{"", "lib", "liba.so.1", "libb.so", "libb.so.1", "libb.so.1.2", "libb.so.9", "libb.so.10", "libb2.so", "libb10.so"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := compareNames(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%q, %q: %d", a, b, got)
			}
		}
	}
	name := rapid.StringMatching(`[a-c0-2.]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SliceOfN(name, 3, 3).Draw(t, "names")
		slices.SortStableFunc(l, compareNames)
		if compareNames(l[0], l[2]) > 0 || compareNames(l[0], l[1]) != -compareNames(l[1], l[0]) {
			t.Fatalf("%q is no order", l)
		}
	})
}

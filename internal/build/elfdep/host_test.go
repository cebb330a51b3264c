package elfdep

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLikeLdd compares with what this machine's loader would load.
func TestLikeLdd(t *testing.T) {
	ldd, err := exec.LookPath("ldd")
	if err != nil {
		t.Fatalf("%v: install libc-bin", err)
	}
	r := New("/")
	programs := []string{"bash", "curl", "mdadm", "lvm", "cryptsetup", "python3", "udevadm", "git", "ssh", "sshd", "perl", "ip",
		"mount", "qemu-system-x86_64", "mksquashfs", "gpg", "systemd-nspawn", "mkfs.ext4", "kmod", "tar"}
	compared := 0
	paths := []string{"/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd", "/usr/lib/git-core/git-http-fetch"}
	for _, p := range programs {
		if all, err := r.Find(p); err == nil {
			paths = append(paths, all...)
		}
	}
	for _, p := range paths {
		real, err := filepath.EvalSymlinks("/" + p)
		if err != nil {
			continue
		}
		o, err := openObject(real)
		if err != nil || o.shebang != "" || o.interp == "" {
			continue
		}
		text, err := exec.Command(ldd, real).Output()
		if err != nil {
			t.Errorf("ldd %s: %v", real, err)
			continue
		}
		var want []string
		for line := range strings.Lines(string(text)) {
			for _, w := range strings.Fields(line) {
				if strings.HasPrefix(w, "/") {
					lib, err := filepath.EvalSymlinks(w)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, lib)
				}
			}
		}
		deps, err := r.Closure(p)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, d := range deps {
			// Files opened by name and faster variants are not in ldd's list.
			if d.Link == "" && d.Source != real && !strings.HasPrefix(d.Why, "opened") && !strings.HasPrefix(d.Why, "faster") {
				got = append(got, d.Source)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(slices.Compact(want), slices.Compact(got)); d != "" {
			t.Errorf("%s: (- ldd, + ours)\n%s", p, d)
		}
		compared++
	}
	t.Logf("%d programs compared with ldd", compared)
	if compared < 3 {
		t.Errorf("only %d programs were found to compare", compared)
	}
}

// TestCompiled has the compiler's own files looked at: with an RPATH, and of 32
// bits where the compiler makes them.
func TestCompiled(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Fatalf("%v: install gcc", err)
	}
	for _, m := range []string{"-m64", "-m32"} {
		t.Run(m, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"a.c": "int a(void) { return 1; }", "p.c": "int a(void); int main(void) { return a() - 1; }", "x.c": "#include <stdio.h>\nint main(void) { return 0; }",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			run := func(args ...string) ([]byte, error) {
				cmd := exec.Command(gcc, args...)
				cmd.Dir = dir
				return cmd.CombinedOutput()
			}
			if out, err := run(m, "-o", "x", "x.c"); err != nil {
				t.Skipf("the compiler makes no %s programs: %s", m, out)
			}
			if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{m, "-shared", "-fPIC", "-Wl,-soname,liba.so.1", "-o", "lib/liba.so.1", "a.c"},
				{m, "-o", "prog", "p.c", "lib/liba.so.1", "-Wl,-rpath,$ORIGIN/lib"},
			} {
				if out, err := run(args...); err != nil {
					t.Fatalf("%v: %s", args, out)
				}
			}
			if out, err := exec.Command(filepath.Join(dir, "prog")).CombinedOutput(); err != nil {
				t.Fatalf("the loader does not find it either: %v %s", err, out)
			}
			deps, err := New("/").Closure(filepath.Join(dir, "prog"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(deps, func(d Dep) bool { return d.Source == filepath.Join(dir, "lib/liba.so.1") }) {
				t.Errorf("liba.so.1 is not in %v", short(deps))
			}
		})
	}
}

func BenchmarkClosureCurl(b *testing.B) {
	for b.Loop() {
		r := New("/")
		all, err := r.Find("curl")
		if err != nil {
			b.Skip(err)
		}
		if _, err := r.Closure(all[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAsks: programs of this machine that look up names, and one that does not.
func TestAsks(t *testing.T) {
	r := New("/")
	for prog, want := range map[string]Names{"id": Users, "getent": Users | Hosts | Ports, "sleep": 0} {
		paths, err := r.Find(prog)
		if err != nil {
			t.Fatalf("%v: install coreutils and libc-bin", err)
		}
		deps, err := r.Closure(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Asks(deps); err != nil || got&want != want || want == 0 && got != 0 {
			t.Errorf("%s asks %b, want %b: %v", prog, got, want, err)
		}
	}
}

// TestImports: what is read of a table of symbols is what debug/elf makes of it.
func TestImports(t *testing.T) {
	asking := 0
	for _, pattern := range []string{"/usr/lib/*/*.so.*", "/usr/lib64/*.so.*", "/usr/bin/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			f, err := elf.Open(name)
			if err != nil {
				continue // a script, a folder, a dangling link
			}
			var want Names
			symbols, _ := f.ImportedSymbols()
			for _, s := range symbols {
				want |= askers[s.Name]
			}
			if got := imports(f); got != want {
				t.Errorf("%s: %b, want %b", name, got, want)
			}
			if want != 0 {
				asking++
			}
			f.Close()
		}
	}
	if asking == 0 {
		t.Error("nothing on this machine asks for names")
	}
}

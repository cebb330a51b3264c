package owner

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tree writes files; "-> x" is a link.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, p)
		} else {
			err = os.WriteFile(p, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const status = `Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: bash
Architecture: amd64
Version: 5.2.15-2+b7
Description: shell
 Version: 9 is not a field here

Package: libc6
Architecture: i386
Version: 2.36-9

Package: libc6
Architecture: amd64
Version: 2.36-10
`

func TestOwner(t *testing.T) {
	dpkg := map[string]string{
		"var/lib/dpkg/status":                 status,
		"var/lib/dpkg/diversions":             "/bin/sh\n/bin/sh.distrib\ndash\n/etc/motd\n/etc/motd.orig\n:\n",
		"var/lib/dpkg/info/bash.list":         "/.\n/bin\n/bin/bash\n/bin/sh\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/bash\n/etc/motd\n",
		"var/lib/dpkg/info/dash.list":         "/.\n/bin\n/bin/dash\n/bin/sh\n",
		"var/lib/dpkg/info/libc6:amd64.list":  "/.\n/usr\n/usr/lib\n/usr/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu/libc.so.6\n/usr/share/doc/libc6/copyright\n",
		"var/lib/dpkg/info/libc6:i386.list":   "/.\n/lib\n/lib/i386-linux-gnu\n/lib/i386-linux-gnu/libc.so.6\n/usr/share/doc/libc6/copyright\n",
		"var/lib/dpkg/info/libc6:i386.md5sum": "/never\n",
	}
	merged := map[string]string{"bin": "-> usr/bin", "lib": "-> /usr/lib"}
	for k, v := range dpkg {
		merged[k] = v
	}
	for name, tc := range map[string]struct {
		files  map[string]string
		want   map[string]string
		notice string
	}{
		"merged /usr": {files: merged, want: map[string]string{
			"/bin/bash":                         "bash 5.2.15-2+b7",
			"usr/bin/bash":                      "bash 5.2.15-2+b7",
			"/bin/../usr/bin//bash":             "bash 5.2.15-2+b7",
			"lib/x86_64-linux-gnu/libc.so.6":    "libc6 2.36-10",
			"/usr/lib/i386-linux-gnu/libc.so.6": "libc6:i386 2.36-9",
			"/usr/share/doc/libc6/copyright":    "libc6 2.36-10",
			"/usr/bin/sh":                       "dash",
			"/usr/bin/sh.distrib":               "bash 5.2.15-2+b7",
			"/etc/motd.orig":                    "bash 5.2.15-2+b7",
			"/etc/motd":                         "",
			"/usr/share":                        "",
			"/never":                            "",
			"/usr/share/doc/bash":               "bash 5.2.15-2+b7",
			"/sbin/bash":                        "",
			"":                                  "",
			"/usr":                              "",
			"/share/doc/libc6/copyright":        "",
		}},
		"separate /usr": {files: dpkg, want: map[string]string{
			"/bin/bash":     "bash 5.2.15-2+b7",
			"/usr/bin/bash": "",
		}},
		"no lists": {files: map[string]string{"var/lib/dpkg/status": status}, want: map[string]string{"/bin/bash": ""}},
		"rpm": {files: map[string]string{"var/lib/rpm/rpmdb.sqlite": "x"}, want: map[string]string{"/bin/bash": ""},
			notice: "owners of files are unknown: the package database is rpm's, which is not read"},
		"none": {files: map[string]string{"etc/x": ""}, want: map[string]string{"/bin/bash": ""},
			notice: "owners of files are unknown: there is no package database"},
		"a link out of the sysroot": {files: map[string]string{"var/lib": "-> ../../../../../../../../../var/lib"}, want: map[string]string{"/bin/bash": ""},
			notice: "owners of files are unknown: read package database: openat var/lib/dpkg: path escapes from parent"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := Open(tree(t, tc.files))
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range tc.want {
				if got := db.Owner(path); got != want {
					t.Errorf("%q: %q, want %q", path, got, want)
				}
			}
			if got := db.Notice(); got != tc.notice {
				t.Errorf("notice %q, want %q", got, tc.notice)
			}
		})
	}
}

func TestOpenNothing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a sysroot that is not there")
	}
}

func TestGoroutines(t *testing.T) {
	db, err := Open(tree(t, map[string]string{"var/lib/dpkg/info/a.list": "/x\n"}))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := db.Owner("x"); got != "a" {
				t.Errorf("owner %q", got)
			}
		})
	}
	wg.Wait()
}

// TestLikeDpkg compares with this machine's dpkg.
func TestLikeDpkg(t *testing.T) {
	query, err := exec.LookPath("dpkg-query")
	if err != nil {
		t.Skipf("no dpkg here to compare with: %v", err)
	}
	db, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, pkg := range []string{"bash", "coreutils", "kmod", "libc6", "util-linux", "systemd", "udev", "busybox-static"} {
		version, err := exec.Command(query, "-W", "-f", "${Package} ${Version} ${db:Status-Status}", pkg).Output()
		if err != nil {
			continue
		}
		want, installed := strings.CutSuffix(string(version), " installed")
		if !installed {
			continue
		}
		list, err := exec.Command(query, "-L", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range strings.Fields(string(list)) {
			fi, err := os.Stat(p)
			if err != nil || fi.IsDir() || !strings.HasPrefix(p, "/") {
				continue
			}
			if got := db.Owner(p); got != want {
				out, _ := exec.Command(query, "-S", p).Output()
				t.Errorf("%s: %q, want %q (dpkg says %s)", p, got, want, out)
			}
			compared++
		}
	}
	t.Logf("%d files compared with dpkg-query", compared)
}

func FuzzParse(f *testing.F) {
	f.Add(status, "/a\n/b\nc\n", "/.\n/a\n/a/b\n")
	f.Fuzz(func(t *testing.T, status, divert, list string) {
		d := &DB{files: map[string]int32{}, packages: []string{parseStatus(status).describe("p")}, merged: []string{"/bin/"}}
		d.list(list, 0, "p", parseDiversions(divert))
		for p := range d.files {
			if !strings.HasPrefix(p, "/") || strings.Contains(p, "\n") {
				t.Errorf("path %q", p)
			}
		}
	})
}

// TestEachFileHasAnOwner: all that is in a list and not a folder of it.
func TestEachFileHasAnOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		want := map[string]int32{}
		for i := range rapid.IntRange(0, 5).Draw(t, "folders") {
			dir := fmt.Sprintf("/d%d", i)
			lines = append(lines, dir)
			n := rapid.IntRange(0, 4).Draw(t, "files")
			for j := range n {
				p := fmt.Sprintf("%s/%s%d", dir, rapid.SampledFrom([]string{"f", "g h"}).Draw(t, "name"), j)
				lines = append(lines, p)
				want[p] = 0
			}
			if n == 0 { // an empty folder is the package's own
				want[dir] = 0
			}
		}
		d := &DB{files: map[string]int32{}}
		text := strings.Join(lines, "\n")
		if rapid.Bool().Draw(t, "newline") {
			text += "\n"
		}
		d.list(text, 0, "p", nil)
		if diff := cmp.Diff(want, d.files); diff != "" {
			t.Fatal(diff)
		}
	})
}

// BenchmarkThousand reads a database of 1000 packages with 120 files each.
func BenchmarkThousand(b *testing.B) {
	files := map[string]string{}
	var st strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&st, "Package: p%d\nArchitecture: amd64\nVersion: 1.%d\nDescription: x\n y\n\n", i, i)
		var list strings.Builder
		for j := range 120 {
			fmt.Fprintf(&list, "/usr/share/doc/package-%d/some/file-%d\n", i, j)
		}
		files[fmt.Sprintf("var/lib/dpkg/info/p%d.list", i)] = list.String()
	}
	files["var/lib/dpkg/status"] = st.String()
	root := tree(b, files)
	for b.Loop() {
		db, err := Open(root)
		if err != nil {
			b.Fatal(err)
		}
		if got := db.Owner("/usr/share/doc/package-7/some/file-7"); got != "p7 1.7" {
			b.Fatal(got)
		}
	}
}

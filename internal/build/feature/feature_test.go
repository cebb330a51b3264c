package feature

import (
	"strings"
	"testing"
)

// TestTable: names and aliases are one name space, needs exist and end, every
// feature says what it is, required programs name their package.
func TestTable(t *testing.T) {
	owner := map[string]string{}
	for _, f := range All() {
		for _, n := range append([]string{f.Name}, f.Aliases...) {
			if owner[n] != "" {
				t.Errorf("%s names both %s and %s", n, owner[n], f.Name)
			}
			owner[n] = f.Name
			if n != strings.ToLower(n) || strings.ContainsAny(n, " _/=,") {
				t.Errorf("%s: %q is no name for the command line", f.Name, n)
			}
		}
		if f.About == "" || f.When == "" {
			t.Errorf("%s says nothing about itself", f.Name)
		}
		for _, b := range f.Binaries {
			if b.Package == "" {
				t.Errorf("%s: program %s without its package", f.Name, b.Name)
			}
		}
		for _, p := range f.Files {
			if strings.HasPrefix(p.Path, "/") || !p.Optional && p.Package == "" {
				t.Errorf("%s: file %+v", f.Name, p)
			}
		}
		for _, c := range f.Config {
			if strings.HasPrefix(c, "CONFIG_") {
				t.Errorf("%s: %s: CONFIG_ is left out", f.Name, c)
			}
		}
	}
	var walk func(name string, depth int)
	walk = func(name string, depth int) {
		f, ok := Find(name)
		if !ok || f.Name != name {
			t.Fatalf("need %q is no feature's name", name)
		}
		if depth > len(All()) {
			t.Fatalf("%s needs itself", name)
		}
		for _, n := range f.Needs {
			walk(n, depth+1)
		}
	}
	for _, f := range All() {
		walk(f.Name, 0)
	}
	for _, stock := range []string{"base", "network", "url-lib", "nfs", "livenet", "dmsquash-live", "ssh-server", "udev-rules", "base-foreman", "terminfo", "debug", "kernel-modules"} {
		if _, ok := Find(stock); !ok {
			t.Errorf("%s is not known", stock)
		}
	}
	if _, ok := Find("nonsense"); ok {
		t.Error("nonsense was found")
	}
}

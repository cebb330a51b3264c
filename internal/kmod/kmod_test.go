package kmod

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var small = map[string]string{
	"modules.dep": `kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko kernel/fs/mbcache.ko
kernel/fs/jbd2/jbd2.ko.xz:
kernel/lib/crc16.ko:
kernel/fs/mbcache.ko:
kernel/crypto/crc32c_generic.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/a.ko:
kernel/drivers/b.ko: kernel/drivers/a.ko
kernel/drivers/late.ko:
`,
	"modules.builtin": "kernel/drivers/base/firmware_class.ko\n\nkernel/drivers/nvme-core.ko\n",
	"modules.alias": `# comment
alias fs-ext4 ext4
alias crypto-crc32c crc32c_generic
alias crypto-crc32c crc32c_intel
alias pci:v00008086d*sv*sd*bc02sc*i* a
alias pci:v00008086d00001234sv*sd*bc*sc*i* b
`,
	"modules.softdep": `softdep ext4 pre: crypto-crc32c no_such_thing
softdep a post: late
softdep b pre: b
`,
	"modules.builtin.modinfo": "nvme_core.license=GPL\x00nvme_core.alias=pci:v*d*sv*sd*bc01sc08i02*\x00odd.alias=two words\x00",
	"modules.order":           "kernel/fs/ext4/ext4.ko\nkernel/fs/mbcache.ko\nkernel/drivers/a.ko\n",
	"modules.devname":         "# c\na net/a c10:200\nlate late c10:1\n",
}

func TestQueries(t *testing.T) {
	x, err := Load(tree(t, small))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		names []string
		want  []string
		err   error
	}{
		"softdeps by alias first, deps from the right": {[]string{"ext4"}, []string{
			"kernel/crypto/crc32c_generic.ko", "kernel/arch/x86/crypto/crc32c-intel.ko",
			"kernel/fs/mbcache.ko", "kernel/lib/crc16.ko", "kernel/fs/jbd2/jbd2.ko.xz", "kernel/fs/ext4/ext4.ko.xz"}, nil},
		"post of a dependency": {[]string{"b"}, []string{"kernel/drivers/a.ko", "kernel/drivers/late.ko", "kernel/drivers/b.ko"}, nil},
		"each once":            {[]string{"a", "b", "a"}, []string{"kernel/drivers/a.ko", "kernel/drivers/late.ko", "kernel/drivers/b.ko"}, nil},
		"built in":             {[]string{"nvme_core", "firmware-class"}, nil, nil},
		"unknown":              {[]string{"nope"}, nil, ErrNotFound},
		"dash or underscore":   {[]string{"crc32c_intel"}, []string{"kernel/arch/x86/crypto/crc32c-intel.ko"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := x.Closure(c.names...)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
	for alias, want := range map[string][]string{
		"pci:v00008086d00001234sv00000000sd00000000bc02sc00i00": {"a", "b"},
		"pci:v00008086d00009999sv00000000sd00000000bc01sc00i00": nil,
		"crypto-crc32c": {"crc32c_generic", "crc32c_intel"},
		"crypto_crc32c": {"crc32c_generic", "crc32c_intel"},
		"fs-ext4":       {"ext4"},
		"":              nil,
	} {
		if diff := cmp.Diff(want, x.Match(alias)); diff != "" {
			t.Errorf("Match(%q): %s", alias, diff)
		}
	}
	if names, ok := x.Lookup("nvme-core"); !ok || names != nil {
		t.Errorf("Lookup of a built-in: %v %v", names, ok)
	}
	if names, ok := x.Lookup("fs-ext4"); !ok || !slices.Equal(names, []string{"ext4"}) {
		t.Errorf("Lookup of an alias: %v %v", names, ok)
	}
	if names, ok := x.Lookup("pci:v00001D1Dd00001F1Fsv00001D1Dsd00001F1Fbc01sc08i02"); !ok || names != nil {
		t.Errorf("Lookup of an alias of a built-in: %v %v", names, ok)
	}
	if _, ok := x.Lookup("fs-zfs"); ok {
		t.Error("Lookup found what is not there")
	}
}

func TestSubset(t *testing.T) {
	x, err := Load(tree(t, small))
	if err != nil {
		t.Fatal(err)
	}
	paths, err := x.Closure("ext4", "a")
	if err != nil {
		t.Fatal(err)
	}
	rename := func(p string) string { return strings.TrimSuffix(p, ".xz") + ".zst" }
	files, err := x.Subset(paths, rename)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	texts := map[string]string{}
	for name, b := range files {
		got[name] = string(b)
		texts[name] = string(b)
	}
	want := map[string]string{
		"modules.dep": `kernel/fs/ext4/ext4.ko.zst: kernel/fs/jbd2/jbd2.ko.zst kernel/lib/crc16.ko.zst kernel/fs/mbcache.ko.zst
kernel/fs/jbd2/jbd2.ko.zst:
kernel/lib/crc16.ko.zst:
kernel/fs/mbcache.ko.zst:
kernel/crypto/crc32c_generic.ko.zst:
kernel/arch/x86/crypto/crc32c-intel.ko.zst:
kernel/drivers/a.ko.zst:
kernel/drivers/late.ko.zst:
`,
		"modules.builtin": small["modules.builtin"],
		"modules.alias": `alias fs-ext4 ext4
alias crypto-crc32c crc32c_generic
alias crypto-crc32c crc32c_intel
alias pci:v00008086d*sv*sd*bc02sc*i* a
`,
		"modules.softdep": "softdep ext4 pre: crypto-crc32c no_such_thing\nsoftdep a post: late\n",
		"modules.order":   "kernel/fs/ext4/ext4.ko.zst\nkernel/fs/mbcache.ko.zst\nkernel/drivers/a.ko.zst\n",
		"modules.devname": "a net/a c10:200\nlate late c10:1\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	// The subset is a tree of its own with the same answers.
	y, err := Load(tree(t, texts))
	if err != nil {
		t.Fatal(err)
	}
	again, err := y.Closure("ext4", "a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i] = rename(paths[i])
	}
	if diff := cmp.Diff(paths, again); diff != "" {
		t.Fatal(diff)
	}
	if _, err := x.Subset([]string{"kernel/drivers/b.ko"}, rename); err == nil {
		t.Fatal("a subset without a dependency was accepted")
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "depmod") {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "run depmod") {
		t.Errorf("missing modules.dep: %v", err)
	}
	for name, dep := range map[string]string{"no colon": "kernel/a.ko\n", "outside": "../../a.ko:\n", "dep outside": "a.ko: /b.ko\n"} {
		if _, err := Load(tree(t, map[string]string{"modules.dep": dep})); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	x, err := Load(tree(t, map[string]string{"modules.dep": "a.ko: b.ko\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Closure("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("dependency that is not there: %v", err)
	}
}

// TestMatchEqualsLinearScan: the grouped index finds what trying every pattern
// finds.
func TestMatchEqualsLinearScan(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "b", "ab", "-", "_", ":", "*", "?", "[a-c]", "[!b]", "[", "]", "pci:v", `\*`})
	rapid.Check(t, func(t *rapid.T) {
		var text, patterns []string
		for range rapid.IntRange(0, 12).Draw(t, "patterns") {
			p := strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(t, "pattern"), "")
			patterns = append(patterns, p)
			text = append(text, "alias "+p+" m"+string(rune('a'+len(patterns)%5)))
		}
		table := parseAliases(strings.Join(text, "\n"))
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "-", ":", "*", "[", "pci:v"}), 0, 6).Draw(t, "query"), "")
		var want []string
		for i, p := range patterns {
			m := "m" + string(rune('a'+(i+1)%5))
			if fnmatch(Normalize(p), Normalize(s)) && !slices.Contains(want, m) {
				want = append(want, m)
			}
		}
		if diff := cmp.Diff(want, table.match(s)); diff != "" {
			t.Fatalf("%q in %q: %s", s, patterns, diff)
		}
	})
}

// TestFnmatchEqualsRegexp holds fnmatch against another implementation of the
// same language.
func TestFnmatchEqualsRegexp(t *testing.T) {
	type part struct{ glob, re string }
	parts := rapid.SampledFrom([]part{{"a", "a"}, {"b", "b"}, {"*", ".*"}, {"?", "."}, {"[a-c]", "[a-c]"}, {"[!a]", "[^a]"}, {"[]x]", `[\]x]`}, {`\*`, `\*`}, {"[-a]", `[\-a]`}})
	rapid.Check(t, func(t *rapid.T) {
		var glob, re strings.Builder
		for _, p := range rapid.SliceOfN(parts, 0, 8).Draw(t, "pattern") {
			glob.WriteString(p.glob)
			re.WriteString(p.re)
		}
		s := rapid.StringMatching(`[abcx*\]\-]{0,8}`).Draw(t, "string")
		want := regexp.MustCompile("^(?:" + re.String() + ")$").MatchString(s)
		if got := fnmatch(glob.String(), s); got != want {
			t.Fatalf("fnmatch(%q, %q) = %v", glob.String(), s, got)
		}
	})
}

func TestFnmatchTable(t *testing.T) {
	for _, c := range []struct {
		p, s string
		want bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "a/b", true}, {"?", "", false}, {"a*b*c", "axxbxxc", true}, {"a*b*c", "axxbxx", false},
		{"[a", "[a", true}, {"[", "[", true}, {"[!a-c]x", "dx", true}, {"[^a-c]x", "bx", false}, {"[]]", "]", true}, {"a\\", "a\\", true},
		{"pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv0sd0bc01sc06i01", true},
	} {
		if got := fnmatch(c.p, c.s); got != c.want {
			t.Errorf("fnmatch(%q, %q) = %v", c.p, c.s, got)
		}
	}
}

func FuzzFnmatch(f *testing.F) {
	f.Add("a*[b-d]?", "aXXc1")
	f.Add("[[[\\", "[")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 64 || len(s) > 64 {
			return
		}
		if fnmatch(p, s) && !fnmatch(p+"*", s+"tail") {
			t.Fatalf("%q matches %q but with a star added not a longer string", p, s)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(small["modules.dep"], small["modules.alias"], small["modules.softdep"])
	f.Fuzz(func(t *testing.T, dep, alias, soft string) {
		x, err := Load(tree(t, map[string]string{"modules.dep": dep, "modules.alias": alias, "modules.softdep": soft}))
		if err != nil {
			return
		}
		for _, m := range x.Modules() {
			x.Closure(m.Name) // must end and not panic; it may say that something is missing
			x.Match(m.Name)
		}
	})
}

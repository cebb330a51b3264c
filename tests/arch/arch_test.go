package arch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/hosttool"
)

// load asks the go command for the imports of the whole module and of all
// that it depends on, as it is built for a machine.
func load(t *testing.T) Graph {
	t.Helper()
	out, err := hosttool.Host{}.Run(t.Context(), hosttool.Cmd{
		Args: []string{"go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./..."},
		Dir:  "../..",
		Env:  []string{"GOOS=linux", "CGO_ENABLED=0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := Graph{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		g[f[0]] = f[1:]
	}
	return g
}

func TestTree(t *testing.T) {
	g := load(t)
	for _, r := range Rules() {
		for _, from := range r.From {
			if !has(g, from) {
				t.Errorf("%s: no such package, so this rule holds nothing: %s", from, r.Why)
			}
		}
		for _, b := range r.Broken(g) {
			t.Error(b)
		}
	}
}

func has(g Graph, pattern string) bool {
	for p := range g {
		if matches([]string{pattern}, p) {
			return true
		}
	}
	return false
}

// TestRuleBreaks shows that rules can be broken.
func TestRuleBreaks(t *testing.T) {
	tests := map[string]struct {
		rule Rule
		want []string
	}{
		"directly":            {Rule{Why: "w", From: []string{"bareroot/a"}, Not: []string{"bareroot/b"}}, []string{"bareroot/a imports bareroot/b: w"}},
		"not seen if shallow": {Rule{Why: "w", From: []string{"bareroot/a"}, Not: []string{"x.org/c"}}, nil},
		"deep":                {Rule{Why: "w", From: []string{"bareroot/a"}, Not: []string{"x.org/c"}, Deep: true}, []string{"bareroot/a imports bareroot/b imports x.org/c/v2: w"}},
		"only std":            {Rule{Why: "w", From: []string{"bareroot/b"}, Not: []string{"*"}, But: []string{"std"}}, []string{"bareroot/b imports x.org/c/v2: w"}},
		"excepted":            {Rule{Why: "w", From: []string{"bareroot"}, Except: []string{"bareroot/a", "bareroot/b"}, Not: []string{"*"}}, nil},
		"a name is no prefix": {Rule{Why: "w", From: []string{"bareroot/a"}, Not: []string{"bareroot/"}}, nil},
	}
	g := Graph{"bareroot/a": {"bareroot/b", "net/http"}, "bareroot/b": {"x.org/c/v2", "fmt"}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, tt.rule.Broken(g)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestSize holds the programs of the ramdisk to their ceilings.
func TestSize(t *testing.T) {
	const mib = 1 << 20
	ceilings := map[string]int64{"bareroot-init": 5 * mib, "bareroot-agent": 14 * mib}
	for _, arch := range []string{"amd64", "arm64"} {
		dir := t.TempDir()
		_, err := hosttool.Run(t.Context(), "make", "-s", "-C", "../..", "build", "ARCH="+arch, "BIN="+dir)
		if err != nil {
			t.Fatal(err)
		}
		for program, ceiling := range ceilings {
			t.Run(arch+"/"+program, func(t *testing.T) {
				file := filepath.Join(dir, program)
				st, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s for %s: %.2f MiB", program, arch, float64(st.Size())/mib)
				if st.Size() > ceiling {
					t.Errorf("%s for %s is %d bytes, at most %d are allowed", program, arch, st.Size(), ceiling)
				}
			})
		}
	}
}

// TestDependenciesAreExplained holds docs/architecture.md to go.mod: each
// direct dependency has a line that says what it is for, and no other has.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var required, explained []string
	for line := range strings.Lines(string(mod)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "\t") && len(f) == 2 { // an indirect one has a comment
			required = append(required, f[0])
		}
	}
	for line := range strings.Lines(string(doc)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "|" && strings.Contains(f[1], "/") && strings.Contains(f[1], ".") && !strings.HasPrefix(f[1], "`") {
			explained = append(explained, f[1])
		}
	}
	slices.Sort(required)
	slices.Sort(explained)
	if d := cmp.Diff(required, explained); d != "" || len(required) == 0 {
		t.Errorf("go.mod's direct dependencies (-) and the table in docs/architecture.md (+) differ:\n%s", d)
	}
}

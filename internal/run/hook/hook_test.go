package hook

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/run/console"
)

// reaper waits for all children of this process, so there is one.
var reaper = console.NewReaper()

// hooks makes hooks of files (STAGE.d/NAME, a "*" before the name: executable).
func hooks(t *testing.T, screen *bytes.Buffer, files map[string]string) *Hooks {
	t.Helper()
	dirs := []string{filepath.Join(t.TempDir(), "usr"), filepath.Join(t.TempDir(), "etc")}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if n, ok := strings.CutPrefix(name, "*"); ok {
			name, mode = n, 0o755
		}
		dir := dirs[0]
		if n, ok := strings.CutPrefix(name, "etc:"); ok {
			name, dir = n, dirs[1]
		}
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	return &Hooks{Dirs: dirs, State: filepath.Join(t.TempDir(), "state"), Limit: func() time.Duration { return time.Minute },
		Log: console.NewLog(screen), Run: reaper}
}

// said is what hooks wrote on the console, without times.
func output(screen *bytes.Buffer) string {
	var out []string
	for _, l := range strings.Split(strings.TrimSpace(screen.String()), "\n") {
		_, l, _ = strings.Cut(l, "bareroot: ")
		out = append(out, l)
	}
	return strings.Join(out, "|")
}

func TestOrderAndVariables(t *testing.T) {
	var screen bytes.Buffer
	h := hooks(t, &screen, map[string]string{
		"pre-mount.d/20-b.sh":     "echo b $root $FROM_A $local_a; exit 0; echo never",
		"pre-mount.d/10-a.sh":     "echo a $root $BAREROOT_STAGE; local_a=x; export FROM_A='it'\\''s\n two' root=changed",
		"*pre-mount.d/15-prog":    "#!/bin/sh\necho prog \"$1\" $FROM_A $(basename $0)\nexport FROM_A=lost\n",
		"pre-mount.d/.hidden":     "echo hidden",
		"mount.d/x.sh":            "echo other stage",
		"pre-mount.d/30-c.sh":     "echo weaker",
		"etc:pre-mount.d/30-c.sh": "echo stronger",
	})
	if err := h.Do(t.Context(), Call{Stage: "pre-mount", Vars: map[string]string{"root": "LABEL=x"}, Args: []string{"one two"}}); err != nil {
		t.Fatal(err)
	}
	want := "10-a.sh: a LABEL=x pre-mount|15-prog: prog one two it's two 15-prog|20-b.sh: b changed it's two|30-c.sh: stronger"
	if d := cmp.Diff(want, output(&screen)); d != "" {
		t.Error(d)
	}
	if v, _ := h.Get("root"); v != "changed" {
		t.Errorf("root is %q", v)
	}
	b, err := os.ReadFile(h.State)
	if d := cmp.Diff("export FROM_A='it'\\''s\n two'\nexport root='changed'\n", string(b)); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"exit code":      {"s.d/10-x.sh", "echo first; echo why >&2; exit 3", "hook 10-x.sh of stage s: exit code 3; it said: first / why"},
		"last command":   {"s.d/x.sh", "false", "hook x.sh of stage s: exit code 1"},
		"syntax":         {"s.d/x.sh", "if", "exit code 2"},
		"signal":         {"s.d/x.sh", "kill -9 $$", "killed by signal killed"},
		"not executable": {"s.d/x", "#!/bin/sh\n", "neither executable nor named *.sh"},
		"no interpreter": {"*s.d/x", "#!/no/such\n", "no such file"},
		"hangs":          {"s.d/x.sh", "sleep 60", "did not end within 300ms (rd.retry)"},
	} {
		h := hooks(t, &bytes.Buffer{}, map[string]string{c.file: c.text})
		if name == "hangs" {
			h.Limit = func() time.Duration { return 300 * time.Millisecond }
		}
		err := h.Do(t.Context(), Call{Stage: "s"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A stage that is tried again does not repeat what succeeded.
func TestOnce(t *testing.T) {
	var screen bytes.Buffer
	mark := filepath.Join(t.TempDir(), "mark")
	h := hooks(t, &screen, map[string]string{"s.d/1.sh": "echo one", "s.d/2.sh": "echo two; [ -e " + mark + " ]", "s.d/3.sh": "echo three"})
	if err := h.Do(t.Context(), Call{Stage: "s", Once: true}); err == nil {
		t.Fatal("no failure")
	}
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := h.Do(t.Context(), Call{Stage: "s", Once: true}); err != nil {
		t.Fatal(err)
	}
	if got := output(&screen); got != "1.sh: one|2.sh: two|2.sh: two|3.sh: three" {
		t.Error(got)
	}
	if got := h.Each(t.Context(), Call{Stage: "none"}); got != nil {
		t.Error(got)
	}
}

func TestTrace(t *testing.T) {
	var screen bytes.Buffer
	h := hooks(t, &screen, map[string]string{"s.d/1.sh": "export A=1\nexit 4"})
	h.Trace = func() bool { return true }
	if err := h.Do(t.Context(), Call{Stage: "s"}); err == nil || !strings.Contains(err.Error(), "exit code 4") {
		t.Error(err)
	}
	if v, _ := h.Get("A"); v != "1" || !strings.Contains(screen.String(), "export A=1") {
		t.Errorf("A is %q; %s", v, &screen)
	}
}

func TestParseExports(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want map[string]string
		err  bool
	}{
		"busybox":        {"export A='x y'\nexport B='it'\"'\"'s'\nexport C\nexport D=''\n", map[string]string{"A": "x y", "B": "it's", "D": ""}, false},
		"bash":           {"declare -x A=\"a\\\"b\\$c\\\\\"\ndeclare -rx B=\"1\"\ndeclare -x C\ndeclare -x D=$'n\\nl\\001'\n", map[string]string{"A": `a"b$c\`, "B": "1", "D": "n\nl\x01"}, false},
		"several lines":  {"export A='1\nexport B=2\n'\nexport C='3'", map[string]string{"A": "1\nexport B=2\n", "C": "3"}, false},
		"open quote":     {"export A='1'\nexport B='2", map[string]string{"A": "1"}, true},
		"something else": {"hello\nexport 1A=2\nexport\n", map[string]string{}, false},
	} {
		got, err := ParseExports(c.in)
		if d := cmp.Diff(c.want, got); d != "" || (err != nil) != c.err {
			t.Errorf("%s: %v, %s", name, err, d)
		}
	}
}

// What the shells of this machine write for odd values is read back.
func TestParseExportsOfShells(t *testing.T) {
	value := "a'b\"c $d `e` \\f\n\tg;h\\n=é"
	for _, sh := range [][]string{{"/bin/dash", "-c"}, {"/bin/bash", "-c"}, {"/bin/bash", "--posix", "-c"}, {"/bin/busybox", "sh", "-c"}} {
		var out strings.Builder
		ws, err := reaper.Run(t.Context(), console.Command{Argv: append(sh, "export -p"), Env: []string{"V=" + value, "W=after"},
			Line: func(s string) { out.WriteString(s + "\n") }})
		if err != nil || ws != 0 {
			t.Fatalf("%s: %v %v", sh, ws, err)
		}
		got, err := ParseExports(out.String())
		if err != nil || got["V"] != value || got["W"] != "after" {
			t.Errorf("%s: %q, %v of %s", sh, got["V"], err, &out)
		}
	}
}

func FuzzParseExports(f *testing.F) {
	f.Add("export A='x'\n")
	f.Add("declare -x A=\"a\\\"b\"\ndeclare -x D=$'\\n\\777'\n")
	f.Fuzz(func(t *testing.T, s string) {
		m, _ := ParseExports(s)
		for k, v := range m {
			got, err := ParseExports("export " + k + "=" + Quote(v) + "\n")
			if err != nil || got[k] != v {
				t.Errorf("%q=%q is read as %q, %v", k, v, got[k], err)
			}
		}
	})
}

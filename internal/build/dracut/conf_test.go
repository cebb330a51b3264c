package dracut

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAssign(t *testing.T) {
	text := func(s string) Value { return Value{Items: []string{s}} }
	for name, tc := range map[string]struct {
		in   string
		want Vars // nil: not plain
	}{
		"empty":             {"# nothing\n\n", Vars{}},
		"quotes":            {`a="x y"` + "\nb='$z'\nc=plain\nd=", Vars{"a": text("x y"), "b": text("$z"), "c": text("plain"), "d": text("")}},
		"addition":          {`m+=" a "` + "\n" + `m+=" b "`, Vars{"m": text(" a  b ")}},
		"comment after":     {`a="x" # why` + "\nb=1#2", Vars{"a": text("x"), "b": text("1#2")}},
		"joined":            {"a=x\\\ny\nb=\"p\\\nq\"", Vars{"a": text("xy"), "b": text("pq")}},
		"escapes":           {`a="\$\"\\\x" b`, nil},
		"escaped":           {`a="\$\"\\\x"` + "\n" + `b=x\ y`, Vars{"a": text(`$"\\x`), "b": text("x y")}},
		"two on a line":     {"a=1; b=2;", Vars{"a": text("1"), "b": text("2")}},
		"array":             {"a=(x 'y z' # c\n \"w\")\na+=(v)", Vars{"a": {Array: true, Items: []string{"x", "y z", "w", "v"}}}},
		"text to an array":  {"a=(x y)\na+=z", Vars{"a": {Array: true, Items: []string{"xz", "y"}}}},
		"star in text":      {"a=/lib/*.so", Vars{"a": text("/lib/*.so")}},
		"concatenated":      {`a=x"y"'z'`, Vars{"a": text("xyz")}},
		"several lines":     {"a=\"x\n y\"\n", Vars{"a": text("x\n y")}},
		"star in an array":  {"a=(/lib/*.so)", nil},
		"variable":          {`a="$b"`, nil},
		"command":           {"a=`id`", nil},
		"substitution":      {"a=$(id)", nil},
		"if":                {"if true; then a=1; fi", nil},
		"source":            {". /etc/other", nil},
		"assignment prefix": {"a=1 id", nil},
		"export":            {"export a=1", nil},
		"open quote":        {`a="x`, nil},
		"tilde":             {"a=~/x", nil},
		"two semicolons":    {"a=1;;", nil},
		"background":        {"a=1 &", nil},
		"carriage return":   {"a=1\r\n", Vars{"a": text("1\r")}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Vars{}
			err := assign(got, tc.in)
			if tc.want == nil {
				if !errors.Is(err, errNotPlain) {
					t.Fatalf("got %v, error %v: this needs a shell", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// bashReads lets bash say what the text assigns to a, b and m.
func bashReads(t testing.TB, text string) (Vars, error) {
	t.Helper()
	f := filepath.Join(t.TempDir(), "x.conf")
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return source(context.Background(), []string{f}, []string{"a", "b", "m"}, nil, errors.New("test"), io.Discard)
}

// TestAssignAsBash holds our reading to bash's.
func TestAssignAsBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Fatal("bash is needed for this test: ", err)
	}
	pieces := []string{"a", "b", "m", "=", "+=", `"`, `'`, " ", "\n", ";", "#", "\\", "(", ")", "x", "y z", "1", "-", "*", "\t"}
	r := rand.New(rand.NewPCG(1, 2))
	plain := 0
	for range 3000 {
		var b strings.Builder
		b.WriteString([]string{"a=", "b+=", "m=(", `a="`}[r.IntN(4)])
		for range r.IntN(9) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		got := Vars{}
		if assign(got, b.String()) != nil {
			continue
		}
		if plain++; plain > 150 {
			break
		}
		for n := range got {
			if n != "a" && n != "b" && n != "m" {
				delete(got, n)
			}
		}
		want, err := bashReads(t, b.String())
		if err != nil {
			t.Errorf("%q: we read %v, bash says %v", b.String(), got, err)
			continue
		}
		for n, v := range got { // bash does not tell an empty array from none
			if len(v.Items) == 0 {
				got[n] = Value{Array: true}
			}
		}
		for n, v := range want {
			if len(v.Items) == 0 {
				want[n] = Value{Array: true}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-bash +we)\n%s", b.String(), d)
		}
	}
	if plain < 100 {
		t.Errorf("only %d texts were plain", plain)
	}
}

func TestBash(t *testing.T) {
	var stderr bytes.Buffer
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one := write("one", "add_drivers=\" x \"\nfor i in 1 2; do add_drivers+=\" d$i \"; done\necho said\nfstab_lines=(\"a b\" $'c\\nd')\n")
	two := write("two", "[[ $kernel == 6.1 ]] && compress=xz\nhostonly=$add_drivers\nweird=$'\\e[1m\\x41\\101'\"'\\$\"\nexport exported=1\nset -- oops\n")
	got, err := source(t.Context(), []string{one, two}, []string{"add_drivers", "compress", "exported", "fstab_lines", "hostonly", "unset", "weird"}, map[string]string{"kernel": "6.1"}, nil, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	want := Vars{
		"add_drivers": {Items: []string{" x  d1  d2 "}}, "compress": {Items: []string{"xz"}}, "exported": {Items: []string{"1"}},
		"fstab_lines": {Array: true, Items: []string{"a b", "c\nd"}}, "hostonly": {Items: []string{" x  d1  d2 "}},
		"weird": {Items: []string{"\x1b[1mAA'$"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if stderr.String() != "said\n" {
		t.Errorf("standard error is %q", &stderr)
	}
	if _, err := source(t.Context(), []string{write("exit", "exit 3")}, []string{"a"}, nil, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("a file that exits: %v", err)
	}
	t.Setenv("PATH", dir)
	if _, err := source(t.Context(), []string{one}, []string{"a"}, nil, errors.New("read configuration one: line 2"), io.Discard); err == nil ||
		err.Error() != "read configuration one: line 2: bash is needed to read it and is not installed" {
		t.Errorf("no bash: %v", err)
	}
}

// TestUntrusted: a file that others may write is read and never run.
func TestUntrusted(t *testing.T) {
	for name, tc := range map[string]struct {
		mode os.FileMode
		uid  int
		want string
	}{
		"root's":         {0o644, 0, ""},
		"the group's":    {0o664, 0, ""},
		"world-writable": {0o666, 0, "which anyone may write"},
		"another user's": {0o644, 4242, "which belongs to user 4242 and not to root"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			f := put(t, root, "etc/dracut.conf", "hostonly=yes\n")
			ran := filepath.Join(root, "ran")
			put(t, root, "etc/dracut.conf.d/x.conf", "touch "+ran+"\n")
			if err := os.Chmod(f, tc.mode); err != nil {
				t.Fatal(err)
			}
			if tc.uid != 0 && os.Geteuid() != 0 {
				t.Skip("only root can give a file to another user")
			}
			if tc.uid != 0 {
				if err := os.Chown(f, tc.uid, -1); err != nil {
					t.Fatal(err)
				}
			}
			a, err := Parse([]string{"--sysroot", root}, noEnv)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ReadConf(t.Context(), a, io.Discard)
			_, statErr := os.Stat(ran)
			if tc.want == "" && (err != nil || statErr != nil) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || statErr == nil) {
				t.Errorf("%v, want %q; what it does: %v", err, tc.want, statErr)
			}
			// Plain ones are only read.
			put(t, root, "etc/dracut.conf.d/x.conf", "compress=xz\n")
			if c, err := ReadConf(t.Context(), a, io.Discard); err != nil || !c.Vars.yes("hostonly") || c.Vars.text("compress") != "xz" {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestConfFiles(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{
		"etc/dracut.conf", "etc/dracut.conf.d/10-b.conf", "etc/dracut.conf.d/9-a.conf", "etc/dracut.conf.d/note.txt", "etc/dracut.conf.d/.hidden.conf",
		"usr/lib/dracut/dracut.conf.d/10-b.conf", "usr/lib/dracut/dracut.conf.d/01-dist.conf", "usr/lib/dracut/dracut.conf.d/generic/02-g.conf",
		"run/initramfs/dracut.conf.d/50-run.conf", "other/5.conf",
	} {
		put(t, root, f, "")
	}
	for name, tc := range map[string]struct {
		args []string
		want []string
		err  string
	}{
		"059":         {nil, []string{"etc/dracut.conf", "usr/lib/dracut/dracut.conf.d/01-dist.conf", "etc/dracut.conf.d/9-a.conf", "etc/dracut.conf.d/10-b.conf"}, ""},
		"ng":          {[]string{"--compat", "ng"}, []string{"etc/dracut.conf", "usr/lib/dracut/dracut.conf.d/01-dist.conf", "etc/dracut.conf.d/9-a.conf", "etc/dracut.conf.d/10-b.conf", "run/initramfs/dracut.conf.d/50-run.conf"}, ""},
		"confdir":     {[]string{"--confdir", root + "/other"}, []string{"etc/dracut.conf", "usr/lib/dracut/dracut.conf.d/01-dist.conf", "other/5.conf", "usr/lib/dracut/dracut.conf.d/10-b.conf"}, ""},
		"add-confdir": {[]string{"--add-confdir", "generic"}, []string{"etc/dracut.conf", "usr/lib/dracut/dracut.conf.d/01-dist.conf", "usr/lib/dracut/dracut.conf.d/generic/02-g.conf", "etc/dracut.conf.d/9-a.conf", "etc/dracut.conf.d/10-b.conf"}, ""},
		"conf":        {[]string{"-c", root + "/other/5.conf", "--confdir", root + "/other"}, []string{"other/5.conf", "usr/lib/dracut/dracut.conf.d/01-dist.conf", "other/5.conf", "usr/lib/dracut/dracut.conf.d/10-b.conf"}, ""},
		"no conf":     {[]string{"-c", "/nonexistent"}, nil, "configuration file /nonexistent"},
		"no confdir":  {[]string{"--confdir", "/nonexistent"}, nil, "configuration folder /nonexistent"},
		"no add":      {[]string{"--add-confdir", "nope"}, nil, "--add-confdir nope: no such folder"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Parse(tc.args, noEnv)
			if err != nil {
				t.Fatal(err)
			}
			got, err := confFiles(a, root)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], root+"/")
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestCompareNames holds the order of files to "sort -V".
func TestCompareNames(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var names []string
	for range 300 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteByte("019abZ-_~+"[r.IntN(10)])
		}
		names = append(names, b.String()+".conf")
	}
	slices.Sort(names)
	names = slices.Compact(names)
	cmd := exec.Command("sort", "-V")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(names, compareNames)
	if d := cmp.Diff(strings.Fields(string(out)), names); d != "" {
		t.Errorf("(-sort -V, +we)\n%s", d)
	}
}

func TestReadConf(t *testing.T) {
	root := t.TempDir()
	put(t, root, "etc/dracut.conf", "add_drivers+=\"a\"\nunknown_to_dracut=1\n")
	put(t, root, "etc/sysconfig/mkinitrd", "# SUSE\nMODULES=\"e1000 pcnet32\"\n")
	a, err := Parse([]string{"--sysroot", root}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ReadConf(t.Context(), a, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Vars{"add_drivers": {Items: []string{"a e1000 pcnet32 "}}}, c.Vars); d != "" {
		t.Error(d)
	}
	want := []string{
		root + `/etc/dracut.conf: add_drivers+="a": a list that is added to needs blanks on both sides, or words grow together`,
		root + "/etc/sysconfig/mkinitrd: MODULES are added to add_drivers: e1000 pcnet32",
	}
	if d := cmp.Diff(want, c.Notices); d != "" {
		t.Error(d)
	}
	put(t, root, "etc/dracut.conf.d/x.conf", "if true; then hostonly=yes; fi\nMODULES=shadow\n")
	if c, err = ReadConf(t.Context(), a, io.Discard); err != nil {
		t.Fatal(err)
	}
	if c.Vars.text("hostonly") != "yes" || c.Vars.text("add_drivers") != "a e1000 pcnet32 " {
		t.Errorf("by bash: %v", c.Vars)
	}
}

func put(t testing.TB, root, name, text string) string {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func FuzzAssign(f *testing.F) {
	f.Add("a=\"x y\" # c\nb+=(1 '2')\n")
	f.Add("a=\\\n;b")
	f.Fuzz(func(t *testing.T, text string) {
		vars := Vars{}
		if err := assign(vars, text); err != nil && !errors.Is(err, errNotPlain) {
			t.Error(err)
		}
	})
}

func FuzzDeclare(f *testing.F) {
	f.Add("declare -- a=\"x\\$y\"\ndeclare -a b=([0]=\"1\" [1]=$'\\n')\n")
	f.Add("declare -x a")
	f.Fuzz(func(t *testing.T, text string) {
		if vars, err := parseDeclare(text, map[string]bool{"a": true, "b": true}); err == nil {
			for n := range vars {
				if n != "a" && n != "b" {
					t.Errorf("variable %q was not asked for", n)
				}
			}
		}
	})
}

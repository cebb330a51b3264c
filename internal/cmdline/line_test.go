package cmdline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][]string{
		"":                         nil,
		"  a  b\tc\n":              {"a", "b", "c"},
		`a="x y" b`:                {"a=x y", "b"},
		`"a=x y" b`:                {"a=x y", "b"},
		`a="x`:                     {"a=x"},
		`root="LABEL=my root" rw`:  {"root=LABEL=my root", "rw"},
		`a=b"c d"e`:                {`a=b"c d"e`}, // within a value they stay, as in the kernel
		`a="b"c d`:                 {`a=b"c`, "d"},
		`"quiet"`:                  {"quiet"},
		"a=\v\fb":                  {"a=", "b"},
		`""`:                       nil,
		`module.p="1,2" -- single`: {"module.p=1,2", "--", "single"},
	} {
		if d := cmp.Diff(want, Split(in)); d != "" {
			t.Errorf("Split(%q): %s", in, d)
		}
	}
}

// The table of dracut's getargbool, each row with default 0 and default 1.
func TestBool(t *testing.T) {
	for in, want := range map[string][2]bool{
		"": {false, true}, "x": {true, true}, "x=": {true, true}, "x=0": {false, false}, "x=no": {false, false},
		"x=off": {false, false}, "x=foo": {true, true}, "x=ON": {true, true}, "x=1 x=0": {false, false}, "x=0 x": {true, true},
		"y=0": {false, true}, "x-y=0": {false, true},
	} {
		l := Parse(in, "test")
		if got := [2]bool{l.Bool(false, "x"), l.Bool(true, "x")}; got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

// The other rows of section 5: getarg K, getarg K=V, getargs, and the
// alternatives -d -n and -d -y of getargbool, which Canonical takes care of.
func TestGetargRows(t *testing.T) {
	for _, row := range []struct {
		line, value string
		present     bool
	}{
		{"k=1 k=2", "2", true}, {"k=1 k", "", true}, {"k=", "", true}, {"", "", false}, {"K=1", "", false}, {"k-a=1", "", false}, {`k="a b"`, "a b", true}, {`"k=a b"`, "a b", true},
	} {
		l := Parse(row.line, "t")
		if v, ok := l.Get("k"); v != row.value || ok != row.present {
			t.Errorf("getarg k of %q: %q, %v", row.line, v, ok)
		}
		if l.Is("k", row.value) != row.present {
			t.Errorf("getarg k=%s of %q", row.value, row.line)
		}
	}
	if l := Parse("k=1 k=2", "t"); l.Is("k", "1") || len(l.All("k")) != 2 {
		t.Error("the last value counts for getarg k=V, and getargs gives every one")
	}
	for in, want := range map[string]string{"rd_NO_MD": "rd.md=0", "rd_NO_MD=5": "rd.md=0", "rdinitdebug=5": "rd.debug=1", "live_ram=0": "rd.live.ram=1"} {
		if got := Parse(in, "t").Canonical().String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestGetAndInt(t *testing.T) {
	l := Parse("a=1 a=2 b b= n=08 m=x o=-1 p=+3 q=500", "test")
	if v, ok := l.Get("a"); v != "2" || !ok {
		t.Errorf("a: %q %v", v, ok)
	}
	if v, ok := l.Get("b"); v != "" || !ok {
		t.Errorf("b: %q %v", v, ok)
	}
	if _, ok := l.Get("c"); ok {
		t.Error("c is present")
	}
	for k, want := range map[string]int{"n": 8, "m": 7, "o": 7, "p": 7, "q": 7, "r": 7} {
		if got := l.Int(7, 0, 100, k); got != want {
			t.Errorf("%s: %d, want %d", k, got, want)
		}
	}
}

func TestMergePrecedenceAndLocks(t *testing.T) {
	l, notices := Merge([]string{"root", "never"},
		Source{"configuration", "root=LABEL=a x=1"},
		Source{"/etc/cmdline.d/a.conf", "x=2 y=1"},
		Source{"/proc/cmdline", "root=LABEL=b y=2 never"})
	for k, want := range map[string]string{"root": "LABEL=a", "x": "2", "y": "2"} {
		if v, _ := l.Get(k); v != want {
			t.Errorf("%s is %q, want %q", k, v, want)
		}
	}
	if l.Has("never") {
		t.Error("a locked key that the configuration does not set was taken from /proc/cmdline")
	}
	for _, lock := range []string{"rd.shell", "rdshell"} {
		l, _ := Merge([]string{lock}, Source{Text: "rd.shell=0"}, Source{Text: "rdshell rd.shell=1"})
		if l.String() != "rd.shell=0" {
			t.Errorf("locked %s: %s", lock, l)
		}
	}
	if len(notices) != 2 || !strings.Contains(notices[0], "root=LABEL=b") {
		t.Errorf("notices: %q", notices)
	}
}

func TestStringParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.StringMatching(`[a-z.]{1,6}(=[a-z0-9 :,=]{0,8})?`)).Draw(t, "words")
		var l Line
		for _, w := range in {
			w = strings.ReplaceAll(w, " =", "=")
			l = append(l, parseWord(w, "s"))
		}
		if d := cmp.Diff(l, Parse(l.String(), "s")); d != "" {
			t.Fatalf("%q: %s", l.String(), d)
		}
	})
}

func TestCheck(t *testing.T) {
	for in, want := range map[string]string{
		"rd.retry=10 rd.shell=0 quiet rd.break rd.break=mount": "",
		"rd.retry=ten":              "rd.retry takes a number",
		"rd.retry":                  "rd.retry takes a number",
		"rd.shell=maybe":            "rd.shell takes 0, 1",
		"rd.break=nowhere":          "rd.break takes one of cmdline, pre-udev",
		"rd.emergency=panic":        "rd.emergency takes one of reboot",
		"bareroot.live.sha256=1234": "64 hexadecimal digits",
		"unknown=word other":        "",
	} {
		got := strings.Join(Check(Parse(in, "/proc/cmdline")), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestParseRoot(t *testing.T) {
	h := "http://10.0.0.1:8080/images/x"
	for in, want := range map[string]Root{
		"/dev/vda1": {Kind: "block", Device: "/dev/vda1"}, "LABEL=my root": {Kind: "block", Device: "LABEL=my root"},
		"UUID=1-2": {Kind: "block", Device: "UUID=1-2"}, "block:/dev/sda": {Kind: "block", Device: "/dev/sda"},
		"live:" + h: {Kind: "live", URL: h}, h: {Kind: "live", URL: h},
		"live:CDLABEL=X": {Kind: "live-block", Device: "LABEL=X"}, "live:/dev/sr0": {Kind: "live-block", Device: "/dev/sr0"},
		"": {}, "live:foo": {}, "LABEL=": {}, "/dev/": {}, "http://": {}, "live:http://": {}, "zfs:tank/root": {}, "virtiofs:": {}, "foo": {},
	} {
		got, err := ParseRoot(in)
		if (err == nil) != (want != Root{}) || got != want {
			t.Errorf("root=%s: got %+v, %v", in, got, err)
		}
	}
}

func TestBreakAndInitArgs(t *testing.T) {
	l := Parse("rd.break=mount rd.break single x=1 -- --log a=b", "test")
	for s, want := range map[string]bool{"mount": true, SwitchRoot: true, "cleanup": false} {
		if _, got := l.Break(s); got != want {
			t.Errorf("break before %s: %v", s, !want)
		}
	}
	if d := cmp.Diff([]string{"single", "--log", "a=b"}, l.InitArgs()); d != "" {
		t.Error(d)
	}
	// What stands after "--" is for the root's init only, wherever it comes from.
	l, _ = Merge(nil, Source{Name: "c", Text: "root=a -- conf"}, Source{Name: "p", Text: "root=b 3 -- rdinitdebug root=c"})
	l = append(l, FromWords([]string{"root=d"}, "order")...)
	if d := cmp.Diff([]string{"3", "rdinitdebug", "root=c"}, l.InitArgs()); d != "" || l.String() != "root=a root=b 3 root=d -- rdinitdebug root=c" || !l.Is("root", "d") || l.Has("rd.debug") {
		t.Errorf("%s: %s", l, d)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", `a="b c" d`, `a=b"c d"e`, `"a=b c" "x`, `"`, "ip=[::1]:x root=", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := Parse(s, "fuzz")
		for _, w := range l {
			if w.String() == "" {
				t.Fatalf("%q gives an empty word", s)
			}
		}
		if d := cmp.Diff(l, Parse(l.String(), "fuzz")); d != "" && strings.Count(s, `"`)%2 == 0 {
			t.Fatalf("%q is printed as %q: %s", s, l, d)
		}
		_, _ = l.Masked(), l.Canonical()
		Check(l)
		if v, ok := l.Get("root"); ok {
			_, _ = ParseRoot(v)
		}
	})
}

package dracut

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func noEnv(string) string { return "" }

// TestEveryOption holds each row of the table to its standing: what it is
// mapped to, one notice, or a refusal.
func TestEveryOption(t *testing.T) {
	for _, o := range options() {
		forms := [][]string{}
		for _, l := range o.Long {
			switch {
			case l == "include":
				forms = append(forms, []string{"--include", "a", "b"}, []string{"-i", "a", "b"})
			case o.Arg == "":
				forms = append(forms, []string{"--" + l})
			default:
				forms = append(forms, []string{"--" + l + "=059"}, []string{"--" + l, "059"})
			}
		}
		switch {
		case o.Short == 0 || o.Short == 'i':
		case o.Arg == "":
			forms = append(forms, []string{"-" + string(o.Short)})
		default:
			forms = append(forms, []string{"-" + string(o.Short), "059"}, []string{"-" + string(o.Short) + "059"})
		}
		for _, args := range forms {
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				a, err := Parse(args, noEnv)
				if o.Standing == refused {
					if err == nil || !strings.Contains(err.Error(), o.name()+": ") {
						t.Fatalf("error %v, want a refusal that names the option", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				notices := 0
				if o.Standing == noted {
					notices = 1
				}
				if len(a.Notices) != notices {
					t.Errorf("notices %q, want %d", a.Notices, notices)
				}
				if o.Long[0] == "include" {
					if d := cmp.Diff([][2]string{{"a", "b"}}, a.Include); d != "" {
						t.Error(d)
					}
					return
				}
				want := o.Value
				if o.Arg != "" {
					want = "059"
				}
				if got := a.value(o.Var); got != want {
					t.Errorf("%s is %q, want %q", o.Var, got, want)
				}
				// Twice is once where it only tells, and never an error.
				again, err := Parse(append(args, args...), noEnv)
				if err != nil || len(again.Notices) != notices {
					t.Errorf("given twice: notices %q, error %v", again.Notices, err)
				}
			})
		}
	}
}

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range options() {
		for _, n := range append([]string{string(o.Short)}, o.Long...) {
			if n != "\x00" && seen[n] {
				t.Errorf("%q is there twice", n)
			}
			seen[n] = true
		}
		if o.Here == "" || strings.HasSuffix(o.Here, ".") || strings.Contains(o.Here, "|") {
			t.Errorf("%s: %q is no phrase for a table", o.name(), o.Here)
		}
	}
	if len(options()) < 95 {
		t.Errorf("%d options: some of dracut's are missing", len(options()))
	}
}

func TestParse(t *testing.T) {
	type want struct {
		Output, Kver string
		Include      [][2]string
		Stored       string
		Error        string
	}
	for name, tc := range map[string]struct {
		args []string
		want want
	}{
		"nothing":              {nil, want{}},
		"operands":             {[]string{"out.img", "6.1"}, want{Output: "out.img", Kver: "6.1"}},
		"options after":        {[]string{"out.img", "-f", "6.1", "-N"}, want{Output: "out.img", Kver: "6.1", Stored: "-f -N"}},
		"dash is an operand":   {[]string{"-", "-f"}, want{Output: "-", Stored: "-f"}},
		"two dashes":           {[]string{"-f", "--", "-H"}, want{Output: "-H", Stored: "-f"}},
		"include":              {[]string{"-f", "--include", "src", "dst", "out.img"}, want{Output: "out.img", Include: [][2]string{{"src", "dst"}}, Stored: "-f --include 'src' 'dst'"}},
		"include, mixed":       {[]string{"out", "-i", "a", "/", "6.1", "--include", "b", "/b"}, want{Output: "out", Kver: "6.1", Include: [][2]string{{"a", "/"}, {"b", "/b"}}, Stored: "--include 'a' '/' --include 'b' '/b'"}},
		"include with =":       {[]string{"--include=a", "b"}, want{Error: "two words"}},
		"include, one word":    {[]string{"--include", "a"}, want{Error: "two words"}},
		"include, short joint": {[]string{"-fi", "a", "b"}, want{Error: "unknown option -i"}},
		"cluster":              {[]string{"-fHv", "-oa b"}, want{Stored: "-f -H -v -o 'a b'"}},
		"cluster, word after":  {[]string{"-fo", "a"}, want{Stored: "-f -o 'a'"}},
		"abbreviation":         {[]string{"--kernel-c", "x", "--forc"}, want{Error: "ambiguous: it may be --force or --force-add or --force-drivers"}},
		"abbreviated":          {[]string{"--kernel-c", "x", "--no-h"}, want{Error: "ambiguous"}},
		"abbreviated, one":     {[]string{"--kernel-c=x y", "--regen"}, want{Stored: "--kernel-cmdline 'x y' --regenerate-all"}},
		"059's abbreviation":   {[]string{"--comp", "xz"}, want{Stored: "--compress 'xz'"}},
		"ng's abbreviation":    {[]string{"--compat", "ng", "--comp", "xz"}, want{Error: "ambiguous: it may be --compress or --compress-level"}},
		"ng's own, in 059":     {[]string{"--sba", "x"}, want{Error: "--sbat: UEFI"}},
		"exact beats prefix":   {[]string{"--hostonly", "--install", "a"}, want{Stored: "--hostonly --install 'a'"}},
		"unknown":              {[]string{"--nope"}, want{Error: "unknown option --nope"}},
		"unknown short":        {[]string{"-z"}, want{Error: "unknown option -z"}},
		"no argument":          {[]string{"--add"}, want{Error: "option --add needs an argument: LIST"}},
		"no argument, short":   {[]string{"-fo"}, want{Error: "option -o needs an argument"}},
		"too much":             {[]string{"--force=1"}, want{Error: "takes no argument"}},
		"third operand":        {[]string{"a", "b", "c"}, want{Error: `"c" is one operand too many`}},
		"lost quotes":          {[]string{"--add", "anaconda", "pollcdrom", "qemu", "-f", "boot/x.img", "6.1"}, want{Error: `a list is one word in quotes: --add "anaconda pollcdrom qemu"`}},
		"empty word":           {[]string{"-m", "", "out"}, want{Output: "out", Stored: "-m ''"}},
		"quote in a word":      {[]string{"--kernel-cmdline", "a='b'"}, want{Stored: `--kernel-cmdline 'a='\''b'\'''`}},
		"not stored":           {[]string{"--compat=059", "-f"}, want{Stored: "-f"}},
		"compat":               {[]string{"--compat", "058"}, want{Error: "there are 059 and ng"}},
		"uefi":                 {[]string{"--uefi"}, want{Error: "--uefi: UEFI executables are not made yet"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Parse(tc.args, noEnv)
			if tc.want.Error != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want.Error) {
					t.Fatalf("error %v, want %q", err, tc.want.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := want{Output: a.Output, Kver: a.Kver, Include: a.Include, Stored: strings.Join(a.Stored, " ")}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestExtraArgs(t *testing.T) {
	env := func(name string) string { return map[string]string{"DRACUT_EXTRA_ARGS": "-f --add nfs"}[name] }
	a, err := Parse([]string{"--compat", "ng", "-N"}, env)
	if err != nil || strings.Join(a.Stored, " ") != "-f --add 'nfs' -N" {
		t.Errorf("ng: %q, %v", a.Stored, err)
	}
	a, err = Parse([]string{"-N"}, env)
	if err != nil || strings.Join(a.Stored, " ") != "-N" {
		t.Errorf("059 has no such variable: %q, %v", a.Stored, err)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"--nope"}, {"a", "b", "c"}, {"--add"}} {
		if _, err := Parse(args, noEnv); !errors.As(err, new(UsageError)) {
			t.Errorf("%q: %v is no usage error", args, err)
		}
	}
	if _, err := Parse([]string{"--uefi"}, noEnv); err == nil || errors.As(err, new(UsageError)) {
		t.Errorf("--uefi: %v: what is refused is no error of usage", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-N --install\x00tail head\x00--include\x00a\x00/b\x00out")
	f.Add("-fHv\x00--regen\x00--\x00-i")
	f.Add("--=\x00--add=\x00-\x00-o")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		a, err := Parse(args, noEnv)
		if err != nil {
			return
		}
		// What is stored says the same when it is read back.
		words, err := Split(strings.Join(a.Stored, " "))
		if err != nil {
			t.Fatalf("%q: %v", a.Stored, err)
		}
		b, err := Parse(words, noEnv)
		if err != nil {
			// A word that was an operand's or an argument's may be an option in
			// front of an include; dracut has that, too.
			for _, inc := range a.Include {
				if strings.HasPrefix(inc[0], "-") || strings.HasPrefix(inc[1], "-") || inc[0] == includeMark || inc[1] == includeMark {
					return
				}
			}
			for _, g := range a.given {
				if strings.HasPrefix(g.Arg, "-") || g.Opt.Ours {
					return
				}
			}
			t.Fatalf("%q stored as %q: %v", args, a.Stored, err)
		}
		if d := cmp.Diff(a.Stored, b.Stored); d != "" && a.Compat == b.Compat {
			for _, inc := range a.Include {
				if strings.HasPrefix(inc[0], "-") || strings.HasPrefix(inc[1], "-") {
					return
				}
			}
			for _, g := range a.given {
				if g.Arg == "-i" || g.Arg == "--include" {
					return
				}
			}
			t.Errorf("%q\n%s", args, d)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add(` -N --kernel-cmdline 'a='\''b' "x\"y" \z`)
	f.Fuzz(func(t *testing.T, text string) {
		words, err := Split(text)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, quote(w))
		}
		again, err := Split(strings.Join(quoted, " "))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(words, again); d != "" {
			t.Error(d)
		}
	})
}

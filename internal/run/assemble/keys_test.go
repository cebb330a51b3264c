package assemble

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKeyScript: a key script is asked again while it gives another key; then
// a person is, if there may be one.
func TestKeyScript(t *testing.T) {
	script := filepath.Join(t.TempDir(), "give")
	if err := os.WriteFile(script, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keys  []string // by number of tries
		right string
		asked bool
		want  string // part of an error
		ran   int    // how often the script ran
	}{
		"right at once":       {keys: []string{"a\n\x00"}, right: "a\n\x00", ran: 1},
		"right at the third":  {keys: []string{"a", "b", "c"}, right: "c", ran: 3},
		"the same again":      {keys: []string{"a", "a", "b"}, right: "b", want: "nobody to ask", ran: 2},
		"nothing":             {keys: []string{""}, right: "x", want: "nobody to ask", ran: 1},
		"always another":      {keys: []string{"a", "b", "c", "d"}, right: "d", want: "nobody to ask", ran: 4},
		"no end":              {keys: []string{strings.Repeat("a", maxKey+1)}, right: strings.Repeat("a", maxKey), want: "nobody to ask", ran: 1},
		"as much as can be":   {keys: []string{strings.Repeat("a", maxKey)}, right: strings.Repeat("a", maxKey), ran: 1},
		"a person after that": {keys: []string{"a", "a"}, right: "typed", asked: true, ran: 2},
	} {
		b := &bench{answers: []string{"typed"}}
		ran := 0
		b.give = func(env []string) string {
			ran++
			i := slices.IndexFunc(env, func(s string) bool { return strings.HasPrefix(s, "CRYPTTAB_TRIED=") })
			return c.keys[env[i][len("CRYPTTAB_TRIED="):][0]-'0']
		}
		b.run = func(argv []string, input string) int {
			if argv[0] == script || input == c.right {
				return 0
			}
			return wrongKey
		}
		e, _ := b.engine(t, "")
		err := e.open(t.Context(), &Unlock{Device: "/dev/vda", Name: "x", Script: script, Tries: 3, NoAsk: !c.asked})
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !errors.Is(err, errNoKey) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		case ran != c.ran || len(b.asked) != map[bool]int{true: 1}[c.asked]:
			t.Errorf("%s: the script ran %d times, asked %q", name, ran, b.asked)
		}
	}
}

// TestHeaderElsewhere: a header that is not named, or not there.
func TestHeaderElsewhere(t *testing.T) {
	b := &bench{run: func([]string, string) int { return 0 }}
	e, _ := b.engine(t, "")
	for want, u := range map[string]Unlock{
		"does not say where":                          {Device: "/dev/vda", NoHeader: true},
		"its header /no/such: read it: stat /no/such": {Device: "/dev/vda", Header: KeyFile{Path: "/no/such"}},
	} {
		if err := e.open(t.Context(), &u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if len(b.ran) != 0 {
		t.Errorf("ran %q", b.ran)
	}
	header := filepath.Join(t.TempDir(), "h")
	if err := os.WriteFile(header, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	b.run = func(argv []string, _ string) int { got = argv[1:]; return 0 }
	if err := e.open(t.Context(), &Unlock{Device: "/dev/vda", Name: "x", Empty: true, Header: KeyFile{Path: header}}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"open", "--type", "luks", "--header", header, "--tries", "1", "--key-file", "-", "/dev/vda", "x"}, got); d != "" {
		t.Error(d)
	}
}

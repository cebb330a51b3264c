package cmdline

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// readers turn the words of a row into its result.
var readers = map[string]func(words string) (string, error){
	"net": func(s string) (string, error) {
		n, err := ParseNetwork(Parse(s, "row"))
		return show(n), err
	},
	"classic": func(s string) (string, error) {
		n, err := ParseNetwork(Parse(s, "row"))
		return show(n), err
	},
	"word": func(s string) (string, error) {
		n, err := ParseNetwork(Parse(s, "row"))
		return showWords(n), err
	},
	"root": func(s string) (string, error) {
		r, err := ParseRoots(Parse(s, "row"))
		return showRoots(r), err
	},
	"boot": func(s string) (string, error) {
		l := Parse(s, "row")
		n, err := ParseNetwork(l)
		if err != nil {
			return "", err
		}
		r, err := ParseRoots(l)
		if err != nil {
			return "", err
		}
		return "ok", n.CheckRoot(r.NeedDHCP, r.DHCPOrServer)
	},
	"bootif": func(s string) (string, error) { return FixBootIF(s), nil },
	"fcoe": func(s string) (string, error) {
		_, err := ParseFCoE(s)
		return "ok", err
	},
	"iscsi": func(s string) (string, error) {
		i, err := ParseISCSI(s)
		if i.Firmware {
			return "firmware", err
		}
		login := func(user, password string) string { return strings.TrimSuffix(user+":"+password, ":") }
		f := []string{login(i.User, i.Password), login(i.InUser, i.InPassword), i.Server, i.Proto, i.Port, i.Iface, i.NetDev, i.LUN, i.Target}
		return strings.Join(strings.Fields(strings.Join(f, " | ")), " "), err
	},
	"bool": func(s string) (string, error) {
		l, status := Parse(s, "row"), map[bool]string{true: "0", false: "1"}
		return status[l.Bool(false, "x")] + "/" + status[l.Bool(true, "x")], nil
	},
}

// TestRows reads what dracut's own parsers, the kernel's and klibc's make of
// words, from testdata/rows.txt, which says how. No row of the tables that it
// was taken from is missing.
func TestRows(t *testing.T) {
	text, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := append(strings.Split(strings.TrimSuffix(line, "\n"), "\t"), "")
		reader := readers[f[0]]
		if len(f) < 5 || reader == nil {
			t.Errorf("not a row: %q", line)
			continue
		}
		number, words, want := f[1], f[2], f[3]
		seen[number] = true
		got, err := reader(words)
		if err != nil {
			got = "die"
			if key, _, _ := strings.Cut(words, "="); len(strings.Fields(words)) == 1 && slices.Contains([]string{"net", "word", "root"}, f[0]) && !strings.Contains(err.Error(), key) {
				t.Errorf("row %s: %s: the message does not name the word: %v", number, words, err)
			}
		}
		if got != want {
			t.Errorf("row %s: %s\n got %s (%v)\nwant %s", number, words, got, err, want)
		}
	}
	for n := range 52 {
		if number := fmt.Sprint(n + 1); !seen[number] {
			t.Errorf("row %s of ip= and its relatives is missing", number)
		}
	}
	for n := range 24 {
		if number := fmt.Sprintf("10.%d", n); !seen[number] {
			t.Errorf("row %s of the forms of root= is missing", number)
		}
	}
}

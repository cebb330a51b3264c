package dracut

import (
	"os/exec"
	"strings"
	"testing"
)

// TestAbbreviations holds what may be shortened, and to what, to getopt(1), by
// which dracut reads its command line.
func TestAbbreviations(t *testing.T) {
	if _, err := exec.LookPath("getopt"); err != nil {
		t.Fatalf("%v: install util-linux", err)
	}
	table := options()
	for _, compat := range []string{"059", "ng"} {
		var spec []string
		prefixes := map[string]bool{}
		for _, o := range table {
			if o.Ours || o.Long[0] == "include" || o.Ng && compat != "ng" {
				continue
			}
			for _, l := range o.Long {
				arg := ""
				if o.Arg != "" {
					arg = ":"
				}
				spec = append(spec, "--long", l+arg)
				for n := 1; n <= min(len(l), 9); n++ {
					prefixes[l[:n]] = true
				}
			}
		}
		for p := range prefixes {
			// An argument for those that take one; an operand for the others.
			out, err := exec.Command("getopt", append(append([]string{"-o", ""}, spec...), "--", "--"+p, "x")...).Output()
			want, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
			_, full, ours := findLong(table, compat, p)
			switch {
			case strings.HasPrefix("include", p):
				// -i and --include are words of their own in dracut, and only whole.
			case err != nil && ours == nil && compat == "059" && !strings.HasPrefix(want, "--"+p):
				// What 059 does not know may be ng's.
				if o := findOption(table, full); !o.Ng {
					t.Errorf("%s: --%s is --%s here and an error for getopt", compat, p, full)
				}
			case (err == nil) != (ours == nil), err == nil && want != "--"+full:
				t.Errorf("%s: --%s is %q (%v) here, %q (%v) for getopt", compat, p, full, ours, want, err)
			}
		}
	}
}

func findOption(table []option, long string) option {
	for _, o := range table {
		for _, l := range o.Long {
			if l == long {
				return o
			}
		}
	}
	return option{}
}

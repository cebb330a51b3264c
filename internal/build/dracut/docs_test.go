package dracut

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docsPath = "../../../docs/coming-from-dracut.md"

// TestDocs holds the tables of the documentation to the parser's.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	got := between(t, string(b), "<!-- table -->", "<!-- end -->", optionTable())
	got = between(t, got, "<!-- variables -->", "<!-- end of variables -->", variableTable())
	if *update {
		if err := os.WriteFile(docsPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(b), got); d != "" {
		t.Errorf("%s is stale; run: go test ./internal/build/dracut -run TestDocs -update\n%s", docsPath, d)
	}
}

func between(t *testing.T, text, start, end, table string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, start+"\n")
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s ... %s", docsPath, start, end)
	}
	return before + start + "\n" + table + end + after
}

func optionTable() string {
	var b strings.Builder
	b.WriteString("| option | what becomes of it | |\n|---|---|---|\n")
	for _, o := range options() {
		var names []string
		if o.Short != 0 {
			names = append(names, "`-"+string(o.Short)+"`")
		}
		for _, l := range o.Long {
			names = append(names, "`--"+l+"`")
		}
		name := strings.Join(names, " ")
		if o.Arg != "" {
			name += " " + strings.ReplaceAll(o.Arg, "|", " or ")
		}
		switch {
		case o.Ng:
			name += " (ng)"
		case o.Ours:
			name += " (ours)"
		}
		what := map[standing]string{mapped: "done", noted: "no effect", refused: "refused"}[o.Standing]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, what, o.Here)
	}
	return b.String()
}

func variableTable() string {
	var b strings.Builder
	b.WriteString("| variable | what is said |\n|---|---|\n")
	for _, v := range variables() {
		if v.Note == "" {
			continue
		}
		note := v.Note
		if v.Refuse {
			note = "refused: " + note
		}
		if v.Quiet != "" {
			note += " (`" + v.Quiet + "` is what is done anyway, nothing is said)"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, note)
	}
	return b.String()
}

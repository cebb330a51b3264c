package cmdline

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/cmdline.md")

// TestDocs keeps docs/cmdline.md equal to the table of words.
func TestDocs(t *testing.T) {
	const path = "../../docs/cmdline.md"
	var b strings.Builder
	b.WriteString("# Words of the kernel command line\n\nThe words that bareroot-init carries out. Generated from internal/cmdline; `go test ./internal/cmdline -update` writes it.\nAn unknown word is ignored; a malformed known one is named on the console with its rule. How sources are joined, and\nwhat `ip=` takes in full, is in [init.md](init.md).\n\n")
	b.WriteString("| Word | Takes | Default | Stage | Meaning |\n|---|---|---|---|---|\n")
	for _, d := range Words() {
		takes := string(d.Type)
		if d.Type == Choice {
			takes = strings.Join(d.Choices, ", ")
		}
		if d.Repeat {
			takes += "; repeatable"
		}
		name := "`" + d.Name + "`"
		for _, a := range d.Aliases {
			name += " `" + a + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, takes, d.Default, d.Stage, strings.ReplaceAll(d.Meaning, "|", "\\|"))
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the table of words says (%v); run go test ./internal/cmdline -update", path, err)
	}
}

func TestWordsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Words() {
		for _, n := range append([]string{d.Name}, d.Aliases...) {
			if seen[n] {
				t.Errorf("%s is in the table twice", n)
			}
			seen[n] = true
		}
		if d.Meaning == "" || d.Stage == "" {
			t.Errorf("%s lacks a meaning or a stage", d.Name)
		}
	}
}

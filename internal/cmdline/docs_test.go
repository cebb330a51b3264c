package cmdline_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
	"bareroot/internal/cmdline/words"
)

var update = flag.Bool("update", false, "write docs/cmdline.md and known.go")

// TestDocs keeps docs/cmdline.md and the compact table that init links equal
// to the table of words.
func TestDocs(t *testing.T) {
	for path, text := range map[string]string{"../../docs/cmdline.md": markdown(), "known.go": known()} {
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%s is not what the table of words says (%v); run go test ./internal/cmdline -update", path, err)
		}
	}
}

// known is the table without its texts, and without words that init has
// nothing to say about.
func known() string {
	var b strings.Builder
	b.WriteString("package cmdline\n\n// Code generated from package words by \"go test ./internal/cmdline -update\"; DO NOT EDIT.\n\n// known has one Rule a line.\nconst known = `")
	for _, d := range words.All() {
		r := d.Rule()
		quietly := d.Type == words.Text || d.Type == words.Form || d.Type == words.Flag
		if d.Status == words.Elsewhere || strings.HasSuffix(d.Name, "*") || (quietly && len(r.Aliases)+len(r.Old) == 0 && !r.NotYet && r.Instead == "" && d.Type != words.Flag) {
			continue
		}
		b.WriteString(ruleLine(r) + "\n")
	}
	b.WriteString("`\n")
	return b.String()
}

// ruleLine is a rule as ParseRule reads it.
func ruleLine(r cmdline.Rule) string {
	names := strings.Join(append([]string{r.Name}, r.Aliases...), ",")
	if len(r.Old) > 0 {
		names += ";" + strings.Join(r.Old, ",")
	}
	arg := strings.Join(r.Choices, ",")
	if r.Type == cmdline.Number && (r.Min > 0 || r.Max > 0) {
		arg = fmt.Sprintf("%d..%d", r.Min, r.Max)
	}
	state := ""
	if r.NotYet {
		state = "-"
	}
	return strings.TrimRight(strings.Join([]string{names, string(rune(r.Type)), arg, r.Default, state, r.Instead}, "\t"), "\t")
}

func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	stages := append(strings.Split("any agent kernel root shutdown", " "), append(cmdline.Stages[:], "boot loader")...)
	for _, d := range words.All() {
		for _, n := range d.Names() {
			if seen[n] {
				t.Errorf("%s is in the table twice", n)
			}
			seen[n] = true
		}
		switch {
		case d.Meaning == "" || d.From == "" || d.Type == 0:
			t.Errorf("%s lacks a meaning, a type or where it comes from", d.Name)
		case !contains(stages, d.Stage):
			t.Errorf("%s: stage %q", d.Name, d.Stage)
		case d.Status == words.NoUse && d.Why == "":
			t.Errorf("%s has no effect, and no reason for that", d.Name)
		case (d.Type == words.Choice) != (len(d.Choices) > 0) && d.Type != words.List:
			t.Errorf("%s: choices", d.Name)
		}
		if got := cmdline.ParseRule(ruleLine(d.Rule())); fmt.Sprint(got) != fmt.Sprint(d.Rule()) {
			t.Errorf("%s: %+v reads back as %+v", d.Name, d.Rule(), got)
		}
	}
}

func contains(s []string, v string) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}

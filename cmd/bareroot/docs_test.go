package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const docsPath = "../../docs/cli.md"

// TestDocs holds docs/cli.md to the command tree; -update writes it.
func TestDocs(t *testing.T) {
	root := newRootCommand(&env{Stdin: strings.NewReader(""), Stdout: new(strings.Builder), Stderr: new(strings.Builder)})
	got := renderDocs(root)
	if *update {
		if err := os.MkdirAll("../../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(docsPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("docs/cli.md is stale; run: go test ./cmd/bareroot -run TestDocs -update\n%s", d)
	}
}

// TestVerbs holds every verb to what people may expect of it.
func TestVerbs(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() || !c.Runnable() {
			return
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help %q is missing or ends with a full stop", c.CommandPath(), c.Short)
		}
		if !strings.Contains(c.Example, c.CommandPath()) && c.Parent().Name() != "completion" {
			t.Errorf("%s: the help shows no example of it", c.CommandPath())
		}
	}
	walk(newRootCommand(&env{}))
}

// renderDocs is the command tree as one Markdown document.
func renderDocs(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\n<!-- Generated: go test ./cmd/bareroot -run TestDocs -update -->\n\n")
	fmt.Fprintf(&b, "%s.\n\nEvery verb:\n\n| verb | what it does |\n|---|---|\n", root.Short)
	var verbs, topics []*cobra.Command
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			switch {
			case sub.IsAdditionalHelpTopicCommand():
				topics = append(topics, sub)
			case sub.Name() == "help" || sub.Name() == "completion" || sub.Hidden:
			case sub.HasSubCommands():
				walk(sub)
			default:
				verbs = append(verbs, sub)
			}
		}
	}
	walk(root)
	for _, c := range verbs {
		path := c.CommandPath()
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", path, strings.ReplaceAll(path, " ", "-"), c.Short)
	}
	b.WriteString("\n`bareroot completion bash` (or zsh, fish) prints a script for the shell's Tab key;\nit also completes the names of machines, orders, images and boot sets.\n")
	for _, c := range topics {
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s\n```\n", c.Short, c.Long)
	}
	b.WriteString("\n## Flags of every verb\n\n" + renderFlags(root.PersistentFlags()))
	for _, c := range verbs {
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n    %s\n", c.CommandPath(), text, c.UseLine())
		if c.Example != "" {
			fmt.Fprintf(&b, "\nExamples:\n\n```sh\n%s\n```\n", unindent(c.Example))
		}
		own := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.NonInheritedFlags().VisitAll(own.AddFlag)
		c.InheritedFlags().VisitAll(func(f *pflag.Flag) { // those of a group count as its verbs'
			if root.PersistentFlags().Lookup(f.Name) == nil {
				own.AddFlag(f)
			}
		})
		if flags := renderFlags(own); flags != "" {
			b.WriteString("\n" + flags)
		}
	}
	return b.String()
}

func unindent(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll(s, "\n  ", "\n"), "  ")
}

func renderFlags(fs *pflag.FlagSet) string {
	var b strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind != "" {
			name += " " + strings.ToUpper(kind)
		}
		fmt.Fprintf(&b, "- `%s`: %s", name, strings.ReplaceAll(usage, "\n", " "))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			fmt.Fprintf(&b, " (default `%s`)", f.DefValue)
		}
		b.WriteString("\n")
	})
	return b.String()
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bareroot/internal/cmdline"
	"bareroot/internal/cmdline/words"
)

func newCmdlineCommand(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "cmdline",
		Short: "Explain the words of a kernel command line",
	}, newCmdlineExplainCommand(e), newCmdlineListCommand(e))
}

func newCmdlineExplainCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain WORDS...",
		Short: "Say what each word of a kernel command line does in a ramdisk",
		Long: `Say what each word of a kernel command line does in a ramdisk, in which stage,
and what is unknown, malformed, overridden, deprecated or contradictory; then
what the boot as a whole will do. Nothing of this machine is looked at.

Words are split as the kernel splits them. "-" reads them from standard input,
--file from a file such as /proc/cmdline; passwords are not printed. The exit
code is 1 if a word is malformed.`,
		Example: `  bareroot cmdline explain 'root=LABEL=system ro ip=eth0:dhcp rd.lvm.vg=vg0'
  bareroot cmdline explain --file /proc/cmdline
  echo 'root=nfs:192.0.2.1:/srv/root' | bareroot cmdline explain - --json`,
		Args: cobra.ArbitraryArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON document instead of text")
	file := cmd.Flags().String("file", "", "read the words from `FILE`")
	role := cmd.Flags().String("role", "root", "the ramdisk's `ROLE`, unless a word says it: root, discover, deploy, rescue")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		line, err := readLine(e, *file, args)
		if err != nil {
			return err
		}
		report := words.Explain(line, *role)
		if err := show(e, *asJSON, report, func(w io.Writer) { writeExplained(w, report) }); err != nil {
			return err
		}
		if report.Malformed() {
			return exitStatus(exitFailed)
		}
		return nil
	}
	return cmd
}

// readLine is the line to explain, from where the arguments say.
func readLine(e *env, file string, args []string) (cmdline.Line, error) {
	switch {
	case file != "" && len(args) > 0:
		return nil, usageError{errors.New("words or --file, not both")}
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usageError{err}
		}
		return cmdline.Parse(string(text), ""), nil
	case len(args) == 1 && args[0] == "-":
		text, err := io.ReadAll(io.LimitReader(e.Stdin, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return cmdline.Parse(string(text), ""), nil
	case len(args) == 0:
		return nil, usageError{errors.New("WORDS missing")}
	}
	return cmdline.Parse(strings.Join(args, " "), ""), nil
}

func writeExplained(w io.Writer, r words.Report) {
	t, problems := newTable("WORD", "STATE", "STAGE", "DOES"), newTable()
	problems.rows = nil
	for _, x := range r.Words {
		t.add(x.Word, x.State, x.Stage, x.Does)
		if x.Problem != "" {
			problems.add(x.State, x.Word, x.Problem)
		}
		if x.Notice != "" {
			problems.add("notice", x.Word, x.Notice)
		}
	}
	t.write(w, "")
	for _, m := range r.Errors {
		problems.add("malformed", "together", m)
	}
	for _, m := range r.Contradicts {
		problems.add("contradiction", "together", m)
	}
	if len(problems.rows) > 0 {
		fmt.Fprintln(w, "\nTo look at:")
		problems.write(w, "  ")
	}
	fmt.Fprintln(w, "\nThis boot:")
	var f fields
	f.add("role", r.Boot.Role)
	f.add("root", r.Boot.Root)
	f.add("network", r.Boot.Network)
	f.write(w, "  ")
}

func newCmdlineListCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the words that a ramdisk understands",
		Long:    "List every word that a ramdisk understands, with what this version does with it. The same table is in the documentation.",
		Example: "  bareroot cmdline list\n  bareroot cmdline list --status works\n  bareroot cmdline list --json | jq -r '.words[].name'",
		Args:    arguments(),
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON document instead of text")
	status := cmd.Flags().String("status", "", "only words of this `STATUS`: works, not yet, no effect, not ours")
	cmd.RunE = func(*cobra.Command, []string) error {
		var known []listedWord
		for _, d := range words.All() {
			if *status == "" || d.Status.Text() == *status {
				known = append(known, listed(d))
			}
		}
		if len(known) == 0 {
			return usageError{fmt.Errorf("no word has the status %q; there are works, not yet, no effect, not ours", *status)}
		}
		return show(e, *asJSON, map[string]any{"words": known}, func(w io.Writer) {
			t := newTable("WORD", "TAKES", "DEFAULT", "STAGE", "STATUS", "FROM", "MEANING")
			for _, k := range known {
				t.add(k.Name, cut(k.Takes, 30), cut(k.Default, 24), k.Stage, k.Status, k.From, k.Meaning)
			}
			t.write(w, "")
		})
	}
	return cmd
}

// listedWord is a word in the JSON of list.
type listedWord struct {
	Name       string   `json:"name"`
	Aliases    []string `json:"aliases"`
	Deprecated []string `json:"deprecated"`
	Instead    string   `json:"instead,omitempty"`
	Takes      string   `json:"takes"`
	Default    string   `json:"default,omitempty"`
	Repeatable bool     `json:"repeatable"`
	Stage      string   `json:"stage"`
	Status     string   `json:"status"`
	From       string   `json:"from"`
	Meaning    string   `json:"meaning"`
	Note       string   `json:"note,omitempty"`
}

func listed(d words.Def) listedWord {
	return listedWord{
		Name: d.Name, Aliases: list(append(slices.Clone(d.Aliases), d.Also...)), Deprecated: list(d.Old), Instead: d.Instead, Takes: d.Takes(), Default: d.Default,
		Repeatable: d.Repeat, Stage: d.Stage, Status: d.Status.Text(), From: d.From, Meaning: strings.ReplaceAll(d.Meaning, "`", ""), Note: d.Why,
	}
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bareroot/client"
)

// addServerFlags declares how verbs find the server.
func addServerFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.String("server", "", "the server: unix:///path, http://host:port or https://host:port\n(default $BAREROOT_SERVER, else "+client.DefaultServer+")")
	f.String("token-file", "", "file with the server's bearer token; a unix socket needs none\n(default $BAREROOT_TOKEN_FILE)")
}

// connect makes a client for the server that cmd's flags or the environment
// name. It does not dial yet.
func connect(cmd *cobra.Command) (*client.Client, error) {
	server, err := cmd.Flags().GetString("server")
	if err != nil {
		return nil, err
	}
	token, err := cmd.Flags().GetString("token-file")
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{
		Server:    cmp.Or(server, os.Getenv("BAREROOT_SERVER")),
		TokenFile: cmp.Or(token, os.Getenv("BAREROOT_TOKEN_FILE")),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// withClient wraps a verb that needs the server.
func withClient(run func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		return run(cmd, c, args)
	}
}

// group is a command that only holds others. Cobra on its own would greet a
// misspelled one with the help text and success.
func group(cmd *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(verbs...)
	cmd.DisableFlagsInUseLine = true
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		cmd.SuggestionsMinimumDistance = 2
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			msg += "; did you mean " + strings.Join(s, " or ") + "?"
		}
		return usageError{fmt.Errorf("%s", msg)}
	}
	return cmd
}

// usageChecks makes cobra's own complaints about arguments and flags usage
// errors, for the exit code, in the whole tree. Commands that only hold others
// become groups.
func usageChecks(cmd *cobra.Command) {
	if cmd.HasParent() && cmd.HasSubCommands() && !cmd.Runnable() {
		group(cmd)
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := cmp.Or(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return usageError{err}
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
	for _, c := range cmd.Commands() {
		usageChecks(c)
	}
}

// arguments checks that one argument per name is given; names are for the
// complaint.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s missing", strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// jsonFlag declares --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print the API's JSON document instead of text")
}

// show prints doc as one JSON document, or what people writes.
func show(e *env, asJSON bool, doc any, people func(w io.Writer)) error {
	var b bytes.Buffer
	if asJSON {
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(doc); err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
	} else {
		people(&b)
	}
	if _, err := e.Stdout.Write(b.Bytes()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// list is a slice that is [] in JSON when it is empty, never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// isTerminal says whether w is a terminal that understands cursor movement.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// completeTimeout bounds how long the Tab key waits for the server.
const completeTimeout = 3 * time.Second

// completer offers the names that the server knows, for the first argument or
// a flag's value. It offers nothing when the server does not answer.
func completer(names func(context.Context, *client.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		c, err := connect(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		all, err := names(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, n := range all {
			if strings.HasPrefix(n, prefix) {
				out = append(out, n)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// firstArg completes the first argument with complete and later ones with
// words, one list each.
func firstArg(complete cobra.CompletionFunc, words ...[]string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		switch n := len(args); {
		case n == 0:
			return complete(cmd, args, prefix)
		case n <= len(words):
			return words[n-1], cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

func machineNames(ctx context.Context, c *client.Client) ([]string, error) {
	ms, err := c.Machines(ctx)
	var out []string
	for _, m := range ms {
		out = append(out, cmp.Or(m.Name, m.ID))
	}
	return out, err
}

func orderIDs(ctx context.Context, c *client.Client) ([]string, error) {
	os, err := c.Orders(ctx, "")
	var out []string
	for _, o := range os {
		out = append(out, o.ID)
	}
	return out, err
}

func imageNames(ctx context.Context, c *client.Client) ([]string, error) {
	is, err := c.Images(ctx)
	var out []string
	for _, i := range is {
		out = append(out, i.Name)
	}
	return out, err
}

func bootSetNames(ctx context.Context, c *client.Client) ([]string, error) {
	bs, err := c.BootSets(ctx)
	var out []string
	for _, b := range bs {
		out = append(out, b.Name)
	}
	return out, err
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
)

func newStatusCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show the server: version, doors, counted errors",
		Example: "  bareroot status\n  bareroot status --server http://127.0.0.1:8081 --token-file admin.token",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		s, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		return show(e, *asJSON, s, func(w io.Writer) { writeStatus(w, s, time.Now()) })
	})
	return cmd
}

func writeStatus(w io.Writer, s *api.Status, now time.Time) {
	var f fields
	f.add("version", s.Version)
	f.add("started", fmt.Sprintf("%s (%s)", clock(s.Started), ago(s.Started, now)))
	f.add("machines", fmt.Sprint(s.Machines))
	for _, door := range slices.Sorted(maps.Keys(s.Listeners)) {
		f.add(door, s.Listeners[door])
	}
	var errs []string
	for _, door := range slices.Sorted(maps.Keys(s.Errors)) {
		if s.Errors[door] > 0 {
			errs = append(errs, fmt.Sprintf("%s %d", door, s.Errors[door]))
		}
	}
	if len(errs) == 0 {
		errs = []string{"none"}
	}
	f.add("errors", strings.Join(errs, ", "))
	f.write(w, "")
}

func newPageCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "page",
		Short:   "Print a one-time link to the server's page",
		Long:    "Print a link that opens the server's page in a browser once. Whoever opens it first is logged in.",
		Example: "  bareroot page\n  xdg-open \"$(bareroot page)\"",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		code, err := c.LoginCode(cmd.Context())
		if err != nil {
			return err
		}
		err = show(e, *asJSON, code, func(w io.Writer) { fmt.Fprintln(w, clean(code.URL)) })
		if err == nil && !*asJSON && !code.Expires.IsZero() {
			fmt.Fprintf(e.Stderr, "opens once, until %s\n", clock(code.Expires))
		}
		return err
	})
	return cmd
}

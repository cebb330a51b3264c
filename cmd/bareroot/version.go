package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bareroot/internal/version"
)

func newVersionCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version and build id",
		Example: "  bareroot version\n  bareroot version --json | jq -r .build",
		Args:    arguments(),
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON document instead of text")
	cmd.RunE = func(*cobra.Command, []string) error {
		doc := map[string]string{"version": version.Version, "build": version.ID()}
		return show(e, *asJSON, doc, func(w io.Writer) { fmt.Fprintln(w, "bareroot", version.String()) })
	}
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"bareroot/internal/version"
)

func newVersionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and build id",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(e.Stdout, "bareroot", version.String())
			return err
		},
	}
}

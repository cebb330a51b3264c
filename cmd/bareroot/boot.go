package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/human"
)

func newBootCommand(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "boot",
		Short: "Manage the boot sets that machines netboot",
		Long:  "Manage the boot sets that machines netboot. A boot set is a kernel, the segments of its ramdisk and a command line, as \"bareroot build --format dir\" makes it.",
	}, newBootAddCommand(e), newBootListCommand(e), newBootDefaultCommand(e), newBootRemoveCommand(e), newBootWhyCommand(e),
		newBootPushCommand(e), newBootGenerationsCommand(e), newBootRollbackCommand(e))
}

func newBootAddCommand(e *env) *cobra.Command {
	var req api.BootSetRequest
	cmd := &cobra.Command{
		Use:     "add NAME DIR",
		Short:   "Register a boot set of the server's machine",
		Long:    "Register a boot set in a directory of the server's machine under a name. The server verifies every file's hash. The first one becomes the default.",
		Example: "  bareroot build --format dir -o /srv/boot/6.1\n  bareroot boot add debian-6.1 /srv/boot/6.1 --default",
		Args:    arguments("NAME", "DIR"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().BoolVar(&req.Default, "default", false, "make it the default at once")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		path, err := filepath.Abs(args[1])
		if err != nil {
			return err
		}
		req.Name, req.Path = args[0], path
		b, err := c.AddBootSet(cmd.Context(), req)
		if err != nil {
			return err
		}
		return show(e, *asJSON, b, func(w io.Writer) {
			note := ""
			if b.Default {
				note = ", now the default"
			}
			fmt.Fprintf(w, "boot set %s added: kernel %s, %s, id %s%s\n", clean(b.Name), clean(b.Kernel), human.Bytes(b.Size), clean(short(b.ID)), note)
		})
	})
	return cmd
}

func newBootListCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the registered boot sets",
		Example: "  bareroot boot list",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		sets, err := c.BootSets(cmd.Context())
		if err != nil {
			return err
		}
		doc := map[string]any{"bootsets": list(sets)}
		return show(e, *asJSON, doc, func(w io.Writer) { writeBootSets(w, sets, time.Now()) })
	})
	return cmd
}

func newBootDefaultCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "default NAME",
		Short:             "Choose the boot set of machines without a pinned one",
		Example:           "  bareroot boot default debian-6.1",
		Args:              arguments("NAME"),
		ValidArgsFunction: firstArg(completer(bootSetNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		b, err := c.DefaultBootSet(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return show(e, *asJSON, b, func(w io.Writer) {
			fmt.Fprintf(w, "boot set %s is the default: kernel %s\n", clean(b.Name), clean(b.Kernel))
		})
	})
	return cmd
}

func newBootRemoveCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "remove NAME",
		Short:             "Remove a registered boot set",
		Example:           "  bareroot boot remove debian-6.1",
		Args:              arguments("NAME"),
		ValidArgsFunction: firstArg(completer(bootSetNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := c.RemoveBootSet(cmd.Context(), args[0]); err != nil {
			return err
		}
		return show(e, *asJSON, struct{}{}, func(w io.Writer) { fmt.Fprintf(w, "boot set %s removed\n", clean(args[0])) })
	})
	return cmd
}

func writeBootSets(w io.Writer, sets []api.BootSet, now time.Time) {
	if len(sets) == 0 {
		fmt.Fprintln(w, "no boot sets yet; make one with \"bareroot build --format dir -o DIR\" and add it with \"bareroot boot add NAME DIR\"")
		return
	}
	t := newTable("NAME", "KERNEL", "ARCH", "SIZE", "ID", "ADDED", "DEFAULT")
	for _, b := range sets {
		mark := ""
		if b.Default {
			mark = "default"
		}
		t.add(b.Name, b.Kernel, b.Arch, human.Bytes(b.Size), short(b.ID), ago(b.Added, now), mark)
	}
	t.write(w, "")
}

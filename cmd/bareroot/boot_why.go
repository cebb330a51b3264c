package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/bootset"
	"bareroot/internal/human"
)

func newBootWhyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why SET FILE",
		Short: "Say why a file is in a boot set",
		Long: `Say where a file of a boot set comes from and why it is in. SET is a folder that
"bareroot build --format dir" made, or the name of a registered boot set. FILE is
a path in the ramdisk, the end of one, a kernel module's name, or a pattern.`,
		Example: "  bareroot boot why /srv/boot/6.1 nvme\n  bareroot boot why debian-6.1 'usr/lib/firmware/*'",
		Args:    arguments("SET", "FILE"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			names, _ := completer(bootSetNames)(cmd, args, word)
			return names, cobra.ShellCompDirectiveDefault // folders, too
		},
	}
	asJSON := jsonFlag(cmd)
	why := func(set, name string, files []api.BootFile) error {
		if len(files) == 0 {
			return &api.Problem{Status: 404, Detail: fmt.Sprintf("no file of boot set %s fits %q", set, name)}
		}
		return show(e, *asJSON, map[string]any{"files": files}, func(w io.Writer) {
			for _, f := range files {
				writeWhy(w, bootset.File(f))
			}
		})
	}
	registered := withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		files, err := c.BootSetFiles(cmd.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		return why(args[0], args[1], files)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fi, err := os.Stat(args[0])
		if err == nil && fi.Mode().IsRegular() {
			return usageError{fmt.Errorf("%s is a file, and a boot set is a folder; \"bareroot build --explain\" with a ramdisk's options lists its files", args[0])}
		}
		if err == nil && fi.IsDir() {
			files, err := bootset.Files(args[0])
			if err != nil {
				return fmt.Errorf("boot set %s: %w", args[0], err)
			}
			var hits []api.BootFile
			for _, f := range bootset.Meant(files, args[1]) {
				hits = append(hits, api.BootFile(f))
			}
			return why(args[0], args[1], hits)
		}
		if strings.Contains(args[0], "/") {
			return &api.Problem{Status: 404, Detail: fmt.Sprintf("there is no boot set %s", args[0])}
		}
		return registered(cmd, args)
	}
	return cmd
}

// writeWhy prints one file's line.
func writeWhy(w io.Writer, f bootset.File) {
	size := "-"
	if f.Size > 0 {
		size = human.Bytes(f.Size)
	}
	from := cmp.Or(f.Source, "made by bareroot")
	if f.Mode == "symlink" {
		from = "link to " + f.Source
	}
	if f.Package != "" {
		from += ", package " + f.Package
	}
	fmt.Fprintf(w, "%s  %s  %s  %s: %s (%s)\n", clean(f.Segment), clean(f.Mode), size, clean(f.Path), clean(f.Why), clean(from))
}

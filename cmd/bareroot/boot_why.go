package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/bootset"
	"bareroot/internal/human"
	"bareroot/internal/serve/config"
)

func newBootWhyCommand(e *env) *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:   "why SET FILE",
		Short: "Say why a file is in a boot set",
		Long: `Say where a file of a boot set comes from and why it is in. SET is a folder that
"bareroot build --format dir" made, or, on the server's machine, the name of a
registered boot set. FILE is a path in the ramdisk, the end of one, a kernel
module's name, or a pattern.`,
		Example: "  bareroot boot why /srv/boot/6.1 nvme\n  bareroot boot why debian-6.1 'usr/lib/firmware/*'",
		Args:    arguments("SET", "FILE"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&state, "state-dir", config.DefaultState, "`DIR` of the server's state, for registered names")
	why := func(cmd *cobra.Command, dir, name string) error {
		files, err := readFiles(dir)
		if err != nil {
			return err
		}
		hits := whyMatches(files, name)
		if len(hits) == 0 {
			return &api.Problem{Status: 404, Detail: fmt.Sprintf("no file of boot set %s fits %q", dir, name)}
		}
		return show(e, *asJSON, map[string]any{"files": hits}, func(w io.Writer) {
			for _, f := range hits {
				writeWhy(w, f)
			}
		})
	}
	registered := withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		dir, err := registeredSet(cmd.Context(), c, state, args[0])
		if err != nil {
			return err
		}
		return why(cmd, dir, args[1])
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if fi, err := os.Stat(args[0]); err == nil && fi.IsDir() {
			return why(cmd, args[0], args[1])
		}
		if strings.Contains(args[0], "/") {
			return &api.Problem{Status: 404, Detail: fmt.Sprintf("there is no boot set %s", args[0])}
		}
		return registered(cmd, args)
	}
	return cmd
}

// registeredSet is the folder in which the server keeps a boot set.
func registeredSet(ctx context.Context, c *client.Client, state, name string) (string, error) {
	sets, err := c.BootSets(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range sets {
		if s.Name != name {
			continue
		}
		dir := filepath.Join(state, "bootsets", s.ID)
		if _, err := os.Stat(dir); err != nil {
			return "", fmt.Errorf("boot set %s: %w; names work on the server's machine, with its --state-dir", name, err)
		}
		return dir, nil
	}
	return "", &api.Problem{Status: 404, Detail: fmt.Sprintf("no boot set %q, neither a folder nor a registered one", name)}
}

func readFiles(dir string) ([]bootset.File, error) {
	name := filepath.Join(dir, "files.json")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: only boot sets with a list of files can tell; build it with \"bareroot build --format dir\"", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read boot set: %w", err)
	}
	var files []bootset.File
	if err := json.Unmarshal(b, &files); err != nil {
		return nil, fmt.Errorf("read boot set: %s: %w", name, err)
	}
	return files, nil
}

// whyMatches finds the files that a person means by name.
func whyMatches(files []bootset.File, name string) (out []bootset.File) {
	name = strings.TrimPrefix(name, "/")
	for _, exact := range []bool{true, false} {
		for _, f := range files {
			if exact && f.Path == name || !exact && meant(f.Path, name) {
				out = append(out, f)
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}

func meant(p, name string) bool {
	if strings.HasSuffix(p, "/"+name) {
		return true
	}
	for _, against := range []string{p, path.Base(p)} {
		if ok, err := path.Match(name, against); err == nil && ok {
			return true
		}
	}
	module, _, is := strings.Cut(path.Base(p), ".ko")
	return is && strings.ReplaceAll(module, "-", "_") == strings.ReplaceAll(name, "-", "_")
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

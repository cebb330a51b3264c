package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/bootset"
	"bareroot/internal/human"
)

func newBootPushCommand(e *env) *cobra.Command {
	var req api.PushRequest
	var name string
	cmd := &cobra.Command{
		Use:   "push DIR",
		Short: "Send a boot set of this machine to the server",
		Long: `Send a boot set of this machine to the server, as the newest generation of a
name. Only files that the server lacks are sent; a push that broke off goes on
where it stopped when it is repeated. Machines that are pinned to the name, or
follow it as the default, get it from their next netboot on.`,
		Example: "  bareroot build --kver 6.1.0-41-amd64 --format dir -o /tmp/set\n  bareroot boot push --server https://boot.example:8081 --token-file /etc/bareroot/push.token --name san-root /tmp/set",
		Args:    arguments("DIR"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	asJSON := jsonFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "`NAME` of the boot set (default: this machine's host name)")
	f.IntVar(&req.Keep, "keep", api.KeepDefault, "generations that the server keeps, this one included")
	f.BoolVar(&req.Default, "default", false, "make it the default boot set")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		if req.Keep < 1 {
			return usageError{fmt.Errorf("--keep %d: at least the new generation is kept", req.Keep)}
		}
		if name == "" {
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("name the boot set with --name: %w", err)
			}
			name = host
		}
		files, err := readPush(args[0], &req)
		if err != nil {
			return err
		}
		sent, bytes := 0, int64(0)
		reply, err := c.Push(cmd.Context(), name, req, func(b api.Blob) (io.ReadCloser, error) {
			file, ok := files[b.SHA256]
			if !ok {
				return nil, fmt.Errorf("the server asks for a file with sha256 %s, which %s does not have", b.SHA256, args[0])
			}
			return os.Open(file)
		}, func(b api.Blob) { sent++; bytes += b.Size })
		if err != nil {
			return err
		}
		return show(e, *asJSON, reply, func(w io.Writer) {
			b := reply.BootSet
			if reply.Unchanged {
				fmt.Fprintf(w, "boot set %s is this one already: generation %d, kernel %s\n", clean(b.Name), b.Generation, clean(b.Kernel))
				return
			}
			fmt.Fprintf(w, "boot set %s is generation %d now: kernel %s, %s, of which %s in %d files were sent\n",
				clean(b.Name), b.Generation, clean(b.Kernel), human.Bytes(b.Size), human.Bytes(bytes), sent)
			if b.Generation > 1 {
				fmt.Fprintf(w, "to go back: bareroot boot rollback %s\n", clean(b.Name))
			}
		})
	})
	return cmd
}

// readPush reads a boot set's directory and says which file has which hash.
func readPush(dir string, req *api.PushRequest) (map[string]string, error) {
	m, err := bootset.Read(dir)
	if err != nil {
		return nil, usageError{err}
	}
	if req.Manifest, err = os.ReadFile(filepath.Join(dir, "manifest.json")); err != nil {
		return nil, fmt.Errorf("read boot set: %w", err)
	}
	files := map[string]string{}
	for _, b := range m.Blobs() {
		path := filepath.Join(dir, b.File)
		fi, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read boot set: %w", err)
		}
		if fi.Size() != b.Size {
			return nil, fmt.Errorf("read boot set %s: %s has %d bytes, the manifest says %d; build it again", dir, b.File, fi.Size(), b.Size)
		}
		files[b.SHA256] = path
	}
	path := filepath.Join(dir, "files.json")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read boot set: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, fmt.Errorf("read boot set: %s: %w", path, err)
	}
	req.Files = &api.Blob{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}
	files[req.Files.SHA256] = path
	return files, nil
}

func newBootRollbackCommand(e *env) *cobra.Command {
	to := 0
	cmd := &cobra.Command{
		Use:               "rollback NAME",
		Short:             "Go back to an older generation of a pushed boot set",
		Long:              "Go back to the generation before the current one, or to the one that --to names. Machines that follow the name get it from their next netboot on. Newer generations are kept; the next push makes a new one.",
		Example:           "  bareroot boot rollback san-root\n  bareroot boot rollback san-root --to 7",
		Args:              arguments("NAME"),
		ValidArgsFunction: firstArg(completer(bootSetNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().IntVar(&to, "to", 0, "`NUMBER` of the generation (see \"bareroot boot generations\")")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		b, err := c.Rollback(cmd.Context(), args[0], to)
		if err != nil {
			return err
		}
		return show(e, *asJSON, b, func(w io.Writer) {
			fmt.Fprintf(w, "boot set %s is generation %d again: kernel %s\n", clean(b.Name), b.Generation, clean(b.Kernel))
		})
	})
	return cmd
}

func newBootGenerationsCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "generations NAME",
		Short:             "List the generations of a pushed boot set",
		Example:           "  bareroot boot generations san-root",
		Args:              arguments("NAME"),
		ValidArgsFunction: firstArg(completer(bootSetNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		gs, err := c.Generations(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		doc := map[string]any{"generations": list(gs)}
		return show(e, *asJSON, doc, func(w io.Writer) { writeGenerations(w, args[0], gs, time.Now()) })
	})
	return cmd
}

func writeGenerations(w io.Writer, name string, gs []api.Generation, now time.Time) {
	if len(gs) == 0 {
		fmt.Fprintf(w, "boot set %s was never pushed; \"bareroot boot push --name %s DIR\" makes a generation\n", clean(name), clean(name))
		return
	}
	t := newTable("GENERATION", "KERNEL", "ARCH", "SIZE", "ID", "PUSHED", "CURRENT")
	for _, g := range gs {
		mark := ""
		if g.Current {
			mark = "current"
		}
		t.add(fmt.Sprint(g.Number), cmp.Or(g.Kernel, "-"), g.Arch, human.Bytes(g.Size), short(g.ID), ago(g.Added, now), mark)
	}
	t.write(w, "")
}

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

func newImageCommand(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "image",
		Short: "Manage the system images that machines can get",
		Long:  "Manage the system images that machines can get: written to a disk (machine deploy) or run live (machine root). The server keeps them by content.",
	}, newImageAddCommand(e), newImageListCommand(e), newImageVerifyCommand(e), newImageRemoveCommand(e))
}

func newImageAddCommand(e *env) *cobra.Command {
	var req api.ImageRequest
	cmd := &cobra.Command{
		Use:   "add NAME FILE",
		Short: "Register an image file of the server's machine",
		Long:  "Register an image file of the server's machine under a name. The server reads the file once and hashes it; with --sha256 it refuses a file that has another hash.",
		Example: `  bareroot image add debian-12 /srv/images/debian-12.raw.zst
  bareroot image add live /srv/images/live.squashfs --sha256 "$(cut -d' ' -f1 live.squashfs.sha256)"`,
		Args: arguments("NAME", "FILE"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&req.SHA256, "sha256", "", "the hash that the file must have, in hex")
	cmd.Flags().StringVar(&req.Format, "format", "", "raw or squashfs (default: by content)")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		path, err := filepath.Abs(args[1])
		if err != nil {
			return err
		}
		req.Name, req.Path = args[0], path
		img, err := c.AddImage(cmd.Context(), req)
		if err != nil {
			return err
		}
		return show(e, *asJSON, img, func(w io.Writer) {
			fmt.Fprintf(w, "image %s added: %s, %s, sha256 %s\n", clean(img.Name), clean(imageKind(*img)), human.Bytes(img.Size), clean(img.SHA256))
		})
	})
	return cmd
}

func newImageListCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the registered images",
		Example: "  bareroot image list\n  bareroot image list --json | jq -r '.images[].name'",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		images, err := c.Images(cmd.Context())
		if err != nil {
			return err
		}
		doc := map[string]any{"images": list(images)}
		return show(e, *asJSON, doc, func(w io.Writer) { writeImages(w, images, time.Now()) })
	})
	return cmd
}

func newImageVerifyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "verify NAME",
		Short:             "Hash a stored image again",
		Long:              "Have the server hash a stored image again and compare. Exit code 1 if the bytes are not what they were.",
		Example:           "  bareroot image verify debian-12",
		Args:              arguments("NAME"),
		ValidArgsFunction: firstArg(completer(imageNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		img, err := c.VerifyImage(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		err = show(e, *asJSON, img, func(w io.Writer) {
			if img.Problem == "" {
				fmt.Fprintf(w, "image %s is intact: sha256 %s\n", clean(img.Name), clean(img.SHA256))
			}
		})
		if err == nil && img.Problem != "" {
			err = fmt.Errorf("image %s: %s", clean(img.Name), clean(img.Problem))
		}
		return err
	})
	return cmd
}

func newImageRemoveCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "remove NAME",
		Short:             "Remove a registered image and its stored bytes",
		Example:           "  bareroot image remove debian-12",
		Args:              arguments("NAME"),
		ValidArgsFunction: firstArg(completer(imageNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := c.RemoveImage(cmd.Context(), args[0]); err != nil {
			return err
		}
		return show(e, *asJSON, struct{}{}, func(w io.Writer) { fmt.Fprintf(w, "image %s removed\n", clean(args[0])) })
	})
	return cmd
}

func writeImages(w io.Writer, images []api.Image, now time.Time) {
	if len(images) == 0 {
		fmt.Fprintln(w, "no images yet; add one with \"bareroot image add NAME FILE\"")
		return
	}
	t := newTable("NAME", "KIND", "SIZE", "UNPACKED", "SHA256", "ADDED", "VERIFIED", "PROBLEM")
	for _, i := range images {
		raw := ""
		if i.RawSize > 0 {
			raw = human.Bytes(i.RawSize)
		}
		t.add(i.Name, imageKind(i), human.Bytes(i.Size), raw, short(i.SHA256), ago(i.Added, now), ago(i.Verified, now), i.Problem)
	}
	t.write(w, "")
}

func imageKind(i api.Image) string {
	if i.Compression == "" {
		return i.Format
	}
	return i.Format + "." + i.Compression
}

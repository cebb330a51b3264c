package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/human"
)

func newMachineDeployCommand(e *env) *cobra.Command {
	var req api.OrderRequest
	var minSize, maxSize string
	afters := []string{"reboot", "poweroff", "wait"}
	cmd := &cobra.Command{
		Use:   "deploy REF --image NAME",
		Short: "Write a system image to a machine's disk",
		Long: `Write a system image to a machine's disk. The machine does it when it netboots the
next time, or at once if it waits for orders.

The target is the disk that all given hints match. Without a hint it is the one
fixed, writable disk that is large enough; if two fit, the order fails and names
both. A disk that holds data is refused without --erase. --dry-run reports the
plan and writes nothing.`,
		Example: `  bareroot machine deploy alpha --image debian-12 --wait
  bareroot machine deploy alpha --image debian-12 --serial S3Z9NB0K --erase
  bareroot machine deploy alpha --image debian-12 --min-size 400GB --dry-run --wait`,
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&req.Image, "image", "", "the registered image")
	f.StringVar(&req.Target.Path, "disk", "", "target: this path, such as /dev/sda or /dev/disk/by-id/...")
	f.StringVar(&req.Target.Serial, "serial", "", "target: the disk with this serial number")
	f.StringVar(&req.Target.WWN, "wwn", "", "target: the disk with this World Wide Name")
	f.StringVar(&req.Target.Model, "model", "", "target: a disk of exactly this model")
	f.StringVar(&minSize, "min-size", "", "target: a disk of at least this size (20G, 500GB)")
	f.StringVar(&maxSize, "max-size", "", "target: a disk of at most this size")
	f.BoolVar(&req.Erase, "erase", false, "data on the target disk may go")
	f.BoolVar(&req.DryRun, "dry-run", false, "report the plan, write nothing")
	f.StringVar(&req.After, "after", "", "what the machine does then: reboot, poweroff or wait (default reboot)")
	wait := addWaitFlags(cmd)
	mustComplete(cmd, "image", completer(imageNames))
	mustComplete(cmd, "after", cobra.FixedCompletions(afters, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		req.Kind = api.KindDeploy
		if req.Image == "" {
			return usageError{errors.New("--image missing: which image? \"bareroot image list\" shows them")}
		}
		if req.After != "" && !slices.Contains(afters, req.After) {
			return usageError{fmt.Errorf("--after %q is none of %s", req.After, strings.Join(afters, ", "))}
		}
		for _, s := range []struct {
			flag, text string
			into       *int64
		}{{"min-size", minSize, &req.Target.MinSize}, {"max-size", maxSize, &req.Target.MaxSize}} {
			if s.text == "" {
				continue
			}
			n, err := human.ParseBytes(s.text)
			if err != nil {
				return usageError{fmt.Errorf("--%s: %w", s.flag, err)}
			}
			if n == 0 {
				return usageError{fmt.Errorf("--%s 0 says nothing; leave it out", s.flag)}
			}
			*s.into = n
		}
		if t := req.Target; t.MaxSize > 0 && t.MinSize > t.MaxSize {
			return usageError{fmt.Errorf("--min-size %s is more than --max-size %s", minSize, maxSize)}
		}
		return place(cmd, e, c, wait, args[0], req, *asJSON)
	})
	return cmd
}

func newMachineRootCommand(e *env) *cobra.Command {
	var req api.OrderRequest
	var words []string
	cmd := &cobra.Command{
		Use:   "root REF (--image NAME | --words WORDS)",
		Short: "Have a machine run a live image or another root",
		Long: `Have a machine go on to a root without touching its disks: a registered squashfs
image, run live from memory, or whatever the given kernel command-line words
name (dracut's words and ours). It takes the same root at each netboot until it
is told otherwise.`,
		Example: `  bareroot machine root alpha --image live --wait
  bareroot machine root alpha --words 'root=nfs:192.0.2.1:/srv/root ro'`,
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&req.Image, "image", "", "the registered image")
	cmd.Flags().StringArrayVar(&words, "words", nil, "kernel command-line words (may be given more than once)")
	wait := addWaitFlags(cmd)
	mustComplete(cmd, "image", completer(imageNames))
	cmd.MarkFlagsOneRequired("image", "words")
	cmd.MarkFlagsMutuallyExclusive("image", "words")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		req.Kind = api.KindRoot
		if req.Image == "" {
			split, err := splitWords(strings.Join(words, " "))
			if err != nil {
				return usageError{fmt.Errorf("--words: %w", err)}
			}
			req.Root = &api.RootSpec{Words: split}
		}
		return place(cmd, e, c, wait, args[0], req, *asJSON)
	})
	return cmd
}

func newMachineDiscoverCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discover REF",
		Short: "Have a machine report its hardware again",
		Long: `Have a machine report its hardware again, when it netboots the next time, or at
once if it waits for orders. It waits for orders afterwards; "bareroot machine
power REF cycle" sends it on to what it boots.`,
		Example:           "  bareroot machine discover alpha --wait && bareroot machine show alpha",
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	wait := addWaitFlags(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		return place(cmd, e, c, wait, args[0], api.OrderRequest{Kind: api.KindDiscover}, *asJSON)
	})
	return cmd
}

// place gives the order, and stays with it if the person asked for that.
func place(cmd *cobra.Command, e *env, c *client.Client, wait *waitFlags, ref string, req api.OrderRequest, asJSON bool) error {
	o, err := c.PlaceOrder(cmd.Context(), ref, req)
	if err != nil {
		return err
	}
	return wait.follow(cmd, e, c, o, asJSON)
}

// splitWords splits at white space outside double quotes, as the kernel does.
// The quotes stay: what they mean is for the reader of the command line.
func splitWords(s string) ([]string, error) {
	quoted := false
	words := strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && unicode.IsSpace(r)
	})
	switch {
	case quoted:
		return nil, fmt.Errorf("%q has a quote that is not closed", s)
	case len(words) == 0:
		return nil, errors.New("no words")
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }):
		return nil, fmt.Errorf("%q has a control character", s)
	}
	return words, nil
}

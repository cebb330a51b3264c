package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
)

// logPoll is the pause between looks at a log that is being written.
const logPoll = time.Second

func newMachineLogsCommand(e *env) *cobra.Command {
	var bootID string
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs REF",
		Short: "Print the log of a machine's boot",
		Long:  "Print the log of a machine's newest boot, or of the one given. --follow goes on with what is added, and with the next boots. On a terminal, control characters of the machine are taken out.",
		Example: `  bareroot machine logs alpha
  bareroot machine logs alpha --follow`,
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&bootID, "boot", "", "the boot with this id (machine show names the newest)")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	cmd.MarkFlagsMutuallyExclusive("json", "follow")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		out := e.Stdout
		if isTerminal(out) {
			out = &plainWriter{w: out}
		}
		ctx := cmd.Context()
		if follow {
			return followLog(ctx, e.Stderr, c, out, args[0], bootID, logPoll)
		}
		r, err := c.Logs(ctx, args[0], bootID, 0)
		if err != nil {
			return err
		}
		defer r.Close()
		if *asJSON {
			b, err := io.ReadAll(r)
			if err != nil {
				return fmt.Errorf("read the log of machine %s: %w", args[0], err)
			}
			return show(e, true, map[string]string{"log": string(b)}, nil)
		}
		_, err = copyLog(out, r, args[0])
		return err
	})
	return cmd
}

func copyLog(w io.Writer, r io.Reader, ref string) (int64, error) {
	n, err := io.Copy(w, r)
	if err != nil {
		return n, fmt.Errorf("print the log of machine %s: %w", ref, err)
	}
	return n, nil
}

// followLog prints what is added to a boot's log, and unless the boot was
// named, the logs of later boots, until ctx ends. A server that goes away is
// waited for as long as for an order.
func followLog(ctx context.Context, notes io.Writer, c *client.Client, out io.Writer, ref, bootID string, poll time.Duration) error {
	current, offset := bootID, int64(0)
	var lost time.Time
	for {
		n, next, err := followOnce(ctx, c, out, ref, current, bootID == "", offset)
		offset += n
		var problem *api.Problem
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			lost = time.Time{}
		case errors.As(err, &problem) && problem.Status < 500:
			return err
		case lost.IsZero():
			lost = time.Now()
			fmt.Fprintf(notes, "the server does not answer; trying again for %s\n", waitOutage)
		case time.Since(lost) > waitOutage:
			return err
		}
		if err == nil && next != current {
			if current != "" {
				fmt.Fprintf(notes, "--- boot %s\n", clean(next))
			}
			current, offset = next, 0
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// followOnce prints what the log of boot current has beyond offset. It also
// says which boot is the newest one, if later ones are wanted.
func followOnce(ctx context.Context, c *client.Client, out io.Writer, ref, current string, later bool, offset int64) (n int64, next string, err error) {
	next = current
	if later {
		m, err := c.Machine(ctx, ref)
		if err != nil {
			return 0, next, err
		}
		next = m.BootID
	}
	if current == "" {
		return 0, next, nil
	}
	r, err := c.Logs(ctx, ref, current, offset)
	var problem *api.Problem
	if later && errors.As(err, &problem) && problem.Status == 404 {
		return 0, next, nil // the boot is known, its log has not begun
	}
	if err != nil {
		return 0, next, err
	}
	defer r.Close()
	n, err = copyLog(out, r, ref)
	return n, next, err
}

// plainWriter takes control characters out, except line ends and tabs: a log
// is whatever the machine wrote, and a terminal obeys.
type plainWriter struct{ w io.Writer }

func (p *plainWriter) Write(b []byte) (int, error) {
	s := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, string(b))
	if _, err := io.WriteString(p.w, s); err != nil {
		return 0, err
	}
	return len(b), nil
}

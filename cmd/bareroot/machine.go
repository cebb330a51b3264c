package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
)

func newMachineCommand(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "machine",
		Short: "See machines and tell them what to do",
		Long:  "See machines and tell them what to do. REF is a machine's name, id, UUID or one of its MAC addresses.",
	},
		newMachineListCommand(e),
		newMachineShowCommand(e),
		newMachineApproveCommand(e),
		newMachineDiscoverCommand(e),
		newMachineDeployCommand(e),
		newMachineRootCommand(e),
		newMachinePowerCommand(e),
		newMachineLogsCommand(e),
		newMachineForgetCommand(e),
	)
}

func newMachineListCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all machines",
		Example: "  bareroot machine list\n  bareroot machine list --json | jq -r '.machines[] | select(.approval==\"new\").name'",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		ms, err := c.Machines(cmd.Context())
		if err != nil {
			return err
		}
		doc := map[string]any{"machines": list(ms)}
		return show(e, *asJSON, doc, func(w io.Writer) { writeMachines(w, ms, time.Now()) })
	})
	return cmd
}

func newMachineShowCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show REF",
		Short:             "Show a machine: hardware, order, timeline, warnings",
		Example:           "  bareroot machine show alpha\n  bareroot machine show 52:54:00:12:34:56 --json | jq .facts.disks",
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		m, err := c.Machine(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return show(e, *asJSON, m, func(w io.Writer) { writeMachine(w, m, time.Now()) })
	})
	return cmd
}

func newMachineApproveCommand(e *env) *cobra.Command {
	var name, bootSet string
	var hold, retire bool
	cmd := &cobra.Command{
		Use:   "approve REF",
		Short: "Let a machine take orders, or park or retire it",
		Long:  "Let a machine take orders that change it. --hold parks it instead: it is still known and discovered, but gets no such order. --retire has it not served at all.",
		Example: `  bareroot machine approve 52:54:00:12:34:56 --name alpha
  bareroot machine approve alpha --hold`,
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&name, "name", "", "give it this name")
	cmd.Flags().StringVar(&bootSet, "boot-set", "", `netboot it with this boot set from now on ("default": with the default one)`)
	mustComplete(cmd, "boot-set", completer(bootSetNames))
	cmd.Flags().BoolVar(&hold, "hold", false, "park it")
	cmd.Flags().BoolVar(&retire, "retire", false, "serve it no more")
	cmd.MarkFlagsMutuallyExclusive("hold", "retire")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		req := api.ApproveRequest{Approval: api.ApprovalApproved, Name: name, BootSet: bootSet}
		switch {
		case hold:
			req.Approval = api.ApprovalHeld
		case retire:
			req.Approval = api.ApprovalRetired
		}
		m, err := c.Approve(cmd.Context(), args[0], req)
		if err != nil {
			return err
		}
		return show(e, *asJSON, m, func(w io.Writer) { fmt.Fprintf(w, "machine %s is %s\n", machineName(m), clean(m.Approval)) })
	})
	return cmd
}

func newMachinePowerCommand(e *env) *cobra.Command {
	actions := []string{"on", "off", "cycle", "status"}
	var boot string
	cmd := &cobra.Command{
		Use:   "power REF on|off|cycle|status",
		Short: "Switch a machine, or ask for its power state",
		Long:  "Switch a machine through its management controller, or ask for its power state. off and cycle do not ask the running system. --boot chooses what it starts from, for the next start only.",
		Example: `  bareroot machine power alpha cycle --boot pxe
  bareroot machine power alpha status`,
		Args:              arguments("REF", "on|off|cycle|status"),
		ValidArgsFunction: firstArg(completer(machineNames), actions),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&boot, "boot", "", "start from pxe or disk, once")
	mustComplete(cmd, "boot", cobra.FixedCompletions([]string{"pxe", "disk"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		req := api.PowerRequest{Action: args[1], Boot: boot}
		switch {
		case !slices.Contains(actions, req.Action):
			return usageError{fmt.Errorf("%q is none of %s", req.Action, strings.Join(actions, ", "))}
		case boot != "" && boot != "pxe" && boot != "disk":
			return usageError{fmt.Errorf("--boot %q is neither pxe nor disk", boot)}
		case boot != "" && req.Action != "on" && req.Action != "cycle":
			return usageError{fmt.Errorf("--boot goes with on and cycle, not with %s", req.Action)}
		}
		p, err := c.Power(cmd.Context(), args[0], req)
		if err != nil {
			return err
		}
		return show(e, *asJSON, p, func(w io.Writer) { fmt.Fprintln(w, clean(p.Power)) })
	})
	return cmd
}

func newMachineForgetCommand(e *env) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget REF",
		Short: "Remove a machine and its history",
		Long:  "Remove a machine with its facts, orders and logs. If it netboots again it is a new machine. Asks first; --yes answers.",
		Example: `  bareroot machine forget alpha
  bareroot machine forget alpha --yes`,
		Args:              arguments("REF"),
		ValidArgsFunction: firstArg(completer(machineNames)),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		m, err := c.Machine(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if !yes {
			if err := confirm(e, fmt.Sprintf("forget machine %s (%s, %s) and its history?", machineName(m), clean(strings.Join(m.MACs, " ")), clean(m.Status))); err != nil {
				return fmt.Errorf("forget machine %s: %w", machineName(m), err)
			}
		}
		// By id: the name may have moved to another machine while we asked.
		if err := c.Forget(cmd.Context(), m.ID); err != nil {
			return err
		}
		return show(e, *asJSON, struct{}{}, func(w io.Writer) { fmt.Fprintf(w, "machine %s forgotten\n", machineName(m)) })
	})
	return cmd
}

// confirm asks a question that only "y" or "yes" answers with yes.
func confirm(e *env, question string) error {
	fmt.Fprintf(e.Stderr, "%s [y/N] ", question)
	line, err := bufio.NewReader(e.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if errors.Is(err, io.EOF) && line == "" {
		fmt.Fprintln(e.Stderr)
		return fmt.Errorf("%w: nobody answered; --yes goes ahead without asking", errRefused)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return fmt.Errorf("%w: not confirmed", errRefused)
}

// mustComplete registers a flag's completion; the only failure is a flag that
// does not exist, which a test of any verb would show.
func mustComplete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// maxStatus is how much of a status the list shows: a failure can be long.
const maxStatus = 56

func writeMachines(w io.Writer, ms []api.Machine, now time.Time) {
	if len(ms) == 0 {
		fmt.Fprintln(w, "no machines yet; one that netboots from this server appears here")
		return
	}
	t := newTable("NAME", "STATUS", "APPROVAL", "BOOTS", "POWER", "FIRMWARE", "MAC", "ADDRESS", "SEEN")
	for _, m := range ms {
		mac := ""
		if len(m.MACs) > 0 {
			mac = m.MACs[0]
		}
		status := cut(m.Status, maxStatus) // "machine show" has all of it
		if len(m.Warnings) > 0 {
			status += " (!)"
		}
		t.add(machineName(&m), status, m.Approval, m.Boot, m.Power, m.Firmware, mac, m.Address, ago(m.Seen, now))
	}
	t.write(w, "")
}

// machineName is what people call the machine.
func machineName(m *api.Machine) string {
	if m.Name == "" {
		return clean(m.ID)
	}
	return clean(m.Name)
}

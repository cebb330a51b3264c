package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/human"
)

func newOrderCommand(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "order",
		Short: "See, cancel and retry orders",
		Long:  "See, cancel and retry orders. An order is one instruction to one machine; \"bareroot machine deploy\", \"root\" and \"discover\" place them.",
	}, newOrderListCommand(e), newOrderShowCommand(e), newOrderCancelCommand(e), newOrderRetryCommand(e))
}

func newOrderListCommand(e *env) *cobra.Command {
	var machine string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List orders",
		Example: "  bareroot order list\n  bareroot order list --machine alpha",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.Flags().StringVar(&machine, "machine", "", "only those of this machine")
	mustComplete(cmd, "machine", completer(machineNames))
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		orders, err := c.Orders(cmd.Context(), machine)
		if err != nil {
			return err
		}
		names := map[string]string{}
		if !*asJSON && len(orders) > 0 {
			ms, err := c.Machines(cmd.Context())
			if err != nil {
				return err
			}
			for _, m := range ms {
				names[m.ID] = m.Name
			}
		}
		doc := map[string]any{"orders": list(orders)}
		return show(e, *asJSON, doc, func(w io.Writer) { writeOrders(w, orders, names, time.Now()) })
	})
	return cmd
}

func newOrderShowCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show ID",
		Short:             "Show an order: what it asks, its plan, what happened",
		Example:           "  bareroot order show o-12\n  bareroot order show o-12 --json | jq .plan",
		Args:              arguments("ID"),
		ValidArgsFunction: firstArg(completer(orderIDs)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		d, err := c.Order(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		d.Events = list(d.Events)
		name := d.Machine
		if !*asJSON {
			if m, err := c.Machine(cmd.Context(), d.Machine); err == nil {
				name = machineName(m)
			}
		}
		return show(e, *asJSON, d, func(w io.Writer) { writeOrder(w, d, name) })
	})
	return cmd
}

func newOrderCancelCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "cancel ID",
		Short:             "Cancel an open order",
		Long:              "Cancel an open order. One that is running stops when the machine hears of it; what it has written stays written.",
		Example:           "  bareroot order cancel o-12",
		Args:              arguments("ID"),
		ValidArgsFunction: firstArg(completer(orderIDs)),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		o, err := c.Cancel(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return show(e, *asJSON, o, func(w io.Writer) { fmt.Fprintf(w, "order %s is %s\n", clean(o.ID), clean(o.State)) })
	})
	return cmd
}

func newOrderRetryCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "retry ID",
		Short:             "Make a new attempt of a failed order",
		Example:           "  bareroot order retry o-12 --wait",
		Args:              arguments("ID"),
		ValidArgsFunction: firstArg(completer(orderIDs)),
	}
	asJSON := jsonFlag(cmd)
	wait := addWaitFlags(cmd)
	cmd.RunE = withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
		o, err := c.Retry(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return wait.follow(cmd, e, c, o, *asJSON)
	})
	return cmd
}

func writeOrders(w io.Writer, orders []api.Order, names map[string]string, now time.Time) {
	if len(orders) == 0 {
		fmt.Fprintln(w, "no orders yet; \"bareroot machine deploy\", \"root\" and \"discover\" place them")
		return
	}
	t := newTable("ID", "MACHINE", "KIND", "STATE", "ATTEMPT", "PLACED", "CHANGED", "MESSAGE")
	for _, o := range orders {
		t.add(o.ID, cmp.Or(names[o.Machine], o.Machine), o.Kind, stateWord(&o), attempt(&o), ago(o.Created, now), ago(o.Updated, now), o.Message)
	}
	t.write(w, "")
}

func attempt(o *api.Order) string {
	if o.Attempt == 0 {
		return ""
	}
	return fmt.Sprint(o.Attempt)
}

// stateWord is the state, with how far it got.
func stateWord(o *api.Order) string {
	if p := o.Progress; o.State == api.StateRunning && p != nil && p.Total > 0 {
		return fmt.Sprintf("%s %d%%", o.State, percent(p))
	}
	return o.State
}

func percent(p *api.Event) int64 {
	if p.Total <= 0 {
		return 0
	}
	return int64(100 * float64(min(max(p.Done, 0), p.Total)) / float64(p.Total))
}

func orderFields(o *api.Order, machine string) *fields {
	f := &fields{}
	f.add("id", o.ID)
	f.add("machine", machine)
	f.add("kind", o.Kind)
	f.add("state", stateWord(o))
	f.add("attempt", attempt(o))
	f.add("message", o.Message)
	f.add("placed", clock(o.Created))
	f.add("changed", clock(o.Updated))
	if d := o.Deploy; d != nil {
		f.add("image", source(d.Image))
		f.add("target", target(d.Target))
		f.add("erase", mark(d.Erase))
		f.add("dry run", mark(d.DryRun))
		f.add("after", d.After)
	}
	if o.Root != nil {
		f.add("words", shortHashes(strings.Join(o.Root.Words, " ")))
	}
	if r := o.Result; r != nil {
		f.add("disk", r.Disk)
		f.add("read", size(r.BytesRead))
		f.add("written", size(r.BytesWritten))
		f.add("image size", size(r.ImageBytes))
		var phases []string
		for _, p := range slices.Sorted(maps.Keys(r.Seconds)) {
			phases = append(phases, fmt.Sprintf("%s %.1f s", p, r.Seconds[p]))
		}
		f.add("took", strings.Join(phases, ", "))
	}
	return f
}

func size(n int64) string {
	if n == 0 {
		return ""
	}
	return human.Bytes(n)
}

func source(s api.Source) string {
	kind := s.Format
	if s.Compression != "" {
		kind += "." + s.Compression
	}
	return fmt.Sprintf("%s, %s, sha256 %s", kind, human.Bytes(s.Size), short(s.SHA256))
}

func target(h api.DiskHint) string {
	var words []string
	word := func(name, value string) {
		if value != "" {
			words = append(words, name+" "+value)
		}
	}
	word("path", h.Path)
	word("serial", h.Serial)
	word("wwn", h.WWN)
	word("model", h.Model)
	word("at least", size(h.MinSize))
	word("at most", size(h.MaxSize))
	if len(words) == 0 {
		return "the one disk that fits"
	}
	return strings.Join(words, ", ")
}

// writeOrder prints an order for people.
func writeOrder(w io.Writer, d *api.OrderDetail, machine string) {
	orderFields(&d.Order, machine).write(w, "")
	if d.Plan != nil {
		writePlan(w, d.Plan)
	}
	if len(d.Events) == 0 {
		return
	}
	fmt.Fprintln(w, "history")
	t := newTable("TIME", "ATTEMPT", "WHAT", "MESSAGE")
	for _, ev := range d.Events {
		what := ev.Kind
		switch {
		case ev.State != "":
			what = ev.State
		case ev.Phase != "":
			what = ev.Phase
		}
		if ev.Failed && ev.State != api.StateFailed {
			what += " (failed)"
		}
		t.add(clock(ev.Time), fmt.Sprint(ev.Attempt), what, ev.Message)
	}
	t.write(w, "  ")
}

// writePlan prints what will become of every disk, and the steps.
func writePlan(w io.Writer, p *api.Plan) {
	fmt.Fprintf(w, "plan %s\n", clean(short(p.Hash)))
	disks := newTable("DISK", "SIZE", "ACTION", "FOUND ON IT", "WHY", "ID")
	for _, d := range p.Disks {
		found := strings.Join(d.Found, ", ")
		if found == "" {
			found = "nothing"
		}
		disks.add(d.Path, human.Bytes(d.Size), d.Action, found, d.Why, d.ID)
	}
	disks.write(w, "  ")
	if len(p.Steps) == 0 {
		return
	}
	steps := newTable("STEP", "DISK", "BYTES", "DETAIL")
	for i, s := range p.Steps {
		steps.add(fmt.Sprintf("%d %s", i+1, s.Op), s.Disk, size(s.Bytes), shortHashes(s.Detail))
	}
	steps.write(w, "  ")
}

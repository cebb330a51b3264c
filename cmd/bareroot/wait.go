package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bareroot/api"
	"bareroot/client"
)

// Bounds of waiting for an order.
const (
	waitDefault = time.Hour       // of the whole order
	waitPoll    = 2 * time.Second // between looks when no change is heard of
	waitOutage  = 2 * time.Minute // without the server: it may be restarting
)

// waitFlags are --wait and --timeout of the verbs that place an order.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

func addWaitFlags(cmd *cobra.Command) *waitFlags {
	w := &waitFlags{}
	cmd.Flags().BoolVar(&w.wait, "wait", false, "show progress until the order is done; exit code 1 if it fails")
	cmd.Flags().DurationVar(&w.timeout, "timeout", waitDefault, "with --wait: give up waiting after this long (the order goes on)")
	return w
}

// follow reports the order o that was just placed, and waits for its end if
// asked to.
func (f *waitFlags) follow(cmd *cobra.Command, e *env, c *client.Client, o *api.Order, asJSON bool) error {
	if !f.wait {
		return show(e, asJSON, o, func(w io.Writer) {
			fmt.Fprintf(w, "order %s: %s is %s\n", clean(o.ID), clean(o.Kind), clean(o.State))
			fmt.Fprintln(w, "the machine takes it at once if it waits for orders, else when it netboots the next time")
			fmt.Fprintf(w, "follow it with: bareroot order show %s\n", clean(o.ID))
		})
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	p := newProgress(e.Stderr, "order "+clean(o.ID))
	d, err := await(ctx, c, o.ID, p, waitOutage)
	p.close()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(e.Stderr, "the order goes on without us; look with: bareroot order show %s\n", clean(o.ID))
			why := ctx.Err() // context.Canceled: interrupted
			if errors.Is(why, context.DeadlineExceeded) {
				why = fmt.Errorf("not done within %s", f.timeout)
			}
			err = fmt.Errorf("wait for order %s: %w", clean(o.ID), why)
		}
		return err
	}
	d.Events = list(d.Events)
	err = show(e, asJSON, d, func(w io.Writer) {
		if dry := d.Deploy != nil && d.Deploy.DryRun; dry && d.Plan != nil {
			writePlan(w, d.Plan)
		}
		orderSummary(&d.Order).write(w, "")
	})
	if err == nil && d.State != api.StateDone {
		err = fmt.Errorf("order %s %s", clean(d.ID), clean(d.State))
		if d.Message != "" {
			err = fmt.Errorf("%w: %s", err, clean(d.Message))
		}
	}
	return err
}

// orderSummary leaves out what the person has just typed.
func orderSummary(o *api.Order) *fields {
	short := *o
	short.Deploy, short.Root = nil, nil
	return orderFields(&short, "")
}

// await shows how order id gets on until it ends. A server that goes away for
// less than outage is waited for.
func await(ctx context.Context, c *client.Client, id string, p progress, outage time.Duration) (*api.OrderDetail, error) {
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { nudge(ctx, c, id, changed) })
	defer wg.Wait()
	defer cancel()

	tick := time.NewTicker(waitPoll)
	defer tick.Stop()
	var lost time.Time // when the server was first missed
	for {
		d, err := c.Order(ctx, id)
		var problem *api.Problem
		switch {
		case err == nil:
			lost = time.Time{}
			p.show(&d.Order)
			if final(d.State) {
				return d, nil
			}
		case ctx.Err() != nil, errors.As(err, &problem) && problem.Status < 500:
			return nil, err
		case lost.IsZero():
			lost = time.Now()
			p.note("the server does not answer; trying again for " + outage.String())
		case time.Since(lost) > outage:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-tick.C:
		}
	}
}

// nudge puts a token into changed whenever the order may have changed. Errors
// are not told: await looks for itself now and then, and meets the same.
func nudge(ctx context.Context, c *client.Client, id string, changed chan<- struct{}) {
	for ch, err := range c.Events(ctx) {
		if err != nil || ch.Order != id && ch != (api.Change{}) {
			continue
		}
		select {
		case changed <- struct{}{}:
		default: // one is waiting already
		}
	}
}

func final(state string) bool {
	return state == api.StateDone || state == api.StateFailed || state == api.StateCancelled
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/human"
	"bareroot/internal/lab/console"
)

// Bounds of the steps of one machine. They are wide: two busy cores that
// emulate three machines are slow.
const (
	boundImport   = 60 * time.Second
	boundDiscover = 6 * time.Minute
	boundOrder    = 15 * time.Minute
	boundLogin    = 8 * time.Minute
)

// target is a machine of the demo and what it is to become.
type target struct {
	Name     string
	Firmware string // for people
	Live     bool   // runs the squashfs; else gets the image on its disk
	Console  string // log file of its serial console
}

// outcome is what the demo saw of one machine.
type outcome struct {
	target
	Err       error
	Facts     string // one line
	PowerOn   time.Time
	Found     time.Time // facts arrived
	Ordered   time.Time
	Finished  time.Time // the order ended
	LoginSeen time.Time
	Result    *api.Result
}

// drive takes one machine from power-on to its goal and reports each step to show.
func drive(ctx context.Context, c *client.Client, t target, show func(func(*row))) outcome {
	o := outcome{target: t}
	o.Err = o.run(ctx, c, show)
	switch {
	case o.Err != nil && ctx.Err() != nil:
		show(func(r *row) { r.State, r.Message, r.Total = "left", "interrupted", 0 })
	case o.Err != nil:
		show(func(r *row) { r.Failed, r.State, r.Message = true, "failed", o.Err.Error() })
	}
	return o
}

func (o *outcome) run(ctx context.Context, c *client.Client, show func(func(*row))) error {
	// The server learns of the machine from the Redfish service.
	if _, err := o.wait(ctx, c, boundImport, "the server to read it from the Redfish service", show, func(m *api.Machine) bool { return true }); err != nil {
		return err
	}
	log, err := follow(ctx, o.Console)
	if err != nil {
		return fmt.Errorf("watch %s: %w", o.Name, err)
	}
	defer log.stop()

	show(func(r *row) { r.State, r.Message = "power on", "over Redfish, network first" })
	o.PowerOn = time.Now()
	if _, err := c.Power(ctx, o.Name, api.PowerRequest{Action: "on", Boot: "pxe"}); err != nil {
		return fmt.Errorf("power on %s: %w", o.Name, err)
	}
	m, err := o.wait(ctx, c, boundDiscover, "it to be discovered", show, func(m *api.Machine) bool { return m.Facts != nil })
	if err != nil {
		return err
	}
	o.Found = time.Now()
	o.Facts = factsLine(m.Facts)
	show(func(r *row) { r.State, r.Message = "discovered", o.Facts })

	if _, err := c.Approve(ctx, o.Name, api.ApproveRequest{}); err != nil {
		return fmt.Errorf("approve %s: %w", o.Name, err)
	}
	req := api.OrderRequest{Kind: api.KindDeploy, Image: imageDisk}
	if o.Live {
		req = api.OrderRequest{Kind: api.KindRoot, Image: imageLive}
	}
	order, err := c.PlaceOrder(ctx, o.Name, req)
	if err != nil {
		return fmt.Errorf("order %s for %s: %w", req.Kind, o.Name, err)
	}
	o.Ordered = time.Now()
	m, err = o.wait(ctx, c, boundOrder, "its order to end", show, func(m *api.Machine) bool {
		return m.Order != nil && m.Order.ID == order.ID && final(m.Order.State)
	})
	if err != nil {
		return err
	}
	o.Finished, o.Result = time.Now(), m.Order.Result
	if m.Order.State != api.StateDone {
		return fmt.Errorf("order %s is %s: %s", order.ID, m.Order.State, m.Order.Message)
	}
	what := "boots from its own disk"
	if o.Live {
		what = "boots the live root"
	}
	show(func(r *row) { r.State, r.Message, r.Total = "starting", what, 0 })
	if _, err := log.Expect(ctx, loginPrompt, boundLogin); err != nil {
		return fmt.Errorf("wait for the login prompt of %s: %w", o.Name, err)
	}
	o.LoginSeen = time.Now()
	show(func(r *row) {
		r.Goal, r.State = true, "ready"
		r.Message = fmt.Sprintf("login prompt %s after power-on", human.Duration(o.LoginSeen.Sub(o.PowerOn)))
	})
	return nil
}

var loginPrompt = regexp.MustCompile(`login: `)

// consoleLog is a console's log as it grows, from its start on.
type consoleLog struct {
	console.Stream
	stop func()
}

func follow(ctx context.Context, path string) (*consoleLog, error) {
	// The log is there once the machine was first switched on.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	ctx, cancel := context.WithCancel(ctx)
	l := &consoleLog{}
	done := make(chan struct{})
	l.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		l.End(console.Follow(ctx, path, &l.Stream))
	}()
	return l, nil
}

func final(state string) bool {
	return state == api.StateDone || state == api.StateFailed || state == api.StateCancelled
}

// wait polls the machine until done says so, showing what it does meanwhile.
// It polls because the display wants a picture a second anyway.
func (o *outcome) wait(ctx context.Context, c *client.Client, bound time.Duration, what string, show func(func(*row)), done func(*api.Machine) bool) (*api.Machine, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := "nothing yet"
	for {
		m, err := c.Machine(ctx, o.Name)
		var problem *api.Problem
		switch {
		case err == nil:
			if done(m) {
				return m, nil
			}
			last = m.Status
			if m.Message != "" {
				last += ": " + m.Message
			}
			show(func(r *row) { r.fill(m) })
		case errors.As(err, &problem) && problem.Status == 404:
		case ctx.Err() == nil:
			last = err.Error()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("waited %s for %s; last heard: %s", human.Duration(bound), what, last)
			}
			return nil, ctx.Err()
		}
	}
}

// fill shows what the server knows of the machine.
func (r *row) fill(m *api.Machine) {
	if m.Phase != "" {
		r.State = m.Phase
	}
	if m.Message != "" {
		r.Message = m.Message
	}
	r.Total = 0
	if m.Order != nil && m.Order.Progress != nil && !final(m.Order.State) {
		p := m.Order.Progress
		r.Done, r.Total, r.Rate = p.Done, p.Total, p.Rate
		if p.Phase != "" {
			r.State = p.Phase
		}
	}
}

// factsLine is the inventory in one line.
func factsLine(f *api.Facts) string {
	var disks []string
	for _, d := range f.Disks {
		disks = append(disks, fmt.Sprintf("%s %s", d.ID, human.Bytes(d.Size)))
	}
	return fmt.Sprintf("%s firmware, %s, %s memory, %s, disks: %s",
		f.Firmware, human.Count(f.CPU.Threads, "cpu"), human.Bytes(f.Memory.Usable), human.Count(len(f.NICs), "NIC"), strings.Join(disks, ", "))
}

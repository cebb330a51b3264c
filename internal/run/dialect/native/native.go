// Package native is bareroot's own dialect: the agent protocol of package
// api, spoken to the machine's own server with the session that
// bareroot-init opened. It carries orders and reports; it does not act on them
// and does not retry (package agent does).
package native

import (
	"context"
	"time"

	"bareroot/api"
	"bareroot/client"
)

// poll is how long the server may hold a question for an order.
const poll = 25 * time.Second

// Dialect talks to one server in one session.
type Dialect struct {
	client    *client.Agent
	cancelled chan string
}

// New wraps a client that has its session token.
func New(c *client.Agent) *Dialect {
	return &Dialect{client: c, cancelled: make(chan string, 16)}
}

// Next waits for an order for a while; nil without an error if none came.
func (d *Dialect) Next(ctx context.Context) (*api.Order, error) { return d.client.Next(ctx, poll) }

// Report delivers one event.
func (d *Dialect) Report(ctx context.Context, ev api.Event) error {
	reply, err := d.client.Events(ctx, api.EventBatch{Events: []api.Event{ev}})
	if err != nil {
		return err
	}
	for _, id := range reply.Cancelled {
		select {
		case d.cancelled <- id:
		default: // nobody listens yet; the next reply says it again
		}
	}
	return nil
}

// Cancelled gives the ids of orders that must stop.
func (d *Dialect) Cancelled() <-chan string { return d.cancelled }

// Facts delivers the machine's inventory.
func (d *Dialect) Facts(ctx context.Context, f api.Facts) error { return d.client.Facts(ctx, f) }

// Log delivers a piece of the boot's log.
func (d *Dialect) Log(ctx context.Context, offset int64, data []byte) error {
	return d.client.Log(ctx, offset, data)
}

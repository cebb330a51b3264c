package agent

import (
	"context"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/internal/run/role"
)

// fake is a master: it hands out orders and remembers what it was told.
type fake struct {
	mu     sync.Mutex
	orders []api.Order
	events []api.Event
	facts  int
	log    []byte
	err    error // while set, nothing works
	cancel chan string
	onPost func(api.Event)
}

func (f *fake) Next(ctx context.Context) (*api.Order, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if len(f.orders) > 0 {
		o := f.orders[0]
		f.orders = f.orders[1:]
		return &o, nil
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-time.After(25 * time.Second):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fake) Report(_ context.Context, ev api.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.events = append(f.events, ev)
	if f.onPost != nil {
		f.onPost(ev)
	}
	return nil
}

func (f *fake) Facts(context.Context, api.Facts) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.facts++
	}
	return f.err
}

func (f *fake) Log(_ context.Context, off int64, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.log = append(f.log[:off], data...)
	}
	return f.err
}

func (f *fake) Cancelled() <-chan string { return f.cancel }

func (f *fake) setErr(err error) { f.mu.Lock(); f.err = err; f.mu.Unlock() }

type roleFunc func(ctx context.Context, o api.Order, rep role.Reporter) error

func (f roleFunc) Run(ctx context.Context, o api.Order, rep role.Reporter) error {
	return f(ctx, o, rep)
}

package boot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bareroot/internal/run/hook"
)

// round is how often conditions are looked at that no event announces.
const round = 500 * time.Millisecond

// stageInitqueue is everything that waits: network, server, agent, what the
// root is made of, and beside it the hooks of initqueue and their conditions.
func (b *Boot) stageInitqueue(ctx context.Context) error {
	if err := b.runHooks(ctx, "initqueue"); err != nil {
		return err
	}
	if !b.hooks.Any("initqueue/settled", "initqueue/timeout", "initqueue/finished") {
		return b.findRoot(ctx)
	}
	sub, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	queue := make(chan error, 1)
	wg.Go(func() { queue <- b.queue(sub) })
	defer func() { cancel(); wg.Wait() }()
	if err := b.findRoot(ctx); err != nil {
		cancel()
		if qerr := <-queue; !errors.Is(qerr, context.Canceled) {
			err = errors.Join(err, qerr)
		}
		return err
	}
	b.log.Debugf("the root is there; waiting for the hooks of initqueue")
	return <-queue
}

// findRoot brings up the network if need be, says hello, runs the agent, and
// waits for what the root is made of.
func (b *Boot) findRoot(ctx context.Context) error {
	if b.needNetwork() {
		if err := b.online(ctx); err != nil {
			return err
		}
	}
	if err := b.hello(ctx); err != nil {
		return err
	}
	if b.order == nil && b.role() != "root" {
		if err := b.runAgent(ctx); err != nil {
			return err
		}
	}
	if err := b.adopt("initqueue/settled"); err != nil {
		return err
	}
	if b.hookRoot() {
		b.did("the root is the business of the mount hooks (rootok)")
		b.root = handMade{}
		return nil
	}
	return b.prepareRoot(ctx)
}

// online waits for the network and runs the hooks for its interface.
func (b *Boot) online(ctx context.Context) error {
	if err := b.awaitNetwork(ctx); err != nil {
		return err
	}
	return b.runHooks(ctx, "initqueue/online", b.up.Device)
}

// queue runs the settled hooks whenever devices came to rest, the timeout
// hooks when two thirds of the time are over, and ends when the finished hooks
// are all true.
func (b *Boot) queue(ctx context.Context) error {
	limit := b.limit()
	start := time.Now()
	tick := time.NewTicker(round)
	defer tick.Stop()
	told, late := false, false
	var changed <-chan struct{}
	for {
		// Taken before the hooks look, so that no change is missed.
		now := b.devices.Changed()
		if b.devices.Settled() && changed != now {
			changed = now
			b.log.Debugf("devices have settled")
			for _, err := range b.hooks.Each(ctx, hook.Call{Stage: "initqueue/settled", Vars: b.hookVars()}) {
				b.log.Debugf("not yet: %v", err)
			}
		}
		open := b.hooks.Each(ctx, hook.Call{Stage: "initqueue/finished", Vars: b.hookVars(), Silent: true})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(open) == 0 && changed != nil {
			return nil
		}
		waited := time.Since(start)
		if waited >= limit && late { // never without the timeout hooks, however slow the others were
			return fmt.Errorf("not all conditions were true within %s: %w", limit, errors.Join(open...))
		}
		if !told && waited > 10*time.Second {
			told = true
			b.log.Infof("waiting for conditions: %v", errors.Join(open...))
		}
		if waited > limit*2/3 {
			if !late {
				late = true
				b.log.Warnf("two thirds of rd.retry are over: the timeout hooks run")
			}
			for _, err := range b.hooks.Each(ctx, hook.Call{Stage: "initqueue/timeout", Vars: b.hookVars(), Once: true}) {
				b.log.Debugf("timeout hook: %v", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

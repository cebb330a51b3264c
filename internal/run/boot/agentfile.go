package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/errand"
	"bareroot/internal/sys"
)

// errNoAgent is a ramdisk that lacks what the boot is asked for.
var errNoAgent = errors.New("this ramdisk was built without bareroot-agent, which speaks HTTP; build it with --add-feature url")

// hasAgent says whether the agent is in this ramdisk.
func hasAgent() bool {
	for _, p := range []string{rdconf.AgentPath, rdconf.AgentPacked} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// readyAgent unpacks the agent, unless it is. It is compressed by itself because
// most boots do not need it.
func (b *Boot) readyAgent(ctx context.Context) error {
	b.unpacking.Lock()
	defer b.unpacking.Unlock()
	if _, err := os.Stat(rdconf.AgentPath); err == nil {
		return nil
	}
	if !hasAgent() {
		return errNoAgent
	}
	start := time.Now()
	if err := unpack(ctx, rdconf.AgentPacked, rdconf.AgentPath); err != nil {
		return fmt.Errorf("unpack bareroot-agent: %w", err)
	}
	_ = os.Remove(rdconf.AgentPacked) // it is memory
	b.log.Debugf("bareroot-agent unpacked in %.2f s", time.Since(start).Seconds())
	return nil
}

// readyAgentSoon unpacks the agent while something else is waited for, if that
// takes no time from it. What goes wrong is said by who needs it.
func (b *Boot) readyAgentSoon() {
	if b.readying != nil || !hasAgent() || runtime.NumCPU() == 1 {
		return
	}
	ctx, cancel := context.WithCancel(b.life)
	done := make(chan struct{})
	b.readying = func() { cancel(); <-done }
	go func() { defer close(done); _ = b.readyAgent(ctx) }()
}

// stopReadying ends that, if it still goes on: nobody waits for it any more.
func (b *Boot) stopReadying() {
	if b.readying != nil {
		b.readying()
		b.readying = nil
	}
}

// unpack makes a program of a zstd file, whole or not at all. zstd's checksum
// says that it is what was packed.
func unpack(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return err
	}
	defer d.Close()
	tmp := to + ".new"
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, sys.UntilDone(ctx, d))
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(tmp, to)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// newCourier is an agent that runs errands, started when there is one.
func (b *Boot) newCourier() *errand.Sender {
	crash := &restarts{max: 5, within: time.Minute}
	return &errand.Sender{
		Start: func(ctx context.Context) (errand.Process, error) {
			if err := b.readyAgent(ctx); err != nil {
				return nil, err
			}
			return b.reaper.Talk([]string{rdconf.AgentPath, errand.Flag}, func(s string) { b.log.Warnf("agent: %s", s) })
		},
		Again: func() bool { return crash.allow(time.Now()) },
	}
}

// runErrand has an errand run by an agent of its own: the other one has news to send
// meanwhile.
func (b *Boot) runErrand(ctx context.Context, e errand.Errand, hear func(errand.Answer)) (errand.Answer, error) {
	c := b.newCourier()
	defer c.Close()
	return c.Send(ctx, e, hear)
}

package inventory

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
)

// What a neighbour can pile up is bounded: machines made up, interfaces of
// one machine, the history of an order.
func TestMadeUpMachines(t *testing.T) {
	b := newBench(t)
	b.Close()
	s, err := New(Config{StateDir: filepath.Join(b.dir, "state"), BaseURL: "http://10.0.0.1:8080", Now: func() time.Time { return b.at }, MaxUnknown: 20})
	if err != nil {
		t.Fatal(err)
	}
	b.Service = s
	b.boot("real") // said hello: it is never dropped
	ask := func(i int) error {
		_, err := b.NetBoot(b.ctx, order.BootRequest{MAC: fmt.Sprintf("52:54:01:00:%02x:%02x", i>>8, i), Arch: "amd64"})
		return err
	}
	for i := range 19 {
		if err := ask(i); err != nil {
			t.Fatal(err)
		}
	}
	wantStatus(t, ask(100), 503, "20 machines wait for approval")
	if err := ask(3); err != nil {
		t.Errorf("one that is known already is refused: %v", err)
	}
	if err := b.Import(b.ctx, PowerSystem{UUID: "9f1b3c2e-0a4d-4b8e-9c55-00000000aaaa", Name: "of-the-operator"}); err != nil {
		t.Errorf("one that the power driver knows is refused: %v", err)
	}
	b.later(2 * time.Hour)
	if err := ask(100); err != nil {
		t.Errorf("two hours later: %v", err)
	}
	ms, err := b.Machines(b.ctx)
	if err != nil || len(ms) != 3 {
		t.Errorf("%d machines are left, want the one that said hello, the imported one and the newest; %v", len(ms), err)
	}
	if _, err := b.Machine(b.ctx, testUUID); err != nil {
		t.Error(err)
	}
}

func TestMadeUpInterfaces(t *testing.T) {
	b := newBench(t)
	for i := range 2 * maxMACs {
		b.later(time.Hour) // not a boot loop
		if _, err := b.NetBoot(b.ctx, order.BootRequest{UUID: testUUID, MAC: fmt.Sprintf("52:54:01:00:%02x:%02x", i>>8, i), Arch: "amd64"}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Machine(b.ctx, testUUID)
	if err != nil || len(m.MACs) != maxMACs {
		t.Errorf("%d interfaces, %v", len(m.MACs), err)
	}
}

func TestMadeUpHistory(t *testing.T) {
	b := newBench(t)
	ss := b.boot("b-1")
	b.approve()
	o := b.place(api.OrderRequest{Kind: api.KindReboot})
	if _, err := b.Next(b.ctx, ss, 0); err != nil {
		t.Fatal(err)
	}
	tell := func(from, n, attempt int) error {
		var batch api.EventBatch
		for i := range n {
			batch.Events = append(batch.Events, api.Event{Order: o.ID, Attempt: attempt, Seq: from + i, Kind: api.EventState, State: api.StateRunning})
		}
		_, err := b.Events(context.Background(), ss, batch)
		return err
	}
	for i := range 4 {
		if err := tell(1+1000*i, 1000, 1); err != nil {
			t.Fatal(err)
		}
	}
	d, err := b.Order(b.ctx, o.ID)
	if err != nil || len(d.Events) > maxEvents+maxStates+5 { // some are the server's own
		t.Errorf("%d events are kept, %v", len(d.Events), err)
	}
	for _, attempt := range []int{-1, 0, 2, 1 << 40} {
		var p *api.Problem
		if err := tell(1, 1, attempt); !errors.As(err, &p) || p.Status != 400 {
			t.Errorf("attempt %d: %v", attempt, err)
		}
	}
}

// Package storetest is what any store of the server must do. A test of each
// store runs it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/bootset"
	"bareroot/internal/serve/store"
)

// Store is what is tested.
type Store interface {
	Update(context.Context, func(*store.Tx) error) error
	View(context.Context, func(*store.Tx) error) error
	Close() error
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// Run tests the stores that open makes: each call an empty one.
func Run(t *testing.T, open func(*testing.T) Store) {
	for name, f := range map[string]func(*testing.T, Store){
		"machines": machines, "orders": orders, "one open order": oneOpenOrder, "events": events, "boots": boots,
		"images": images, "boot sets": bootSets, "stamps": stamps, "rollback": rollback, "counters": counters,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			f(t, s)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, s Store, f func(*store.Tx) error) {
	t.Helper()
	must(t, s.Update(t.Context(), f))
}

func same[T any](t *testing.T, s Store, want T, read func(*store.Tx) (T, error)) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := read(tx)
		if d := cmp.Diff(want, got); d != "" && err == nil {
			t.Error(d)
		}
		return err
	}))
}

func absent[T any](t *testing.T, s Store, read func(*store.Tx) (T, error)) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		if _, err := read(tx); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("error %v, want not found", err)
		}
		return nil
	}))
}

func machine(id string) store.Machine {
	return store.Machine{ID: id, Name: "node-" + id, UUID: "uuid-" + id, Approval: api.ApprovalNew, Boot: api.BootDiscover, RootWords: []string{}, Warnings: []string{}, Created: start}
}

func withMachine(t *testing.T, s Store) store.Machine {
	t.Helper()
	m := machine("m-1")
	update(t, s, func(tx *store.Tx) error { return tx.PutMachine(m) })
	return m
}

func machines(t *testing.T, s Store) {
	m := store.Machine{
		ID: "m-1", Name: "n", UUID: "u", Approval: "held", Reason: "r", Boot: "root", RootWords: []string{"root=x", "a b"}, RootOrder: "o-1", BootSet: "b", Seen: start,
		BootAttempt: "a", BootID: "i", Phase: "p", Message: "m", Failed: true, Address: "1", Firmware: "bios", Power: "on", BMC: "c", Warnings: []string{"w"}, GuardSince: start, Created: start,
	}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutMachine(m), tx.PutMAC("aa", m.ID, start), tx.PutMAC("bb", m.ID, start.Add(1)), tx.PutFacts(m.ID, []byte(`{"version":1}`), start))
	})
	same(t, s, m, func(tx *store.Tx) (store.Machine, error) { return tx.Machine("m-1") })
	same(t, s, m, func(tx *store.Tx) (store.Machine, error) { return tx.MachineByName("n") })
	same(t, s, m, func(tx *store.Tx) (store.Machine, error) { return tx.MachineByUUID("u") })
	same(t, s, m, func(tx *store.Tx) (store.Machine, error) { return tx.MachineByMAC("bb") })
	same(t, s, []store.MAC{{MAC: "aa", Machine: "m-1"}, {MAC: "bb", Machine: "m-1"}}, func(tx *store.Tx) ([]store.MAC, error) { return tx.MACs("m-1") })
	same(t, s, []byte(`{"version":1}`), func(tx *store.Tx) ([]byte, error) { return tx.Facts("m-1") })
	same(t, s, []string{"m-1"}, func(tx *store.Tx) ([]string, error) { return tx.Discovered() })
	absent(t, s, func(tx *store.Tx) (store.Machine, error) { return tx.MachineByUUID("") })
	other := machine("m-2")
	other.UUID = ""
	third := machine("m-3")
	third.UUID = "" // several may have none
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.PutMachine(other), tx.PutMachine(third)) })
	other.Name = "n"
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.PutMachine(other) }); err == nil {
		t.Error("two machines of one name")
	}
	update(t, s, func(tx *store.Tx) error { return tx.DeleteMachine("m-1") })
	absent(t, s, func(tx *store.Tx) (store.Machine, error) { return tx.MachineByMAC("aa") })
	same(t, s, nil, func(tx *store.Tx) ([]byte, error) { return tx.Facts("m-1") })
}

func anOrder(n int64, state string) store.Order {
	return store.Order{N: n, Order: api.Order{ID: fmt.Sprintf("o-%d", n), Machine: "m-1", Kind: api.KindReboot, State: state, Created: start, Updated: start}}
}

func orders(t *testing.T, s Store) {
	withMachine(t, s)
	o := anOrder(1, api.StateRunning)
	o.Kind, o.SpecHash, o.Attempt, o.Restarts, o.Boot, o.Phase, o.Message = api.KindDeploy, "h", 2, 1, "b", "write", "m"
	o.Deploy = &api.DeploySpec{Image: api.Source{SHA256: "s", Size: 5}, Target: api.DiskHint{Serial: "x"}, Erase: true}
	o.Progress = &api.Event{Seq: 7, Done: 3, Time: start}
	o.Result = &api.Result{BytesRead: 9}
	old := anOrder(2, api.StateDone)
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.PutOrder(o), tx.PutOrder(old)) })
	same(t, s, o, func(tx *store.Tx) (store.Order, error) { return tx.Order("o-1") })
	same(t, s, o, func(tx *store.Tx) (store.Order, error) { return tx.OpenOrder("m-1") })
	same(t, s, []store.Order{old, o}, func(tx *store.Tx) ([]store.Order, error) { return tx.Orders("m-1") })
	same(t, s, []store.Order{o}, func(tx *store.Tx) ([]store.Order, error) { return tx.NewestOrders("") })
	o.State = api.StateDone
	update(t, s, func(tx *store.Tx) error { return tx.PutOrder(o) })
	absent(t, s, func(tx *store.Tx) (store.Order, error) { return tx.OpenOrder("m-1") })
	same(t, s, []store.Order{old}, func(tx *store.Tx) ([]store.Order, error) { return tx.NewestOrders("m-1") })
}

func oneOpenOrder(t *testing.T, s Store) {
	withMachine(t, s)
	update(t, s, func(tx *store.Tx) error { return tx.PutOrder(anOrder(1, api.StateQueued)) })
	err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.PutOrder(anOrder(2, api.StateQueued)) })
	if err == nil {
		t.Error("two open orders of one machine")
	}
}

func events(t *testing.T, s Store) {
	withMachine(t, s)
	add := func(e store.Event) (added bool) {
		update(t, s, func(tx *store.Tx) (err error) { added, err = tx.AddEvent(e); return err })
		return added
	}
	e := store.Event{Machine: "m-1", Order: "o-1", Attempt: 1, Boot: "b", Seq: 5, Event: api.Event{Seq: 5, Message: "first"}}
	server := store.Event{Machine: "m-1", Order: "o-1", Attempt: 1, Event: api.Event{Message: "server"}}
	again, boot := e, e
	again.Event.Message, again.Boot = "again", "c"
	other := e
	other.Told = start
	boot.Order, boot.Event.Message = "", "boot"
	for i, c := range []struct {
		e    store.Event
		want bool
	}{{e, true}, {again, false}, {other, true}, {other, false}, {server, true}, {server, true}, {boot, true}, {boot, false}} {
		if got := add(c.e); got != c.want {
			t.Errorf("event %d added: %v", i, got)
		}
	}
	same(t, s, []api.Event{e.Event, other.Event, server.Event, server.Event}, func(tx *store.Tx) ([]api.Event, error) { return tx.OrderEvents("o-1") })
	same(t, s, 4, func(tx *store.Tx) (int, error) { return tx.CountEvents("o-1", 1, "") })
	update(t, s, func(tx *store.Tx) error { return tx.DropBootEvents("b") })
	same(t, s, 0, func(tx *store.Tx) (int, error) { return tx.CountEvents("", 0, "b") })
	same(t, s, 4, func(tx *store.Tx) (int, error) { return tx.CountEvents("o-1", 1, "") })
}

func boots(t *testing.T, s Store) {
	withMachine(t, s)
	b := store.Boot{Attempt: "a", N: 1, Machine: "m-1", Role: "discover", BootSet: "s", NonceHash: "n", Segment: []byte{1, 0, 2}, Created: start}
	update(t, s, func(tx *store.Tx) error { return tx.PutBoot(b) })
	same(t, s, b, func(tx *store.Tx) (store.Boot, error) { return tx.BootByNonce("n") })
	absent(t, s, func(tx *store.Tx) (store.Boot, error) { return tx.BootByToken("") })
	b.Fetched, b.Hello, b.TokenHash, b.BootID, b.Remote, b.Goal, b.Reached = start, start.Add(1), "t", "i", "r", "o-1", true
	update(t, s, func(tx *store.Tx) error { return tx.PutBoot(b) })
	same(t, s, b, func(tx *store.Tx) (store.Boot, error) { return tx.BootByToken("t") })
	update(t, s, func(tx *store.Tx) error { return tx.DropSegments(start) })
	same(t, s, b, func(tx *store.Tx) (store.Boot, error) { return tx.Boot("a") })
	update(t, s, func(tx *store.Tx) error { return tx.DropSegments(start.Add(1)) })
	b.Segment = nil
	same(t, s, []store.Boot{b}, func(tx *store.Tx) ([]store.Boot, error) { return tx.Boots("m-1") })
	update(t, s, func(tx *store.Tx) error { return tx.DropBoot("a") })
	absent(t, s, func(tx *store.Tx) (store.Boot, error) { return tx.Boot("a") })
}

func images(t *testing.T, s Store) {
	i := api.Image{Name: "i", SHA256: "s", Size: 1 << 40, Format: "raw", Compression: "zstd", RawSize: 1 << 41, Added: start}
	update(t, s, func(tx *store.Tx) error { return tx.PutImage(i) })
	i.Verified, i.Problem = start, "rot"
	update(t, s, func(tx *store.Tx) error { return tx.PutImage(i) })
	same(t, s, i, func(tx *store.Tx) (api.Image, error) { return tx.Image("i") })
	same(t, s, i, func(tx *store.Tx) (api.Image, error) { return tx.ImageBySHA256("s") })
	same(t, s, []api.Image{i}, func(tx *store.Tx) ([]api.Image, error) { return tx.Images() })
	update(t, s, func(tx *store.Tx) error { return tx.DeleteImage("i") })
	absent(t, s, func(tx *store.Tx) (api.Image, error) { return tx.Image("i") })
}

func bootSets(t *testing.T, s Store) {
	b := store.BootSet{Name: "b", Manifest: bootset.Manifest{ID: "x", Arch: "amd64", Segments: []bootset.Segment{{Kind: "userland", Blob: bootset.Blob{File: "f"}}}}, Added: start}
	update(t, s, func(tx *store.Tx) error { return tx.AddBootSet(b) })
	same(t, s, b, func(tx *store.Tx) (store.BootSet, error) { return tx.BootSetByID("x") })
	same(t, s, []store.BootSet{b}, func(tx *store.Tx) ([]store.BootSet, error) { return tx.BootSets() })
	update(t, s, func(tx *store.Tx) error { return tx.DeleteBootSet("b") })
	absent(t, s, func(tx *store.Tx) (store.BootSet, error) { return tx.BootSet("b") })
}

func stamps(t *testing.T, s Store) {
	withMachine(t, s)
	var want []store.Stamp
	for n := range 6 {
		st := store.Stamp{At: start.Add(time.Duration(n)), What: fmt.Sprint(n)}
		if n >= 2 {
			want = append(want, st)
		}
		update(t, s, func(tx *store.Tx) error { return tx.AddStamp("m-1", st, 4) })
	}
	same(t, s, want, func(tx *store.Tx) ([]store.Stamp, error) { return tx.Stamps("m-1") })
}

func rollback(t *testing.T, s Store) {
	broken := errors.New("broken")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.PutMachine(machine("m-1")), tx.PutSetting("k", "v"), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	absent(t, s, func(tx *store.Tx) (store.Machine, error) { return tx.Machine("m-1") })
	same(t, s, "", func(tx *store.Tx) (string, error) { return tx.Setting("k") })
}

func counters(t *testing.T, s Store) {
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				var n int64
				if err := s.Update(t.Context(), func(tx *store.Tx) (err error) { n, err = tx.Count("c"); return err }); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[n] {
					t.Errorf("%d was given twice", n)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 40 || !seen[1] || !seen[40] {
		t.Errorf("%d values", len(seen))
	}
}

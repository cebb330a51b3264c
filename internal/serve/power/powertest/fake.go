package powertest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/power"
)

// Fake is a driver in memory.
type Fake struct {
	mu      sync.Mutex
	systems []inventory.PowerSystem
	boot    map[string]string
	starts  map[string]int
	err     error
}

// NewFake holds the machines that the suite wants.
func NewFake() *Fake {
	return &Fake{systems: Want(), boot: map[string]string{}, starts: map[string]int{}}
}

// Service is the fake with a look behind it.
func (f *Fake) Service() Service {
	return Service{
		Driver:   f,
		BootOnce: func(uuid string) string { f.mu.Lock(); defer f.mu.Unlock(); return f.boot[uuid] },
		Starts:   func(uuid string) int { f.mu.Lock(); defer f.mu.Unlock(); return f.starts[uuid] },
	}
}

// Break makes every call fail with err, until it is nil.
func (f *Fake) Break(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// with calls do with the machine, under the lock.
func (f *Fake) with(ctx context.Context, uuid string, do func(*inventory.PowerSystem) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.err != nil {
		return f.err
	}
	for i := range f.systems {
		if f.systems[i].UUID == uuid {
			return do(&f.systems[i])
		}
	}
	return fmt.Errorf("find %s: %w", uuid, power.ErrUnknown)
}

func (f *Fake) start(s *inventory.PowerSystem) {
	s.Power = power.On
	f.starts[s.UUID]++
	delete(f.boot, s.UUID)
}

// Systems implements power.Driver.
func (f *Fake) Systems(ctx context.Context) ([]inventory.PowerSystem, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.err != nil {
		return nil, f.err
	}
	return slices.Clone(f.systems), nil
}

// Status implements power.Driver.
func (f *Fake) Status(ctx context.Context, uuid string) (state string, err error) {
	err = f.with(ctx, uuid, func(s *inventory.PowerSystem) error { state = s.Power; return nil })
	return state, err
}

// On implements power.Driver.
func (f *Fake) On(ctx context.Context, uuid string) error {
	return f.with(ctx, uuid, func(s *inventory.PowerSystem) error {
		if s.Power != power.On {
			f.start(s)
		}
		return nil
	})
}

// Off implements power.Driver.
func (f *Fake) Off(ctx context.Context, uuid string) error {
	return f.with(ctx, uuid, func(s *inventory.PowerSystem) error { s.Power = power.Off; return nil })
}

// Cycle implements power.Driver.
func (f *Fake) Cycle(ctx context.Context, uuid string) error {
	return f.with(ctx, uuid, func(s *inventory.PowerSystem) error { f.start(s); return nil })
}

// SetBootOnce implements power.Driver.
func (f *Fake) SetBootOnce(ctx context.Context, uuid, device string) error {
	return f.with(ctx, uuid, func(s *inventory.PowerSystem) error {
		if device != power.BootPXE && device != power.BootDisk {
			return fmt.Errorf("boot device %q is not known", device)
		}
		f.boot[uuid] = device
		return nil
	})
}

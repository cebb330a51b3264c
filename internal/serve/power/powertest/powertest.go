// Package powertest is what every power.Driver must do, as a test suite, and
// a fake driver that does it without a controller.
package powertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/power"
)

// UUIDs of the machines that the suite wants a service to hold: the first is
// off and has two interfaces, the second is on and has one.
const (
	First  = "6f1d0c2e-0001-4000-8000-00000000000a"
	Second = "6f1d0c2e-0001-4000-8000-00000000000b"
	absent = "6f1d0c2e-0001-4000-8000-0000000000ff"
)

// Want is what Systems must say of a service fresh from the factory.
func Want() []inventory.PowerSystem {
	return []inventory.PowerSystem{
		{UUID: First, Name: "one", MACs: []string{"52:54:00:aa:00:01", "52:54:00:aa:00:02"}, Power: power.Off},
		{UUID: Second, Name: "two", MACs: []string{"52:54:00:aa:00:03"}, Power: power.On},
	}
}

// Service is a driver under test and a look behind it.
type Service struct {
	power.Driver
	// BootOnce is the override that waits for the machine's next start: pxe,
	// disk or "".
	BootOnce func(uuid string) string
	// Starts counts how often the machine began from the beginning.
	Starts func(uuid string) int
}

// Run runs the suite; make gives a fresh service each time.
func Run(t *testing.T, make func(t *testing.T) Service) {
	state := func(t *testing.T, s Service, uuid, want string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute) // real services take their time
		for {
			got, err := s.Status(t.Context(), uuid)
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %q, want %q", uuid, got, want)
			}
		}
	}
	ok := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]func(*testing.T, Service){
		"systems": func(t *testing.T, s Service) {
			got, err := s.Systems(t.Context())
			ok(t, err)
			slices.SortFunc(got, func(a, b inventory.PowerSystem) int { return strings.Compare(a.UUID, b.UUID) })
			if diff := cmp.Diff(Want(), got); diff != "" {
				t.Errorf("systems (-want +got):\n%s", diff)
			}
		},
		"on and off": func(t *testing.T, s Service) {
			ok(t, s.On(t.Context(), First))
			state(t, s, First, power.On)
			state(t, s, Second, power.On)
			ok(t, s.Off(t.Context(), First))
			state(t, s, First, power.Off)
			state(t, s, Second, power.On)
		},
		"on when on": func(t *testing.T, s Service) {
			ok(t, s.On(t.Context(), Second))
			state(t, s, Second, power.On)
			if n := s.Starts(Second); n != 0 {
				t.Errorf("a running machine was started %d times", n)
			}
		},
		"off when off": func(t *testing.T, s Service) {
			ok(t, s.Off(t.Context(), First))
			state(t, s, First, power.Off)
		},
		"cycle": func(t *testing.T, s Service) {
			for _, uuid := range []string{First, Second} {
				ok(t, s.Cycle(t.Context(), uuid))
				state(t, s, uuid, power.On)
				if n := s.Starts(uuid); n != 1 {
					t.Errorf("%s started %d times, want once", uuid, n)
				}
			}
		},
		"boot once": func(t *testing.T, s Service) {
			for _, dev := range []string{power.BootDisk, power.BootPXE} {
				ok(t, s.SetBootOnce(t.Context(), First, dev))
				if got := s.BootOnce(First); got != dev {
					t.Errorf("override %q, want %q", got, dev)
				}
			}
			if got := s.BootOnce(Second); got != "" {
				t.Errorf("the other machine's override is %q", got)
			}
			state(t, s, First, power.Off) // an override switches nothing
			ok(t, s.On(t.Context(), First))
			state(t, s, First, power.On)
			if got := s.BootOnce(First); got != "" {
				t.Errorf("override %q survived the start", got)
			}
			if s.SetBootOnce(t.Context(), First, "floppy") == nil {
				t.Error("an unknown device was accepted")
			}
		},
		"no such machine": func(t *testing.T, s Service) {
			_, err := s.Status(t.Context(), absent)
			for what, err := range map[string]error{
				"status": err, "on": s.On(t.Context(), absent), "off": s.Off(t.Context(), absent),
				"cycle": s.Cycle(t.Context(), absent), "boot": s.SetBootOnce(t.Context(), absent, power.BootPXE),
			} {
				if !errors.Is(err, power.ErrUnknown) {
					t.Errorf("%s: error %v, want ErrUnknown", what, err)
				}
			}
		},
		"ended context": func(t *testing.T, s Service) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Systems(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("systems: error %v", err)
			}
			if err := s.On(ctx, First); !errors.Is(err, context.Canceled) {
				t.Errorf("on: error %v", err)
			}
			state(t, s, First, power.Off)
		},
		"at once": func(t *testing.T, s Service) {
			var wg sync.WaitGroup
			for _, uuid := range []string{First, Second, First, Second} {
				wg.Go(func() {
					if _, err := s.Status(t.Context(), uuid); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

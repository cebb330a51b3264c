package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/client"
)

func fakeClient(t *testing.T, h http.Handler) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	c, err := client.New(client.Options{Server: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// writerFunc is called with each line's worth of output.
type writerFunc func(b []byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestFollowLog(t *testing.T) {
	fake := newFakeServer(time.Now())
	c := fakeClient(t, fake.handler())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got, notes bytes.Buffer
	out := writerFunc(func(b []byte) {
		got.Write(b)
		switch {
		case strings.Contains(string(b), "line 3 of boot b-alpha"):
			fake.mu.Lock()
			fake.machines[0].BootID, fake.looks = "b-next", 0
			fake.mu.Unlock()
		case strings.Contains(string(b), "line 2 of boot b-next"):
			cancel()
		}
	})
	if err := followLog(ctx, &notes, c, out, "alpha", "", time.Millisecond); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want context.Canceled", err)
	}
	want := "line 1 of boot b-alpha\nline 2 of boot b-alpha\nline 3 of boot b-alpha\nline 1 of boot b-next\nline 2 of boot b-next\n"
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("--- boot b-next\n", notes.String()); d != "" {
		t.Error(d)
	}
}

// TestAwaitOutage takes the server away in the middle of an order.
func TestAwaitOutage(t *testing.T) {
	tests := map[string]struct {
		down   int32 // requests that fail
		outage time.Duration
		want   string // state, or part of the error
	}{
		"short":    {down: 3, outage: time.Minute, want: api.StateDone},
		"too long": {down: 1 << 30, outage: time.Nanosecond, want: "503 Service Unavailable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := newFakeServer(time.Now())
			inner := fake.handler()
			var seen, down atomic.Int32
			down.Store(tt.down)
			c := fakeClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/api/v1/orders/") && seen.Add(1) > 2 && down.Add(-1) >= 0 {
					http.Error(w, "restarting", http.StatusServiceUnavailable)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			o, err := c.PlaceOrder(t.Context(), "alpha", api.OrderRequest{Kind: api.KindDeploy, Image: "debian-12"})
			if err != nil {
				t.Fatal(err)
			}
			var notes bytes.Buffer
			d, err := await(t.Context(), c, o.ID, &lineProgress{w: &notes, name: "o", now: time.Now}, tt.outage)
			switch {
			case err != nil && !strings.Contains(err.Error(), tt.want):
				t.Fatalf("error %v, want %s", err, tt.want)
			case err == nil && d.State != tt.want:
				t.Fatalf("state %s, want %s", d.State, tt.want)
			}
			if !strings.Contains(notes.String(), "does not answer") {
				t.Errorf("the outage is not told: %q", notes.String())
			}
		})
	}
}

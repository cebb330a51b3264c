package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
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

// TestInterrupted sends this process the signal of Ctrl-C in the middle of
// waiting for an order that never ends.
func TestInterrupted(t *testing.T) {
	fake := newFakeServer(time.Now())
	inner := fake.handler()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	looks := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/v1/orders/") {
			inner.ServeHTTP(w, r)
			return
		}
		if looks++; looks == 2 {
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
			<-r.Context().Done() // the call is under way when the signal comes
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"o1","state":"queued"}`)
	}))
	defer srv.Close()
	defer srv.CloseClientConnections()
	t.Setenv("BAREROOT_SERVER", srv.URL)
	var out, errs bytes.Buffer
	code := run(ctx, &env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}, []string{"machine", "deploy", "alpha", "--image", "debian-12", "--wait"})
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	want := "order o1: queued\nthe order goes on without us; look with: bareroot order show o1\nbareroot: interrupted\n"
	if d := cmp.Diff(want, errs.String()); d != "" {
		t.Error(d)
	}
	if out.Len() > 0 {
		t.Errorf("printed %q", out.String())
	}
}

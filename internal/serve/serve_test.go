package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/config"
	"bareroot/internal/serve/netboot"
)

// runServer runs a whole server on loopback and free ports.
func runServer(t *testing.T, dir string) (base string, socket *http.Client, stop func() error) {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.StateDir, cfg.Admin.Listen = dir, "127.0.0.1:0"
	cfg.Admin.Socket, cfg.Admin.TokenFile = filepath.Join(dir, "admin.sock"), filepath.Join(dir, "admin.token")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := &waitFor{what: "serving", seen: make(chan struct{})}
	go func() {
		done <- Run(ctx, cfg, Listeners{HTTP: []net.Listener{door}}, slog.New(slog.NewTextHandler(ready, nil)))
	}()
	select {
	case <-ready.seen:
	case err := <-done:
		cancel()
		t.Fatalf("the server ended: %v", err)
	case <-time.After(time.Minute):
		cancel()
		t.Fatal("the server is not ready after a minute")
	}
	socket = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", cfg.Admin.Socket)
	}}}
	once := sync.OnceValue(func() error {
		socket.CloseIdleConnections()
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = once() })
	return "http://" + door.Addr().String(), socket, once
}

// waitFor is a log that notices one message.
type waitFor struct {
	what string
	once sync.Once
	seen chan struct{}
}

func (w *waitFor) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("msg="+w.what)) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(b), nil
}

func status(t *testing.T, c *http.Client) api.Status {
	t.Helper()
	r, err := c.Get("http://unix/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var s api.Status
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil || r.StatusCode != 200 {
		t.Fatalf("status %d: %v", r.StatusCode, err)
	}
	return s
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	base, socket, stop := runServer(t, dir)

	for path, want := range map[string]int{
		"/boot/ipxe":       200,
		"/api/v1/status":   404, // the operator's door is elsewhere
		"/":                404,
		"/agent/v1/next":   401,
		"/images/x":        401,
		"/boot/ipxe?mac=x": 400,
	} {
		r, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	if fi, err := os.Stat(filepath.Join(dir, "admin.sock")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("admin.sock: %v, %v", fi.Mode(), err)
	}
	before := status(t, socket)
	if before.Errors[netboot.DoorHTTP] != 3 || before.Errors[DoorAgent] != 2 {
		t.Errorf("errors counted: %v", before.Errors)
	}

	// Garbage, half requests, and a client that says nothing.
	for _, s := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "GET", "GET / HTTP/9.9\r\n\r\n", strings.Repeat("A", 100000), "POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\n", "GET /boot/../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, s) // the server may hang up while we write
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}
	deadline := time.Now().Add(time.Minute)
	for status(t, socket).Errors[netboot.DoorHTTP] < before.Errors[netboot.DoorHTTP]+6 {
		if time.Now().After(deadline) {
			t.Fatalf("garbage was not counted: %v", status(t, socket).Errors)
		}
		time.Sleep(10 * time.Millisecond) // polling with a bound: the connections close by themselves
	}

	// A second server on the same state is refused.
	second := config.Default()
	second.StateDir, second.HTTP = dir, "127.0.0.1:0"
	second.Admin.Listen, second.Admin.Socket = config.None, config.None
	second.Admin.TokenFile = filepath.Join(dir, "admin.token")
	if err := Run(t.Context(), second, Listeners{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("second server: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	// Started again, over the socket that is left, it answers.
	_, socket, _ = runServer(t, dir)
	status(t, socket)
}

func TestActivation(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		want string // error
	}{
		"nothing":      {nil, ""},
		"other pid":    {map[string]string{"LISTEN_FDS": "1", "LISTEN_PID": "1"}, ""},
		"no number":    {map[string]string{"LISTEN_FDS": "many"}, "no small number"},
		"too many":     {map[string]string{"LISTEN_FDS": "999999"}, "no small number"},
		"not a socket": {map[string]string{"LISTEN_FDS": "0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := activation(func(k string) string { return tc.env[k] }, os.Getpid())
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if len(l.Admin)+len(l.HTTP) != 0 {
				t.Errorf("listeners out of nothing: %v", l)
			}
		})
	}
}

func TestBaseURL(t *testing.T) {
	cfg := config.Default()
	if _, err := baseURL(cfg, nil, nil); err == nil {
		t.Error("a base URL out of nothing")
	}
	all := &fakeListener{net.TCPAddr{IP: net.IPv4zero, Port: 80}}
	nets := []network{{addr: netip.MustParseAddr("10.0.0.1")}}
	if got, err := baseURL(cfg, nets, []net.Listener{all}); err != nil || got != "http://10.0.0.1:80" {
		t.Errorf("%q, %v", got, err)
	}
	cfg.BaseURL = "http://b"
	if got, err := baseURL(cfg, nets, []net.Listener{all}); err != nil || got != "http://b" {
		t.Errorf("%q, %v", got, err)
	}
}

type fakeListener struct{ addr net.TCPAddr }

func (f *fakeListener) Accept() (net.Conn, error) { return nil, errors.New("no") }
func (f *fakeListener) Close() error              { return nil }
func (f *fakeListener) Addr() net.Addr            { return &f.addr }

func TestBroadcast(t *testing.T) {
	for in, want := range map[string]string{"10.77.0.1/24": "10.77.0.255", "10.0.0.1/8": "10.255.255.255", "192.168.1.9/30": "192.168.1.11"} {
		if got := broadcast(netip.MustParsePrefix(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// A file goes out whole, through the pieces with their own deadlines.
func TestSlowConnReadFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	want := bytes.Repeat([]byte("0123456789abcdef"), (piece+piece/2)/16)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := (&slowListener{Listener: l, refused: func(netip.Addr) {}, open: map[netip.Addr]int{}}).Accept()
		if err != nil {
			return
		}
		defer c.Close()
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		_, _ = io.Copy(c, io.LimitReader(f, int64(len(want)-5)))
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want[:len(want)-5]) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want)-5, err)
	}
}

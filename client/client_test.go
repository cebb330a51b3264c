package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
)

func testClient(t *testing.T, h http.Handler) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Options{Server: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	two := filepath.Join(dir, "two")
	if err := os.WriteFile(two, []byte("a b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		give Options
		want string // part of the error
	}{
		"default":                      {give: Options{}},
		"unix socket":                  {give: Options{Server: "unix:///run/x.sock"}},
		"http on loopback with token":  {give: Options{Server: "http://127.0.0.1:8081/", TokenFile: token}},
		"http on IPv6 loopback":        {give: Options{Server: "http://[::1]:8081", TokenFile: token}},
		"https anywhere":               {give: Options{Server: "https://boot.example:8443", TokenFile: token}},
		"http elsewhere without token": {give: Options{Server: "http://192.0.2.1:8081"}},
		"token in the clear":           {give: Options{Server: "http://192.0.2.1:8081", TokenFile: token}, want: "in the clear"},
		"relative socket":              {give: Options{Server: "unix://run/x.sock"}, want: "not of the form"},
		"no scheme":                    {give: Options{Server: "/run/x.sock"}, want: "not of the form"},
		"host only":                    {give: Options{Server: "localhost:8081"}, want: "not of the form"},
		"with a path":                  {give: Options{Server: "http://localhost:8081/api"}, want: "not of the form"},
		"with a password":              {give: Options{Server: "http://a:b@localhost:8081"}, want: "not of the form"},
		"token file of two words":      {give: Options{TokenFile: two}, want: "one word"},
		"no token file":                {give: Options{TokenFile: filepath.Join(dir, "none")}, want: "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(tt.give)
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestCalls holds each method's request against the list in package api.
func TestCalls(t *testing.T) {
	var got string
	c := testClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(b))
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{}`)
	}))
	ctx := t.Context()
	tests := map[string]func() error{
		"GET /api/v1/machines":                    func() error { _, err := c.Machines(ctx); return err },
		"GET /api/v1/machines/a%2Fb":              func() error { _, err := c.Machine(ctx, "a/b"); return err },
		"DELETE /api/v1/machines/a":               func() error { return c.Forget(ctx, "a") },
		"GET /api/v1/orders":                      func() error { _, err := c.Orders(ctx, ""); return err },
		"GET /api/v1/orders?machine=a%26":         func() error { _, err := c.Orders(ctx, "a&"); return err },
		"GET /api/v1/orders/o1":                   func() error { _, err := c.Order(ctx, "o1"); return err },
		"POST /api/v1/orders/o1/cancel":           func() error { _, err := c.Cancel(ctx, "o1"); return err },
		"POST /api/v1/orders/o1/retry":            func() error { _, err := c.Retry(ctx, "o1"); return err },
		"GET /api/v1/images":                      func() error { _, err := c.Images(ctx); return err },
		"POST /api/v1/images/i/verify":            func() error { _, err := c.VerifyImage(ctx, "i"); return err },
		"DELETE /api/v1/images/i":                 func() error { return c.RemoveImage(ctx, "i") },
		"GET /api/v1/bootsets":                    func() error { _, err := c.BootSets(ctx); return err },
		"POST /api/v1/bootsets/b/default":         func() error { _, err := c.DefaultBootSet(ctx, "b"); return err },
		"GET /api/v1/bootsets/b/files?fits=a%2Fb": func() error { _, err := c.BootSetFiles(ctx, "b", "a/b"); return err },
		"DELETE /api/v1/bootsets/b":               func() error { return c.RemoveBootSet(ctx, "b") },
		"GET /api/v1/status":                      func() error { _, err := c.Status(ctx); return err },
		"POST /api/v1/login-codes":                func() error { _, err := c.LoginCode(ctx); return err },
		`POST /api/v1/machines/a/approve {"approval":"held","name":"n"}`: func() error {
			_, err := c.Approve(ctx, "a", api.ApproveRequest{Approval: "held", Name: "n"})
			return err
		},
		`POST /api/v1/machines/a/power {"action":"cycle","boot":"pxe"}`: func() error {
			_, err := c.Power(ctx, "a", api.PowerRequest{Action: "cycle", Boot: "pxe"})
			return err
		},
		`POST /api/v1/machines/a/orders {"kind":"deploy","image":"i","erase":true}`: func() error {
			_, err := c.PlaceOrder(ctx, "a", api.OrderRequest{Kind: "deploy", Image: "i", Erase: true})
			return err
		},
		`POST /api/v1/images {"name":"i","path":"/p"}`: func() error {
			_, err := c.AddImage(ctx, api.ImageRequest{Name: "i", Path: "/p"})
			return err
		},
		`POST /api/v1/bootsets {"name":"b","path":"/p","default":true}`: func() error {
			_, err := c.AddBootSet(ctx, api.BootSetRequest{Name: "b", Path: "/p", Default: true})
			return err
		},
	}
	for want, call := range tests {
		t.Run(want, func(t *testing.T) {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTokenIsSent(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"machines":[]}`)
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Server: srv.URL, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Machines(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "Bearer s3cret"; got != want {
		t.Errorf("Authorization %q, want %q", got, want)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"machines":[{"id":"m1","name":"alpha","macs":[]}]}`)
	}))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	c, err := New(Options{Server: "unix://" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Machines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]api.Machine{{ID: "m1", Name: "alpha", MACs: []string{}}}, got); d != "" {
		t.Error(d)
	}
}

func TestErrors(t *testing.T) {
	problem := func(status int, p api.Problem) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(p)
		}
	}
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	tests := map[string]struct {
		give    http.Handler
		problem *api.Problem
		want    string
	}{
		"problem": {
			give:    problem(404, api.Problem{Title: "Not Found", Detail: "no machine alpha"}),
			problem: &api.Problem{Title: "Not Found", Status: 404, Detail: "no machine alpha"},
			want:    "show machine alpha: no machine alpha",
		},
		"status of the reply counts, not of the document": {
			give:    problem(409, api.Problem{Title: "Conflict", Status: 200}),
			problem: &api.Problem{Title: "Conflict", Status: 409},
			want:    "Conflict",
		},
		"a proxy's 404 is no problem document": {give: text(404, "text/html", "<h1>nope"), want: "404 Not Found"},
		"a page instead of JSON":               {give: text(200, "text/html; charset=utf-8", "<h1>hi"), want: `"text/html", not JSON`},
		"a redirect is not followed":           {give: http.RedirectHandler("/x", http.StatusFound), want: "302 Found"},
		"cut JSON":                             {give: text(200, "application/json", `{"id":`), want: "unexpected end"},
		"hangs up":                             {give: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), want: "EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := testClient(t, tt.give).Machine(t.Context(), "alpha")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			var p *api.Problem
			errors.As(err, &p)
			if d := cmp.Diff(tt.problem, p); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	c, err := New(Options{Server: "unix:///nonexistent/admin.sock"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Machines(t.Context())
	var un *UnreachableError
	var op *net.OpError
	if !errors.As(err, &un) || !errors.As(err, &op) || op.Op != "dial" {
		t.Fatalf("error %#v, want an UnreachableError around a dial error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Machines(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v, want context.Canceled", err)
	}
}

func TestSlowServerIsBounded(t *testing.T) {
	free := make(chan struct{})
	c := testClient(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-free }))
	defer close(free)
	err := c.call(t.Context(), 50*time.Millisecond, "wait", http.MethodGet, "/", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") || !errors.As(err, new(*UnreachableError)) {
		t.Errorf("error %v, want one that names the bound", err)
	}
}

func TestLogsFromOffset(t *testing.T) {
	c := testClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "boot "+r.URL.Query().Get("boot")+" done")
	}))
	tests := map[string]struct {
		boot   string
		offset int64
		want   string
	}{
		"whole":                         {want: "boot  done"},
		"of a boot":                     {boot: "b&1", want: "boot b&1 done"},
		"from 5":                        {boot: "x", offset: 5, want: "x done"},
		"from the end, nothing new yet": {offset: 500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := c.Logs(t.Context(), "a", tt.boot, tt.offset)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			if err != nil || string(b) != tt.want {
				t.Errorf("read %q, %v; want %q", b, err, tt.want)
			}
		})
	}
}

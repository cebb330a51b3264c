package agentapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/bootset"
	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/order"
)

// door is a served inventory with one machine that has said hello.
type door struct {
	inv     *inventory.Service
	srv     *httptest.Server
	agent   *client.Agent
	nonce   string
	garbage atomic.Int64
	image   *api.Image
}

const mac = "52:54:00:00:00:01"

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{}
	inv, err := inventory.New(inventory.Config{StateDir: t.TempDir(), BaseURL: "http://10.0.0.1:8080"})
	if err != nil {
		t.Fatal(err)
	}
	d.inv = inv
	d.srv = httptest.NewServer(Handler(inv, nil, Garbage(func() { d.garbage.Add(1) })))
	// The service goes first: calls that wait return, so that the server can end.
	t.Cleanup(func() { inv.Close(); d.srv.Close() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = inv.AddBootSet(t.Context(), api.BootSetRequest{Name: "b", Path: bootSet(t)})
	must(err)
	p := filepath.Join(t.TempDir(), "image")
	must(os.WriteFile(p, []byte("the bytes of an image"), 0o644))
	d.image, err = inv.AddImage(t.Context(), api.ImageRequest{Name: "i", Path: p})
	must(err)
	dec, err := inv.NetBoot(t.Context(), order.BootRequest{MAC: mac})
	must(err)
	seg, err := inv.Segment(t.Context(), dec.Attempt)
	must(err)
	_, rest, _ := bytes.Cut(seg, []byte(`"nonce": "`))
	nonce, _, _ := bytes.Cut(rest, []byte(`"`))
	d.nonce = string(nonce)
	d.agent = &client.Agent{Base: d.srv.URL, HTTP: d.srv.Client()}
	reply, err := d.agent.Hello(t.Context(), api.HelloRequest{Protocol: 1, Nonce: d.nonce, BootID: "b-1", MACs: []string{mac}})
	must(err)
	d.agent.Token = reply.Token
	return d
}

func bootSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("kernel"))
	m := bootset.Manifest{Version: bootset.Version, Arch: "amd64", Kernel: bootset.Blob{File: "vmlinuz", Size: 6, SHA256: hex.EncodeToString(sum[:])}}
	m.ID = m.Sum()
	doc, err := json.Marshal(m)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "manifest.json"), doc, 0o644), os.WriteFile(filepath.Join(dir, "vmlinuz"), []byte("kernel"), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAgent speaks the whole protocol with the real client.
func TestAgent(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	if err := d.agent.Facts(ctx, api.Facts{Version: 1}); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{0, 6, 0} {
		if err := d.agent.Log(ctx, offset, []byte("hello\n")); err != nil {
			t.Fatal(err)
		}
	}
	if o, err := d.agent.Next(ctx, 0); o != nil || err != nil {
		t.Fatal(o, err)
	}
	if _, err := d.inv.Approve(ctx, mac, api.ApproveRequest{}); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		o   *api.Order
		err error
	}
	got := make(chan answer, 1)
	go func() {
		o, err := d.agent.Next(ctx, 20*time.Second)
		got <- answer{o, err}
	}()
	placed, err := d.inv.PlaceOrder(ctx, mac, api.OrderRequest{Kind: api.KindDeploy, Image: "i"})
	if err != nil {
		t.Fatal(err)
	}
	a := <-got
	if a.err != nil || a.o == nil || a.o.ID != placed.ID || a.o.Deploy.Image.SHA256 != d.image.SHA256 {
		t.Fatalf("%+v %v", a.o, a.err)
	}
	if _, err := d.inv.Cancel(ctx, placed.ID); err != nil {
		t.Fatal(err)
	}
	r, err := d.agent.Events(ctx, api.EventBatch{Events: []api.Event{{Order: placed.ID, Attempt: 1, Seq: 1000, Kind: api.EventState, State: api.StateRunning}}})
	if err != nil || len(r.Cancelled) != 1 || r.Cancelled[0] != placed.ID {
		t.Fatal(r, err)
	}
	rc, err := d.inv.Logs(ctx, mac, "")
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if log, err := io.ReadAll(rc); err != nil || string(log) != "hello\nhello\n" {
		t.Errorf("log %q %v", log, err)
	}
	if n := d.garbage.Load(); n != 0 {
		t.Errorf("%d requests of a good agent counted as garbage", n)
	}
}

func TestImage(t *testing.T) {
	d := newDoor(t)
	get := func(path, token, byteRange string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", d.srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if byteRange != "" {
			req.Header.Set("Range", byteRange)
		}
		resp, err := d.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	path := "/images/" + d.image.SHA256
	if r, _ := get(path, d.agent.Token, ""); r.StatusCode != 404 {
		t.Errorf("a machine without an order for it: %d", r.StatusCode)
	}
	if _, err := d.inv.Approve(t.Context(), mac, api.ApproveRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.inv.PlaceOrder(t.Context(), mac, api.OrderRequest{Kind: api.KindDeploy, Image: "i"}); err != nil {
		t.Fatal(err)
	}
	if r, body := get(path, d.agent.Token, ""); r.StatusCode != 200 || body != "the bytes of an image" {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	if r, body := get(path, d.agent.Token, "bytes=4-8"); r.StatusCode != 206 || body != "bytes" {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	if r, _ := get(path, "", ""); r.StatusCode != 401 {
		t.Errorf("without a token: %d", r.StatusCode)
	}
	if r, _ := get(path, strings.Repeat("0", 64), ""); r.StatusCode != 401 {
		t.Errorf("with a guessed token: %d", r.StatusCode)
	}
	for _, p := range []string{"/images/" + strings.Repeat("0", 64), "/images/..%2fbareroot.db", "/images/x", "/images/", "/bareroot.db"} {
		if r, _ := get(p, d.agent.Token, ""); r.StatusCode != 404 {
			t.Errorf("%s: %d", p, r.StatusCode)
		}
	}
}

// TestGarbage: whatever comes is answered with a problem and counted.
func TestGarbage(t *testing.T) {
	d := newDoor(t)
	tests := map[string]struct {
		method, path, token, body string
		status                    int
	}{
		"no token":            {"GET", "/agent/v1/next", "", "", 401},
		"nonce as token":      {"GET", "/agent/v1/next", d.nonce, "", 401},
		"wrong wait":          {"GET", "/agent/v1/next?wait=soon", d.agent.Token, "", 400},
		"wrong method":        {"GET", "/agent/v1/hello", "", "", 404},
		"no JSON":             {"POST", "/agent/v1/hello", "", "\x00\xff", 400},
		"two documents":       {"POST", "/agent/v1/hello", "", "{} {}", 400},
		"empty hello":         {"POST", "/agent/v1/hello", "", "{}", 400},
		"unknown nonce":       {"POST", "/agent/v1/hello", "", `{"protocol":1,"boot_id":"x","nonce":"x"}`, 403},
		"second exchange":     {"POST", "/agent/v1/hello", "", `{"protocol":1,"boot_id":"x","nonce":"` + d.nonce + `"}`, 403},
		"path in the boot id": {"POST", "/agent/v1/hello", "", `{"protocol":1,"boot_id":"../../x","nonce":"x"}`, 400},
		"endless hello":       {"POST", "/agent/v1/hello", "", `{"nonce":"` + strings.Repeat("x", maxHello) + `"}`, 413},
		"endless log":         {"POST", "/agent/v1/log?offset=0", d.agent.Token, strings.Repeat("x", maxLog+1), 413},
		"log from before":     {"POST", "/agent/v1/log?offset=-1", d.agent.Token, "x", 400},
		"log from nowhere":    {"POST", "/agent/v1/log", d.agent.Token, "x", 400},
		"no facts":            {"POST", "/agent/v1/facts", d.agent.Token, "{}", 400},
		"event of no order":   {"POST", "/agent/v1/events", d.agent.Token, `{"events":[{"order":"o-99","seq":1}]}`, 404},
		"event without seq":   {"POST", "/agent/v1/events", d.agent.Token, `{"events":[{"kind":"boot"}]}`, 400},
		"nothing there":       {"GET", "/api/v1/machines", d.agent.Token, "", 404},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := d.garbage.Load()
			req, err := http.NewRequestWithContext(context.Background(), tc.method, d.srv.URL+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.token != "" {
				req.Header.Set("Authorization", "Bearer "+tc.token)
			}
			resp, err := d.srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
			var p api.Problem
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Status != tc.status || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("no problem document: %+v %v %s", p, err, resp.Header.Get("Content-Type"))
			}
			if d.garbage.Load() != before+1 {
				t.Error("not counted")
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(2, time.Minute, func() time.Time { return now })
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for i, want := range []bool{true, true, false} {
		if l.allow(a) != want {
			t.Errorf("request %d", i)
		}
	}
	if !l.allow(b) {
		t.Error("one address uses up another's share")
	}
	now = now.Add(time.Minute)
	if !l.allow(a) {
		t.Error("a new window does not begin")
	}
}

// FuzzRequest: no body makes a handler fail by itself.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{"{}", `{"events":[{"order":"o-1","attempt":1,"seq":1,"kind":"state","state":"done"}]}`, `{"protocol":1,"boot_id":"x","nonce":""}`, "[", `{"version":1,"disks":null}`} {
		f.Add("/agent/v1/events", s)
		f.Add("/agent/v1/hello", s)
		f.Add("/agent/v1/facts", s)
	}
	inv, err := inventory.New(inventory.Config{StateDir: f.TempDir(), BaseURL: "http://10.0.0.1:8080"})
	if err != nil {
		f.Fatal(err)
	}
	defer inv.Close()
	h := Handler(inv, nil)
	f.Fuzz(func(t *testing.T, path, body string) {
		req, err := http.NewRequest("POST", "http://x/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path = path
		req.RemoteAddr = "10.0.0.9:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%s %q: %d %s", path, body, w.Code, w.Body)
		}
	})
}

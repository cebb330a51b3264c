package netboot

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/serve/order"
)

// oneBoots knows one set with one file and one attempt.
type oneBoots struct {
	dir  string
	err  error
	last order.BootRequest
}

const oneSet = "abcdef0123456789"

func (b *oneBoots) NetBoot(_ context.Context, r order.BootRequest) (order.Decision, error) {
	b.last = r
	return order.Decision{Action: order.ActPark, Message: "wait"}, b.err
}

func (b *oneBoots) Segment(_ context.Context, attempt string) ([]byte, error) {
	if attempt != "attempt-1" {
		return nil, &api.Problem{Title: "not found", Status: 404, Detail: "no such attempt"}
	}
	return []byte("0123456789"), nil
}

func (b *oneBoots) BootFile(_ context.Context, id, file string) (string, error) {
	if id != oneSet || file != "vmlinuz" {
		return "", &api.Problem{Title: "not found", Status: 404, Detail: "no such file"}
	}
	return filepath.Join(b.dir, file), b.err
}

func newHTTP(t testing.TB) (*HTTP, *oneBoots) {
	b := &oneBoots{dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.dir, "vmlinuz"), []byte("kernel bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &HTTP{Boots: b, Base: "http://10.77.0.1:8080", Log: slog.New(slog.DiscardHandler), Errors: &Tally{}}, b
}

func TestHTTP(t *testing.T) {
	cases := map[string]struct {
		method, path, rng string
		err               error
		status            int
		length            string
		body              string // a part of it
		counted           bool
	}{
		"first script":         {method: "GET", path: "/boot/ipxe", status: 200, body: "#!ipxe\n"},
		"first script, head":   {method: "HEAD", path: "/boot/ipxe", status: 200},
		"script":               {method: "GET", path: "/boot/ipxe?uuid=&mac=52-54-00-77-00-01&platform=efi&arch=x86_64", status: 200, body: "echo bareroot: wait\n"},
		"script, head":         {method: "HEAD", path: "/boot/ipxe?mac=52-54-00-77-00-01", status: 405, counted: true},
		"script, refused":      {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01", err: &api.Problem{Title: "no", Status: 403}, status: 403, counted: true},
		"script, broken":       {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01", err: errors.New("secret path /x"), status: 500, body: `{"title":"internal error","status":500}`, counted: true},
		"no mac":               {method: "GET", path: "/boot/ipxe?uuid=x", status: 400, counted: true},
		"mac twice":            {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01&mac=52-54-00-77-00-02", status: 400, counted: true},
		"eight bytes of mac":   {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01-02-03", status: 400, counted: true},
		"bad uuid":             {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01&uuid=%24%7Bx%7D", status: 400, counted: true},
		"bad platform":         {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01&platform=z80", status: 400, counted: true},
		"bad arch":             {method: "GET", path: "/boot/ipxe?mac=52-54-00-77-00-01&arch=mips", status: 400, counted: true},
		"bad escape":           {method: "GET", path: "/boot/ipxe?mac=%zz", status: 400, counted: true},
		"long":                 {method: "GET", path: "/boot/ipxe?mac=" + strings.Repeat("a", 2000), status: 400, counted: true},
		"post":                 {method: "POST", path: "/boot/ipxe", status: 404, counted: true},
		"kernel":               {method: "GET", path: "/boot/sets/" + oneSet + "/vmlinuz", status: 200, length: "12", body: "kernel bytes"},
		"kernel, head":         {method: "HEAD", path: "/boot/sets/" + oneSet + "/vmlinuz", status: 200, length: "12"},
		"kernel, range":        {method: "GET", path: "/boot/sets/" + oneSet + "/vmlinuz", rng: "bytes=7-", status: 206, length: "5", body: "bytes"},
		"kernel, bad range":    {method: "GET", path: "/boot/sets/" + oneSet + "/vmlinuz", rng: "bytes=70-", status: 416},
		"no file of the set":   {method: "GET", path: "/boot/sets/" + oneSet + "/manifest.json", status: 404, counted: true},
		"escaped slash":        {method: "GET", path: "/boot/sets/" + oneSet + "/..%2f..%2fetc%2fpasswd", status: 400, counted: true},
		"dot file":             {method: "GET", path: "/boot/sets/" + oneSet + "/.hidden", status: 400, counted: true},
		"set is no id":         {method: "GET", path: "/boot/sets/..%2f/vmlinuz", status: 400, counted: true},
		"directory":            {method: "GET", path: "/boot/sets/" + oneSet + "/", status: 404, counted: true},
		"segment":              {method: "GET", path: "/boot/segments/attempt-1", status: 200, length: "10", body: "0123456789"},
		"segment, head":        {method: "HEAD", path: "/boot/segments/attempt-1", status: 200, length: "10"},
		"segment, range":       {method: "GET", path: "/boot/segments/attempt-1", rng: "bytes=2-3", status: 206, body: "23"},
		"no such segment":      {method: "GET", path: "/boot/segments/attempt-2", status: 404, counted: true},
		"segment, short token": {method: "GET", path: "/boot/segments/a", status: 400, counted: true},
		"elsewhere":            {method: "GET", path: "/boot/", status: 404, counted: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h, b := newHTTP(t)
			b.err = tc.err
			r := httptest.NewRequest(tc.method, tc.path, nil)
			if tc.rng != "" {
				r.Header.Set("Range", tc.rng)
			}
			w := httptest.NewRecorder()
			h.Handler().ServeHTTP(w, r)
			body, _ := io.ReadAll(w.Result().Body)
			if w.Code != tc.status || !strings.Contains(string(body), tc.body) || tc.length != "" && w.Header().Get("Content-Length") != tc.length {
				t.Errorf("got %d, length %q, %q", w.Code, w.Header().Get("Content-Length"), body)
			}
			if got := h.Errors.Counts()[DoorHTTP] == 1; got != tc.counted {
				t.Errorf("counted: %v, want %v", got, tc.counted)
			}
			if strings.Contains(string(body), "secret") {
				t.Errorf("the reply tells the network about the inside: %s", body)
			}
		})
	}
}

func TestParseBoot(t *testing.T) {
	for name, tc := range map[string]struct {
		query string
		want  order.BootRequest
	}{
		"bios":          {"uuid=F0F1F2F3-1234-5678-9ABC-DEF012345678&mac=52%3A54%3A00%3A77%3A00%3A01&platform=pcbios&arch=i386", order.BootRequest{UUID: "f0f1f2f3-1234-5678-9abc-def012345678", MAC: "52:54:00:77:00:01", Platform: "bios", Arch: "amd64"}},
		"uefi, no uuid": {"uuid=&mac=52-54-00-77-00-AA&platform=efi&arch=x86_64", order.BootRequest{MAC: "52:54:00:77:00:aa", Platform: "uefi", Arch: "amd64"}},
		"zero uuid":     {"uuid=00000000-0000-0000-0000-000000000000&mac=525400.770001&platform=efi&arch=arm64", order.BootRequest{}},
		"arm":           {"uuid=00000000-0000-0000-0000-000000000000&mac=52:54:00:77:00:01&platform=efi&arch=arm64&new=1", order.BootRequest{MAC: "52:54:00:77:00:01", Platform: "uefi", Arch: "arm64"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/boot/ipxe?"+tc.query, nil)
			got, err := parseBoot(r)
			got.Remote = tc.want.Remote
			if (err != nil) != (tc.want == order.BootRequest{}) {
				t.Fatalf("error %v", err)
			}
			if err == nil && got != tc.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// No request may make a script that has more commands than it should, reach
// a file outside the set, or crash the server.
func FuzzHTTPPath(f *testing.F) {
	for _, p := range []string{"/boot/ipxe", "/boot/ipxe?mac=52:54:00:77:00:01", "/boot/sets/" + oneSet + "/vmlinuz", "/boot/sets/../../etc/passwd", "/boot/segments/attempt-1", "/boot/sets/" + oneSet + "/%2e%2e%2fx"} {
		f.Add(p)
	}
	h, _ := newHTTP(f)
	handler := h.Handler()
	park := parkScript(h.Base, "wait")
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.NewRequest("GET", "http://x"+target, nil)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == 200 {
			switch body := w.Body.String(); body {
			case firstScript(h.Base), park, "kernel bytes", "0123456789":
			default:
				t.Fatalf("%q gave %q", target, body)
			}
		}
	})
}

func TestTally(t *testing.T) {
	var none *Tally
	none.Add(DoorHTTP) // a nil Tally counts nothing
	var y Tally
	y.Add(DoorDHCP)
	y.Add(DoorDHCP)
	if d := cmp.Diff(map[string]int64{DoorDHCP: 2}, y.Counts()); d != "" {
		t.Error(d)
	}
}

package web

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/serve/web/webtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// site is the page over the sample inventory.
func site(t *testing.T) (*http.ServeMux, *webtest.Inventory, *webtest.Power) {
	t.Helper()
	inv, power := webtest.New(), &webtest.Power{}
	return siteOf(inv, power), inv, power
}

func siteOf(inv Inventory, power Power) *http.ServeMux {
	mux := http.NewServeMux()
	New(Config{
		Inventory: inv, Power: power, Log: slog.New(slog.DiscardHandler), Zone: time.UTC,
		Now: func() time.Time { return webtest.Now },
		Status: func() api.Status {
			return api.Status{Version: "0.1.0 (build dev)", Started: webtest.Now.Add(-time.Hour), Machines: 6,
				Listeners: map[string]string{"http": "10.77.0.1:8080", "admin": "127.0.0.1:8081"}, Errors: map[string]int64{"tftp": 12, "dhcp": 3}}
		},
	}).Register(mux)
	return mux
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func post(h http.Handler, path, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestGolden(t *testing.T) {
	mux, _, _ := site(t)
	for name, path := range map[string]string{
		"row-deploying": "/ui/machines/m1/row",
		"row-deployed":  "/ui/machines/m2/row",
		"row-new":       "/ui/machines/m3/row",
		"row-parked":    "/ui/machines/m4/row",
		"row-unseen":    "/ui/machines/m6/row",
		"head-running":  "/ui/machines/m1/head",
		"head-new":      "/ui/machines/m3/head",
		"detail":        "/ui/machines/m1/detail",
		"detail-bare":   "/ui/machines/m6/detail",
		"order-running": "/ui/orders/o1",
		"order-done":    "/ui/orders/o2",
		"order-root":    "/ui/orders/o4",
	} {
		t.Run(name, func(t *testing.T) {
			w := get(mux, path)
			if w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			file := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(file, w.Body.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), w.Body.String()); diff != "" {
				t.Errorf("%s (-want +got); -update writes it anew:\n%s", file, diff)
			}
		})
	}
}

func TestPages(t *testing.T) {
	tests := map[string]struct {
		path   string
		status int
		says   []string
	}{
		"list":             {"/", 200, []string{"6 known · 1 to approve · 1 at work · 1 in trouble", "deploying 41%", `value="41"`, "48 MiB/s"}},
		"machine":          {"/machines/m1", 200, []string{"Deploy or run an image", "debian12-live · squashfs, 180 MiB · run from memory", "serial-DISK0002"}},
		"machine by name":  {"/machines/node1", 200, []string{"Deploy or run"}},
		"new machine":      {"/machines/m3", 200, []string{`value="approved">Approve`}},
		"no machine":       {"/machines/nope", 404, []string{"There is no machine"}},
		"order":            {"/orders/o2", 200, []string{"31.4 s", `href="/machines/m2">node2`}},
		"no order":         {"/orders/nope", 404, []string{"There is no order"}},
		"images":           {"/images", 200, []string{"the stored bytes have another hash", "debian-6.1", "1.5 GiB"}},
		"server":           {"/server", 200, []string{"0.1.0 (build dev)", "<dt>tftp</dt><dd>12</dd>", "10.77.0.1:8080"}},
		"no page":          {"/nothing", 404, []string{"There is no page"}},
		"no fragment":      {"/ui/machines/nope/row", 404, []string{"There is no machine"}},
		"script":           {"/static/live.js", 200, []string{"EventSource"}},
		"templates hidden": {"/static/machines.html", 404, nil},
		"sources hidden":   {"/static/..%2fweb.go", 404, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			mux, _, _ := site(t)
			w := get(mux, tc.path)
			if w.Code != tc.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tc.status, w.Body)
			}
			for _, s := range tc.says {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("page lacks %q:\n%s", s, w.Body)
				}
			}
			// The content security policy of the door allows neither.
			if body := w.Body.String(); strings.Contains(body, " style=") || strings.Contains(body, " onclick=") || strings.Contains(body, "<script>") {
				t.Error("inline style or script")
			}
		})
	}
}

// What a machine says of itself is text, wherever it ends up.
func TestMachinesCannotMarkUp(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
	mux, inv, _ := site(t)
	inv.Update("m1", func(m *api.Machine) {
		m.Name, m.Status, m.Phase, m.Message, m.Firmware, m.Address, m.Power = evil, evil, evil, evil, evil, evil, evil
		m.MACs, m.Warnings = []string{evil}, []string{evil}
		m.Facts.System.Product, m.Facts.CPU.Model, m.Facts.Kernel = evil, evil, evil
		m.Facts.Disks[0].Model, m.Facts.Disks[0].ID, m.Facts.Disks[1].Content = evil, evil, []string{evil}
		m.Facts.NICs[0].Name, m.Facts.NICs[0].IPs = evil, []string{evil}
		m.Timeline[1].What, m.Timeline[1].Note = evil, evil
		m.Order.Message = evil
	})
	for _, path := range []string{"/", "/machines/m1", "/orders/o1"} {
		w := get(mux, path)
		body := w.Body.String()
		if w.Code != 200 || strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: %d\n%s", path, w.Code, body)
		}
	}
}

func TestActions(t *testing.T) {
	const deploy = "/machines/m1/orders"
	tests := map[string]struct {
		path, form string
		status     int
		says       string
		call       string
	}{
		"approve":          {"/machines/m3/approve", "approval=approved", 303, "", `approve m3 "approved" ""`},
		"hold":             {"/machines/m1/approve", "approval=held", 303, "", `approve m1 "held" ""`},
		"approve none":     {"/machines/nope/approve", "approval=approved", 404, "There is no machine", ""},
		"power on":         {"/machines/m2/power", "do=on", 303, "", `power 6f1d0c2e-0001-4000-8000-000000000002 on ""`},
		"netboot":          {"/machines/m2/power", "do=netboot", 303, "", `power 6f1d0c2e-0001-4000-8000-000000000002 cycle "pxe"`},
		"power, unknown":   {"/machines/m2/power", "do=explode", 400, "Power action", ""},
		"deploy":           {deploy, "image=debian12", 303, "", `order m1 deploy image="debian12" erase=false dry=false target={Path: Serial: WWN: Model: MinSize:0 MaxSize:0}`},
		"deploy, disk":     {deploy, "image=debian12&target=serial-DISK0002&dry_run=yes", 303, "", `order m1 deploy image="debian12" erase=false dry=true target={Path: Serial:DISK0002 WWN: Model: MinSize:0 MaxSize:0}`},
		"deploy, erase":    {deploy, "image=debian12&erase=node1", 303, "", `order m1 deploy image="debian12" erase=true dry=false target={Path: Serial: WWN: Model: MinSize:0 MaxSize:0}`},
		"erase, other":     {deploy, "image=debian12&erase=node2", 400, "Nothing was ordered", ""},
		"erase, yes":       {deploy, "image=debian12&erase=yes", 400, "Nothing was ordered", ""},
		"erase, case":      {deploy, "image=debian12&erase=NODE1", 400, "Nothing was ordered", ""},
		"live root":        {deploy, "image=debian12-live&erase=", 303, "", `order m1 root image="debian12-live" erase=false dry=false target={Path: Serial: WWN: Model: MinSize:0 MaxSize:0}`},
		"no image":         {deploy, "image=", 400, "Choose a system image", ""},
		"image gone":       {deploy, "image=nope", 400, "any more", ""},
		"disk gone":        {deploy, "image=debian12&target=serial-X", 400, "any more", ""},
		"discover":         {deploy, "kind=discover", 303, "", `order m1 discover image="" erase=false dry=false target={Path: Serial: WWN: Model: MinSize:0 MaxSize:0}`},
		"kind by hand":     {deploy, "kind=poweroff", 400, "Choose", ""},
		"not approved":     {"/machines/m3/orders", "image=debian12", 409, "not approved", ""},
		"cancel":           {"/orders/o1/cancel", "", 303, "", "cancel o1"},
		"cancel, done":     {"/orders/o2/cancel", "", 409, "Order o2 is done", ""},
		"retry":            {"/orders/o3/retry", "", 303, "", "retry o3"},
		"too large a form": {deploy, "image=" + strings.Repeat("x", maxForm), 400, "could not be read", ""},
		"broken form":      {deploy, "image=%zz", 400, "could not be read", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			mux, inv, power := site(t)
			w := post(mux, tc.path, tc.form)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) {
				t.Fatalf("status %d, want %d with %q:\n%s", w.Code, tc.status, tc.says, w.Body)
			}
			calls := inv.Calls()
			for _, c := range power.Calls() {
				calls = append(calls, "power "+c)
			}
			if got := strings.Join(calls, "; "); got != tc.call {
				t.Errorf("calls %q, want %q", got, tc.call)
			}
			if tc.status == 303 && !strings.HasPrefix(w.Header().Get("Location"), "/machines/") {
				t.Errorf("goes to %q", w.Header().Get("Location"))
			}
		})
	}
}

// half is an inventory whose logs cannot be read.
type half struct {
	*webtest.Inventory
	body io.Reader
}

func (h half) Logs(context.Context, string, string) (io.ReadCloser, error) {
	if h.body == nil {
		return nil, errors.New("read log: disk I/O error")
	}
	return io.NopCloser(h.body), nil
}

func TestFailures(t *testing.T) {
	for name, body := range map[string]io.Reader{"open": nil, "read": iotest.ErrReader(errors.New("disk I/O error"))} {
		w := get(siteOf(half{webtest.New(), body}, nil), "/machines/m1")
		if w.Code != 500 || !strings.Contains(w.Body.String(), "isk I/O error") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := post(siteOf(webtest.New(), nil), "/machines/m1/power", "do=on"); w.Code != 409 || !strings.Contains(w.Body.String(), "his server has no power service") {
		t.Errorf("power without a driver: %d %s", w.Code, w.Body)
	}
	if w := get(siteOf(webtest.New(), nil), "/machines/m1"); strings.Contains(w.Body.String(), "Power off") {
		t.Error("power buttons without a driver")
	}
}

func TestLogTail(t *testing.T) {
	var long bytes.Buffer
	for range 20000 {
		long.WriteString("a line of a long log\n")
	}
	long.WriteString("the end\r\n")
	w := get(siteOf(half{webtest.New(), &long}, nil), "/ui/machines/m1/detail")
	body := w.Body.String()
	if n := strings.Count(body, "a line of a long log"); n != logLines-1 || !strings.Contains(body, "the end</pre>") {
		t.Errorf("%d lines of the log shown, want %d", n, logLines-1)
	}
}

func TestRefused(t *testing.T) {
	w := httptest.NewRecorder()
	Refused(w, http.StatusUnauthorized, "A <b>reason</b>.")
	body := w.Body.String()
	if w.Code != 401 || !strings.Contains(body, "A &lt;b&gt;reason") || !strings.Contains(body, "bareroot page") || strings.Contains(body, "<nav") || strings.Contains(body, "live.js") {
		t.Errorf("%d %s", w.Code, body)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "plain\n", "\x1b[32mgreen\x1b[0m\r\n", "\x1b[", "\x1b", "\xff\xfe", "\x1b[31", "tab\there\x00\x07"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\r\x7f") || strings.Count(got, "\n") > strings.Count(s, "\n") {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func TestTail(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"short": {"abc", "abc"}, "exact": {"abcd", "abcd"}, "long": {strings.Repeat("x", 100_000) + "wxyz", "wxyz"}, "empty": {"", ""},
	} {
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(tc.in), "bytes": iotest.OneByteReader(strings.NewReader(tc.in))} {
			got, err := tail(r, 4)
			if err != nil || string(got) != tc.want {
				t.Errorf("%s by %s: %q, %v", name, how, got, err)
			}
		}
	}
}

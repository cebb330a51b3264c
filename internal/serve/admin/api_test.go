package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/power"
	"bareroot/internal/serve/web/webtest"
)

// What the wiring passes in fits.
var (
	_ Inventory = (*inventory.Service)(nil)
	_ Power     = (*power.Manager)(nil)
)

func TestEndpoints(t *testing.T) {
	tests := map[string]struct {
		request string // method, path, body
		status  int
		says    string // in the body
		call    string // the inventory's newest, or "power ..."
	}{
		"status":          {"GET /status", 200, `"version":"test"`, ""},
		"machines":        {"GET /machines", 200, `{"machines":[{"id":"m1"`, ""},
		"machine":         {"GET /machines/node1", 200, `"facts":{`, ""},
		"machine by MAC":  {"GET /machines/52:54:00:aa:00:02", 200, `"name":"node2"`, ""},
		"no machine":      {"GET /machines/nope", 404, `there is no machine`, ""},
		"forget":          {"DELETE /machines/m3", 204, "", "forget m3"},
		"forget none":     {"DELETE /machines/nope", 404, "", ""},
		"approve":         {`POST /machines/m3/approve {"approval":"approved","name":"n3"}`, 200, `"approval":"approved"`, `approve m3 "approved" "n3"`},
		"approve, empty":  {`POST /machines/m3/approve {}`, 200, "", `approve m3 "" ""`},
		"approve, bare":   {`POST /machines/m3/approve`, 200, "", `approve m3 "" ""`},
		"approve none":    {`POST /machines/nope/approve {}`, 404, "", ""},
		"approve, typo":   {`POST /machines/m3/approve {"aproval":"held"}`, 422, `body.aproval: unexpected property`, ""},
		"approve, broken": {`POST /machines/m3/approve {"appr`, 400, `"detail":"validation failed: body: `, ""},
		"approve, number": {`POST /machines/m3/approve {"approval":1}`, 422, `expected string`, ""},

		"power":            {`POST /machines/node1/power {"action":"cycle","boot":"pxe"}`, 200, `{"power":"on"}`, `power 6f1d0c2e-0001-4000-8000-000000000001 cycle "pxe"`},
		"power off":        {`POST /machines/node1/power {"action":"off"}`, 200, `{"power":"off"}`, `power 6f1d0c2e-0001-4000-8000-000000000001 off ""`},
		"power none":       {`POST /machines/nope/power {"action":"on"}`, 404, "", ""},
		"power, unknown":   {`POST /machines/node1/power {"action":"explode"}`, 400, `explode`, ""},
		"power, no body":   {`POST /machines/node1/power`, 400, `request body is required`, ""},
		"log":              {"GET /machines/node1/logs", 200, "hello: accepted", ""},
		"log of boot":      {"GET /machines/node1/logs?boot=b-2", 200, "hello: accepted", ""},
		"log of no boot":   {"GET /machines/node1/logs?boot=b-9", 404, "", ""},
		"log of none":      {"GET /machines/nope/logs", 404, "", ""},
		"log, odd query":   {"GET /machines/node1/logs?bot=1", 422, "unknown query parameter", ""},
		"order":            {`POST /machines/m1/orders {"kind":"deploy","image":"debian12","erase":true,"target":{"serial":"X"}}`, 200, `"id":"o9"`, `order m1 deploy image="debian12" erase=true dry=false target={Path: Serial:X WWN: Model: MinSize:0 MaxSize:0}`},
		"order, new one":   {`POST /machines/m3/orders {"kind":"discover"}`, 409, "not approved", ""},
		"order, no kind":   {`POST /machines/m1/orders {}`, 422, "expected required property kind", ""},
		"order of none":    {`POST /machines/nope/orders {"kind":"discover"}`, 404, "", ""},
		"orders":           {"GET /orders", 200, `{"orders":[{"id":"o1"`, ""},
		"orders of one":    {"GET /orders?machine=node2", 200, `{"orders":[{"id":"o2"`, ""},
		"orders, empty":    {"GET /orders?machine=spare", 200, `{"orders":[]}`, ""},
		"orders of none":   {"GET /orders?machine=nope", 404, "", ""},
		"order detail":     {"GET /orders/o1", 200, `"events":[`, ""},
		"no order":         {"GET /orders/o77", 404, "", ""},
		"cancel":           {"POST /orders/o1/cancel", 200, `"id":"o1"`, "cancel o1"},
		"cancel, done":     {"POST /orders/o2/cancel", 409, "order o2 is done", ""},
		"cancel none":      {"POST /orders/o77/cancel", 404, "", ""},
		"retry":            {"POST /orders/o3/retry", 200, `"id":"o3"`, "retry o3"},
		"retry, running":   {"POST /orders/o1/retry", 409, "", ""},
		"retry none":       {"POST /orders/o77/retry", 404, "", ""},
		"images":           {"GET /images", 200, `{"images":[{"name":"debian12"`, ""},
		"add image":        {`POST /images {"name":"x","path":"/srv/x.raw"}`, 200, `"name":"x"`, "add image x /srv/x.raw"},
		"add image, half":  {`POST /images {"name":"x"}`, 422, "expected required property path", ""},
		"verify image":     {"POST /images/debian12/verify", 200, `"name":"debian12"`, "verify image debian12"},
		"verify none":      {"POST /images/nope/verify", 404, "", ""},
		"remove image":     {"DELETE /images/debian12", 204, "", "remove image debian12"},
		"remove none":      {"DELETE /images/nope", 404, "", ""},
		"boot sets":        {"GET /bootsets", 200, `{"bootsets":[{"name":"debian-6.1"`, ""},
		"add boot set":     {`POST /bootsets {"name":"b","path":"/srv/b","default":true}`, 200, `"name":"b"`, "add boot set b /srv/b true"},
		"add half":         {`POST /bootsets {"path":"/srv/b"}`, 422, "expected required property name", ""},
		"default":          {"POST /bootsets/older/default", 200, `"name":"older"`, "default boot set older"},
		"default none":     {"POST /bootsets/nope/default", 404, "", ""},
		"files of a set":   {"GET /bootsets/older/files?fits=init", 200, `{"files":[{"path":"init"`, "files that fit init of older"},
		"files of none":    {"GET /bootsets/nope/files", 404, "", ""},
		"remove set":       {"DELETE /bootsets/older", 204, "", "remove boot set older"},
		"remove no set":    {"DELETE /bootsets/nope", 404, "", ""},
		"push":             {`POST /bootsets/b/push {"manifest":{"version":1},"keep":2}`, 200, `{"missing":[{"sha256":"ab","size":2}]}`, "push b keep=2"},
		"push, no body":    {`POST /bootsets/b/push {}`, 422, "expected required property manifest", ""},
		"blob":             {"PUT /blobs/abcd 12345", 204, "", "blob abcd 5 bytes"},
		"generations":      {"GET /bootsets/older/generations", 200, `{"generations":[{"number":1`, ""},
		"generations none": {"GET /bootsets/nope/generations", 404, "", ""},
		"rollback":         {`POST /bootsets/older/rollback {"to":1}`, 200, `"name":"older"`, "rollback to 1 of older"},
		"rollback none":    {"POST /bootsets/nope/rollback {}", 404, "", ""},
		"login code":       {"POST /login-codes", 200, `"url":"http://lab.example:8081/login?code=`, ""},
		"no endpoint":      {"GET /nothing", 404, "/api/openapi.json", ""},
		"wrong method":     {"PUT /machines", 404, "there is no PUT", ""},
		"name with space":  {"POST /images/a%20b/verify", 404, `no image \"a b\"`, ""},
		"name with slash":  {"POST /images/..%2F..%2Fetc/verify", 404, `no image \"../../etc\"`, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			part := strings.SplitN(tc.request, " ", 3)
			body := ""
			if len(part) == 3 {
				body = part[2]
			}
			resp, got := do(t, http.DefaultClient, part[0], d.trusted.URL+"/api/v1"+part[1], body, "Content-Type", "application/json")
			if resp.StatusCode != tc.status || !strings.Contains(got, tc.says) {
				t.Fatalf("%s: status %d, want %d; body (want %q):\n%s", tc.request, resp.StatusCode, tc.status, tc.says, got)
			}
			if tc.status >= 400 {
				var p api.Problem
				if err := json.Unmarshal([]byte(got), &p); err != nil || p.Status != tc.status || p.Title == "" || p.Detail == "" {
					t.Errorf("problem %+v, %v of\n%s", p, err, got)
				}
				if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
					t.Errorf("content type %q", ct)
				}
			}
			calls := d.inv.Calls()
			for _, c := range d.power.Calls() {
				calls = append(calls, "power "+c)
			}
			want := []string{}
			if tc.call != "" {
				want = append(want, tc.call)
			}
			if diff := cmp.Diff(want, slices.Clip(append([]string{}, calls...))); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// The document names what package api's comment promises, and nothing else.
func TestOpenAPI(t *testing.T) {
	d := newDoor(t)
	resp, body := do(t, http.DefaultClient, "GET", d.trusted.URL+"/api/openapi.json", "")
	if resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID, Summary string
			Responses            map[string]any
		}
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, ops := range doc.Paths {
		for method, op := range ops {
			got = append(got, strings.ToUpper(method)+" "+regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "{}"))
			if op.OperationID == "" || op.Summary == "" || op.Responses["default"] == nil {
				t.Errorf("%s %s is not documented: %+v", method, path, op)
			}
		}
	}
	src, err := os.ReadFile(filepath.Join("..", "..", "..", "api", "api.go"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^//\s+(GET|POST|DELETE|PUT)\s+(/api/v1/\S+)`).FindAllStringSubmatch(string(src), -1) {
		path, _, _ := strings.Cut(m[2], "?")
		want = append(want, m[1]+" "+regexp.MustCompile(`/(REF|ID|NAME|SHA256)\b`).ReplaceAllString(path, "/{}"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 20 {
		t.Errorf("endpoints of package api's comment (-) and of the document (+):\n%s", diff)
	}
}

// broken is an inventory that fails for reasons that are nobody's request.
type broken struct{ *webtest.Inventory }

func (broken) Machines(context.Context) ([]api.Machine, error) {
	return nil, errors.New("read machines: disk I/O error")
}

func TestInternalError(t *testing.T) {
	a, err := New(Config{Inventory: broken{webtest.New()}, TokenFile: filepath.Join(t.TempDir(), "t")})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	a.Handler(true).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/machines", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"detail":"read machines: disk I/O error"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	a.Handler(true).ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/machines/m1/power", strings.NewReader(`{"action":"on"}`)))
	if w.Code != 409 || !strings.Contains(w.Body.String(), "no power service") {
		t.Errorf("power without a driver: %d %s", w.Code, w.Body)
	}
}

func TestEvents(t *testing.T) {
	d := newDoor(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, "GET", d.trusted.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type %q", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	wait := func(prefix string) string {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ended before %q: %v", prefix, lines.Err())
		return ""
	}
	wait("retry:") // only after subscribing, so that nothing is missed from here on
	d.inv.Update("m2", func(m *api.Machine) { m.Message = "changed" })
	if got := wait("data:"); got != `data: {"machine":"m2"}` {
		t.Errorf("event %s", got)
	}
	wait(": alive")
	if n := d.inv.Subscribers(); n != 1 {
		t.Errorf("%d subscribers", n)
	}
	stop()
	d.trusted.CloseClientConnections()
	d.trusted.Close() // waits for the handler
	if n := d.inv.Subscribers(); n != 0 {
		t.Errorf("%d subscribers after the reader left", n)
	}
}

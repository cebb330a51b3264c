package redfish

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a machine without a machine.
type fake struct {
	mu   sync.Mutex
	info Info
	log  []string
}

func newFake() *fake {
	return &fake{info: Info{Name: "m1", UUID: "c61d45c8-668f-43ad-b491-40a6f1632629", Enabled: "Disabled", Target: "None",
		CPUs: 2, MemoryMiB: 1024, MACs: []string{"52:54:00:00:00:01", "52:54:00:00:00:02"}}}
}

func (f *fake) Info() Info { f.mu.Lock(); defer f.mu.Unlock(); return f.info }

func (f *fake) Reset(_ context.Context, kind string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, kind)
	f.info.On = kind == "On" || kind == "ForceRestart" || kind == "PowerCycle"
	if kind == "PowerCycle" {
		return errors.New("the fuse has blown")
	}
	return nil
}

func (f *fake) SetBoot(_ context.Context, enabled, target string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.info.Enabled, f.info.Target = enabled, target
	return nil
}

func serve(t *testing.T, f *fake) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(New("lab", "secret", []Machine{f}, nil).Handler())
	t.Cleanup(s.Close)
	return s
}

func TestRequests(t *testing.T) {
	const sys = "/redfish/v1/Systems/m1"
	const act = sys + "/Actions/ComputerSystem.Reset"
	for name, tc := range map[string]struct {
		method, path, body, auth string
		status                   int
		has                      string
	}{
		"version":            {"GET", "/redfish", "", "", 200, `"v1":"/redfish/v1/"`},
		"root":               {"GET", "/redfish/v1/", "", "", 200, `"RedfishVersion"`},
		"root without slash": {"GET", "/redfish/v1", "", "", 200, `"Sessions"`},
		"no login":           {"GET", sys, "", "", 401, "NoValidSession"},
		"wrong password":     {"GET", sys, "", "lab:wrong", 401, "NoValidSession"},
		"wrong user":         {"GET", sys, "", "root:secret", 401, "NoValidSession"},
		"reset, no login":    {"POST", act, `{"ResetType":"On"}`, "", 401, "NoValidSession"},
		"session, no login":  {"POST", "/redfish/v1/SessionService/Sessions", `{"UserName":null,"Password":null}`, "", 401, "missing"},
		"systems":            {"GET", "/redfish/v1/Systems", "", "lab:secret", 200, `"Members":[{"@odata.id":"/redfish/v1/Systems/m1"}]`},
		"system":             {"GET", sys, "", "lab:secret", 200, `"UUID":"c61d45c8-668f-43ad-b491-40a6f1632629"`},
		"trailing slash":     {"GET", sys + "/", "", "lab:secret", 200, `"PowerState":"Off"`},
		"nics":               {"GET", sys + "/EthernetInterfaces", "", "lab:secret", 200, `"Members@odata.count":2`},
		"nic":                {"GET", sys + "/EthernetInterfaces/1", "", "lab:secret", 200, `"MACAddress":"52:54:00:00:00:02"`},
		"no such nic":        {"GET", sys + "/EthernetInterfaces/2", "", "lab:secret", 404, "no network card"},
		"manager":            {"GET", "/redfish/v1/Managers/m1", "", "lab:secret", 200, `"ManagerType":"BMC"`},
		"chassis":            {"GET", "/redfish/v1/Chassis/m1", "", "lab:secret", 200, `"ComputerSystems"`},
		"no such machine":    {"GET", "/redfish/v1/Systems/m2", "", "lab:secret", 404, `no machine \"m2\"`},
		"elsewhere":          {"GET", "/etc/passwd", "", "lab:secret", 404, "ResourceMissingAtURI"},
		"on":                 {"POST", act, `{"ResetType":"On"}`, "lab:secret", 204, ""},
		"unknown reset":      {"POST", act, `{"ResetType":"Nmi"}`, "lab:secret", 400, "known are On"},
		"reset fails":        {"POST", act, `{"ResetType":"PowerCycle"}`, "lab:secret", 500, "fuse"},
		"garbage":            {"POST", act, "\x00\xff", "lab:secret", 400, "MalformedJSON"},
		"too long":           {"POST", act, `{"ResetType":"` + strings.Repeat("x", 70<<10) + `"}`, "lab:secret", 413, "65536"},
		"boot once":          {"PATCH", sys, `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`, "lab:secret", 204, ""},
		"boot mode":          {"PATCH", sys, `{"Boot":{"BootSourceOverrideTarget":"Hdd","BootSourceOverrideMode":"UEFI"}}`, "lab:secret", 400, "known are Legacy"},
		"boot target":        {"PATCH", sys, `{"Boot":{"BootSourceOverrideTarget":"Floppy"}}`, "lab:secret", 400, "known are None, Pxe, Hdd"},
		"name":               {"PATCH", sys, `{"Name":"x"}`, "lab:secret", 400, "cannot be changed"},
		"boot null":          {"PATCH", sys, `{"Boot":null}`, "lab:secret", 400, "Boot must hold"},
		"nothing":            {"PATCH", sys, `null`, "lab:secret", 400, "Boot must hold"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, newFake())
			resp, body := call(t, srv.URL, tc.method, tc.path, tc.body, tc.auth)
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.has) {
				t.Errorf("%d %s, expected %d with %s", resp.StatusCode, body, tc.status, tc.has)
			}
			if v := resp.Header.Get("OData-Version"); v != "4.0" {
				t.Errorf("OData-Version %q", v)
			}
			if body != "" && !json.Valid([]byte(body)) {
				t.Errorf("not JSON: %s", body)
			}
		})
	}
}

func call(t *testing.T, url, method, path, body, auth string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if user, pass, ok := strings.Cut(auth, ":"); ok {
		req.SetBasicAuth(user, pass)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestOverrideAndETag(t *testing.T) {
	f := newFake()
	srv := serve(t, f)
	const sys = "/redfish/v1/Systems/m1"
	before, _ := call(t, srv.URL, "GET", sys, "", "lab:secret")
	patch := func(match, boot string) int {
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", srv.URL+sys, strings.NewReader(`{"Boot":`+boot+`}`))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("lab", "secret")
		req.Header.Set("If-Match", match)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	tag := before.Header.Get("ETag")
	if got := patch(tag, `{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Pxe"}`); got != 204 {
		t.Errorf("PATCH with the right ETag: %d", got)
	}
	if got := patch(tag, `{"BootSourceOverrideTarget":"Hdd"}`); got != 412 {
		t.Errorf("PATCH with an old ETag: %d", got)
	}
	if d := cmp.Diff([]string{"Continuous", "Pxe"}, []string{f.Info().Enabled, f.Info().Target}); d != "" {
		t.Error(d)
	}
	if got := patch("*", `{"BootSourceOverrideEnabled":"Disabled"}`); got != 204 || f.Info().Target != "None" {
		t.Errorf("disabled: %d, %+v", got, f.Info())
	}
}

func TestSession(t *testing.T) {
	srv := serve(t, newFake())
	resp, body := call(t, srv.URL, "POST", "/redfish/v1/SessionService/Sessions", `{"UserName":"lab","Password":"secret"}`, "")
	token, at := resp.Header.Get("X-Auth-Token"), resp.Header.Get("Location")
	if resp.StatusCode != 201 || token == "" || !strings.HasPrefix(at, "/redfish/v1/SessionService/Sessions/") {
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	with := func(method, path string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, step := range []struct {
		method, path string
		status       int
	}{{"GET", "/redfish/v1/Systems", 200}, {"GET", at, 200}, {"DELETE", at, 204}, {"GET", "/redfish/v1/Systems", 401}} {
		if got := with(step.method, step.path); got != step.status {
			t.Errorf("%s %s: %d, expected %d", step.method, step.path, got, step.status)
		}
	}
}

// TestKeepAlive does what a stand-in in Python failed at: many calls on one
// connection, with replies that have no body among them.
func TestKeepAlive(t *testing.T) {
	srv := serve(t, newFake())
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(conn)
	for i := range 100 {
		method, body := "GET", ""
		if i%2 == 0 {
			method, body = "PATCH", `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`
		}
		req, err := http.NewRequest(method, srv.URL+"/redfish/v1/Systems/m1", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("lab", "secret")
		if err := req.Write(conn); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			t.Fatalf("call %d: %v, close %v", i, err, resp.Close)
		}
	}
}

const python = "/usr/bin/python3"

// TestSushy drives the service with a stock client, 50 calls in one session,
// for each way it can log in.
func TestSushy(t *testing.T) {
	if out, err := exec.Command(python, "-c", "import sushy").CombinedOutput(); err != nil {
		t.Fatalf("%v: install python3-sushy: %s", err, out)
	}
	for _, mode := range []string{"basic", "session", "either", "none"} {
		t.Run(mode, func(t *testing.T) {
			f := newFake()
			s := New("lab", "secret", []Machine{f}, nil)
			if mode == "none" {
				s.Password = ""
			}
			srv := httptest.NewServer(s.Handler())
			defer srv.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, python, "testdata/sushy50.py", srv.URL, mode)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want := "On Off 52:54:00:00:00:01 52:54:00:00:00:02 m1 m1"
			if d := cmp.Diff(want, strings.TrimSpace(string(out))); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff([]string{"On", "ForceOff"}, f.log); d != "" {
				t.Error(d)
			}
			if i := f.Info(); i.Enabled != "Continuous" || i.Target != "Pxe" {
				t.Errorf("boot override at the end: %s %s", i.Enabled, i.Target)
			}
		})
	}
}

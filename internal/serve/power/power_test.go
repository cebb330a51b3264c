package power_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/power"
	"bareroot/internal/serve/power/powertest"
)

func TestFakeContract(t *testing.T) {
	powertest.Run(t, func(*testing.T) powertest.Service { return powertest.NewFake().Service() })
}

func TestRedfishContract(t *testing.T) {
	quirks := map[string]func(*standin){
		"plain":        func(*standin) {},
		"slow":         func(s *standin) { s.slow = 3 },
		"lower case":   func(s *standin) { s.lowerCase = true },
		"listed":       func(s *standin) { s.resets = []string{"On", "ForceOff", "ForceRestart", "GracefulShutdown"} },
		"power cycle":  func(s *standin) { s.resets = []string{"On", "ForceOff", "PowerCycle"} },
		"only on, off": func(s *standin) { s.resets = []string{"On", "ForceOff"} },
	}
	for name, quirk := range quirks {
		t.Run(name, func(t *testing.T) {
			powertest.Run(t, func(t *testing.T) powertest.Service {
				s, srv := newStandin(t)
				quirk(s)
				d, err := power.Redfish(service(t, srv.URL))
				if err != nil {
					t.Fatal(err)
				}
				return s.look(d)
			})
		})
	}
}

// Real services refuse what they do not know: no more is sent than needed.
func TestRedfishBodies(t *testing.T) {
	s, srv := newStandin(t)
	d, err := power.Redfish(service(t, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetBootOnce(t.Context(), powertest.First, power.BootPXE); err != nil {
		t.Fatal(err)
	}
	if err := d.On(t.Context(), powertest.First); err != nil {
		t.Fatal(err)
	}
	want := []string{`{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`, `{"ResetType":"On"}`}
	if diff := cmp.Diff(want, s.bodies); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
}

func TestRedfishTrouble(t *testing.T) {
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome to your printer</html>"))
	}))
	t.Cleanup(html.Close)
	var leaked sync.Once
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		leaked.Do(func() { t.Error("the redirect was followed") })
	}))
	t.Cleanup(other.Close)
	redirect := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(redirect.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(untrusted.Close)
	_, good := newStandin(t)
	wrong := service(t, good.URL)
	if err := os.WriteFile(wrong.PasswordFile, []byte("guess"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		svc  power.Service
		want string
	}{
		"a page":         {service(t, html.URL), "invalid character"},
		"redirect":       {service(t, redirect.URL), "302"},
		"nobody there":   {service(t, gone.URL), "connection refused"},
		"unknown issuer": {service(t, untrusted.URL), "certificate"},
		"wrong password": {wrong, "the service refuses the user name or password (401)"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := power.Redfish(tc.svc)
			if err != nil {
				t.Fatal(err)
			}
			list, err := d.Systems(t.Context())
			if err == nil || len(list) > 0 || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 600 || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, error %v; want %q in one line", list, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error("the error tells the password")
			}
		})
	}
}

func TestRedfishBrokenMember(t *testing.T) {
	s, srv := newStandin(t)
	s.broken = "1"
	d, err := power.Redfish(service(t, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.Systems(t.Context())
	if err == nil || len(list) != 1 || list[0].UUID != powertest.Second {
		t.Errorf("%v, error %v; want the other machine and an error", list, err)
	}
}

// A service that renumbers its members must not switch the wrong machine.
func TestRedfishRenumbered(t *testing.T) {
	s, srv := newStandin(t)
	d, err := power.Redfish(service(t, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Systems(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.swapped = true
	s.mu.Unlock()
	if err := d.Off(t.Context(), powertest.Second); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error %v", err)
	}
	if len(s.bodies) > 0 {
		t.Errorf("switched: %v", s.bodies)
	}
	if got, err := d.Status(t.Context(), powertest.Second); err != nil || got != power.Off {
		t.Errorf("the next try: %q, %v", got, err)
	}
}

func TestConfig(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := service(t, "https://bmc.example")
	tests := map[string]struct {
		services []power.Service
		want     string
	}{
		"none":             {nil, ""},
		"good":             {[]power.Service{good}, ""},
		"no login":         {[]power.Service{{URL: "http://127.0.0.1:8000"}}, ""},
		"not a URL":        {[]power.Service{{URL: "bmc1"}}, "not an http or https URL"},
		"other scheme":     {[]power.Service{{URL: "ipmi://bmc1"}}, "not an http or https URL"},
		"user in URL":      {[]power.Service{{URL: "https://root:calvin@bmc1"}}, "use username and password_file"},
		"no password file": {[]power.Service{{URL: "https://bmc1", Username: "root"}}, "without a password file"},
		"no username":      {[]power.Service{{URL: "https://bmc1", PasswordFile: "/x"}}, "without a username"},
		"no such file":     {[]power.Service{{URL: "https://bmc1", Username: "root", PasswordFile: "/nonexistent/x"}}, "no such file"},
		"empty file":       {[]power.Service{{URL: "https://bmc1", Username: "root", PasswordFile: empty}}, "is empty"},
		"twice":            {[]power.Service{good, good}, "named twice"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := power.New(power.Config{Services: tc.services})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "calvin") {
				t.Error("the error tells the password")
			}
		})
	}
}

// ledger is an inventory that keeps what it is told.
type ledger struct {
	mu   sync.Mutex
	last map[string]inventory.PowerSystem
	news chan struct{}
}

func newLedger() *ledger {
	return &ledger{last: map[string]inventory.PowerSystem{}, news: make(chan struct{}, 1)}
}

func (l *ledger) Import(_ context.Context, s inventory.PowerSystem) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[s.UUID] = s
	select {
	case l.news <- struct{}{}:
	default:
	}
	return nil
}

func (l *ledger) power(uuid string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[uuid].Power
}

// logged keeps log lines.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logged) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		n += strings.Count(line, text)
	}
	return n
}

func TestManagerPolls(t *testing.T) {
	first, second, inv, log := powertest.NewFake(), powertest.NewFake(), newLedger(), &logged{}
	second.Break(errors.New("cable is out"))
	m, err := power.New(power.Config{
		Services:  []power.Service{{Name: "a", Driver: first}, {Name: "b", Driver: second}},
		Inventory: inv, Interval: time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	wait := func(what string, done func() bool) {
		t.Helper()
		deadline := time.After(time.Minute)
		for !done() {
			select {
			case <-inv.news:
			case <-deadline:
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}
	polls := 0
	wait("many polls", func() bool { polls++; return polls > 20 })
	if inv.power(powertest.First) != power.Off || inv.power(powertest.Second) != power.On {
		t.Errorf("imported %v", inv.last)
	}
	if err := first.On(ctx, powertest.First); err != nil {
		t.Fatal(err)
	}
	wait("the new state", func() bool { return inv.power(powertest.First) == power.On })
	if n := log.count("cable is out"); n != 1 {
		t.Errorf("the broken service was logged %d times", n)
	}
	second.Break(nil)
	wait("the service's return", func() bool { return log.count("power service answers\" service=b") == 1 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDo(t *testing.T) {
	tests := map[string]struct {
		uuid   string
		req    api.PowerRequest
		broken error
		want   string // power
		status int    // of the problem
		says   string
		boot   string
	}{
		"on":              {powertest.First, api.PowerRequest{Action: "on"}, nil, "on", 0, "", ""},
		"upper case":      {strings.ToUpper(powertest.First), api.PowerRequest{Action: "on"}, nil, "on", 0, "", ""},
		"off":             {powertest.Second, api.PowerRequest{Action: "off"}, nil, "off", 0, "", ""},
		"cycle":           {powertest.Second, api.PowerRequest{Action: "cycle", Boot: "pxe"}, nil, "on", 0, "", ""},
		"on, boot":        {powertest.Second, api.PowerRequest{Action: "on", Boot: "disk"}, nil, "on", 0, "", "disk"},
		"status":          {powertest.First, api.PowerRequest{Action: "status"}, nil, "off", 0, "", ""},
		"unknown action":  {powertest.First, api.PowerRequest{Action: "kick"}, nil, "", 400, "kick", ""},
		"unknown device":  {powertest.First, api.PowerRequest{Action: "on", Boot: "usb"}, nil, "", 400, "usb", ""},
		"off with boot":   {powertest.First, api.PowerRequest{Action: "off", Boot: "pxe"}, nil, "", 400, "goes with on or cycle", ""},
		"no UUID":         {"", api.PowerRequest{Action: "on"}, nil, "", 409, "no UUID", ""},
		"unknown machine": {"0", api.PowerRequest{Action: "on"}, nil, "", 409, "no power service knows", ""},
		"service down":    {powertest.First, api.PowerRequest{Action: "on"}, errors.New("cable is out"), "", 502, "cable is out", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			fake, inv := powertest.NewFake(), newLedger()
			m, err := power.New(power.Config{Services: []power.Service{{Name: "a", Driver: fake}}, Inventory: inv})
			if err != nil {
				t.Fatal(err)
			}
			fake.Break(tc.broken)
			got, err := m.Do(t.Context(), tc.uuid, tc.req)
			if tc.status != 0 {
				var p *api.Problem
				if !errors.As(err, &p) || p.Status != tc.status || !strings.Contains(p.Detail, tc.says) {
					t.Errorf("error %#v, want status %d with %q", err, tc.status, tc.says)
				}
				return
			}
			if err != nil || got.Power != tc.want {
				t.Fatalf("%+v, %v", got, err)
			}
			uuid := strings.ToLower(tc.uuid)
			if inv.power(uuid) != tc.want {
				t.Errorf("inventory was told %q", inv.power(uuid))
			}
			if b := fake.Service().BootOnce(uuid); b != tc.boot {
				t.Errorf("override left %q, want %q", b, tc.boot)
			}
		})
	}
}

// stuck takes requests and does nothing.
type stuck struct{ *powertest.Fake }

func (stuck) On(context.Context, string) error { return nil }

func TestDoWaitsWithBound(t *testing.T) {
	m, err := power.New(power.Config{Services: []power.Service{{Name: "a", Driver: stuck{powertest.NewFake()}}}, Settle: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Do(t.Context(), powertest.First, api.PowerRequest{Action: "on"})
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != 502 || !strings.Contains(p.Detail, `still "off"`) {
		t.Errorf("error %v", err)
	}
}

package power_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bareroot/internal/serve/power"
	"bareroot/internal/serve/power/powertest"
)

// standin is a Redfish service of the suite's two machines (DSP0268 resource
// names), with the quirks that tests ask for.
type standin struct {
	t      *testing.T
	mu     sync.Mutex
	state  map[string]string // PowerState by member
	boot   map[string]string // override target by member
	starts map[string]int
	lag    map[string]int    // reads until a member shows its new state
	old    map[string]string // what it shows until then

	resets    []string // AllowableValues; nil: all
	slow      int      // reads until a new state shows
	broken    string   // a member whose resource fails
	swapped   bool     // the members have exchanged their places
	lowerCase bool     // else UUIDs are upper case, as many services have them
	bodies    []string // of PATCH and POST
}

const (
	user     = "admin"
	password = "s3cret: with a colon"
)

func newStandin(t *testing.T) (*standin, *httptest.Server) {
	s := &standin{
		t:     t,
		state: map[string]string{"1": "Off", "2": "On"}, boot: map[string]string{}, starts: map[string]int{},
		lag: map[string]int{}, old: map[string]string{},
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv
}

// service is the configuration for the stand-in.
func service(t *testing.T, url string) power.Service {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return power.Service{URL: url + "/", Username: user, PasswordFile: file}
}

func member(uuid string) string {
	if uuid == powertest.First {
		return "1"
	}
	return "2"
}

func (s *standin) look(d power.Driver) powertest.Service {
	return powertest.Service{
		Driver: d,
		BootOnce: func(uuid string) string {
			s.mu.Lock()
			defer s.mu.Unlock()
			return map[string]string{"Pxe": power.BootPXE, "Hdd": power.BootDisk}[s.boot[member(uuid)]]
		},
		Starts: func(uuid string) int { s.mu.Lock(); defer s.mu.Unlock(); return s.starts[member(uuid)] },
	}
}

func (s *standin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const root = "/redfish/v1"
	path, found := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), root)
	if !found {
		http.NotFound(w, r)
		return
	}
	// The root is open to all (DSP0266 13.3), the rest is not.
	if u, p, ok := r.BasicAuth(); path != "" && (!ok || u != user || p != password) {
		http.Error(w, `{"error":{"code":"Base.1.0.NoValidSession","message":"log in"}}`, http.StatusUnauthorized)
		return
	}
	send := func(v map[string]any) {
		v["@odata.id"] = r.URL.Path
		if err := json.NewEncoder(w).Encode(v); err != nil {
			s.t.Error(err)
		}
	}
	link := func(p string) map[string]any { return map[string]any{"@odata.id": root + p} }
	part := strings.Split(path, "/")
	switch {
	case path == "":
		send(map[string]any{"Id": "RootService", "Name": "Root", "RedfishVersion": "1.15.0", "Systems": link("/Systems")})
	case path == "/Systems":
		send(map[string]any{"Name": "Systems", "Members@odata.count": 2, "Members": []any{link("/Systems/1"), link("/Systems/2")}})
	case len(part) == 3 && part[2] == s.broken:
		http.Error(w, "<html>internal error</html>", http.StatusInternalServerError)
	case len(part) == 3 && r.Method == http.MethodPatch:
		s.patch(w, r, part[2])
	case len(part) == 3:
		s.system(part[2], send, link)
	case len(part) == 4 && part[3] == "EthernetInterfaces":
		macs := s.macs(part[2])
		var members []any
		for i := range macs {
			members = append(members, link(fmt.Sprintf("/Systems/%s/EthernetInterfaces/%d", part[2], i)))
		}
		send(map[string]any{"Members": members, "Members@odata.count": len(members)})
	case len(part) == 5 && part[3] == "EthernetInterfaces":
		macs := s.macs(part[2])
		send(map[string]any{"Id": part[4], "MACAddress": macs[int(part[4][0]-'0')]})
	case len(part) == 5 && part[4] == "ComputerSystem.Reset" && r.Method == http.MethodPost:
		s.reset(w, r, part[2])
	default:
		http.NotFound(w, r)
	}
}

// macs are as services write them: upper case, and not in order.
func (s *standin) macs(m string) []string {
	if m == "1" {
		return []string{"52:54:00:AA:00:02", "52:54:00:AA:00:01"}
	}
	return []string{"52:54:00:AA:00:03"}
}

func (s *standin) system(m string, send func(map[string]any), link func(string) map[string]any) {
	id := map[string]string{"1": powertest.First, "2": powertest.Second}[m]
	if s.swapped {
		id = map[string]string{"2": powertest.First, "1": powertest.Second}[m]
	}
	if !s.lowerCase {
		id = strings.ToUpper(id)
	}
	state := s.state[m]
	if s.lag[m] > 0 {
		s.lag[m]--
		state = s.old[m]
	}
	reset := map[string]any{"target": "/redfish/v1/Systems/" + m + "/Actions/ComputerSystem.Reset"}
	if s.resets != nil {
		reset["ResetType@Redfish.AllowableValues"] = s.resets
	}
	send(map[string]any{
		"Id": m, "Name": map[string]string{"1": "one", "2": "two"}[m], "UUID": id, "PowerState": state,
		"EthernetInterfaces": link("/Systems/" + m + "/EthernetInterfaces"),
		"Boot":               map[string]any{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"},
		"Actions":            map[string]any{"#ComputerSystem.Reset": reset},
	})
}

func (s *standin) body(r *http.Request, v any) {
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		s.t.Error(err)
	}
	s.bodies = append(s.bodies, string(raw))
	if err := json.Unmarshal(raw, v); err != nil {
		s.t.Error(err)
	}
}

func (s *standin) patch(w http.ResponseWriter, r *http.Request, m string) {
	var in struct {
		Boot struct{ BootSourceOverrideEnabled, BootSourceOverrideTarget string }
	}
	s.body(r, &in)
	if in.Boot.BootSourceOverrideEnabled != "Once" {
		s.t.Errorf("override %+v", in)
	}
	s.boot[m] = in.Boot.BootSourceOverrideTarget
	w.WriteHeader(http.StatusNoContent)
}

func (s *standin) reset(w http.ResponseWriter, r *http.Request, m string) {
	var in struct{ ResetType string }
	s.body(r, &in)
	if s.resets != nil && !slices.Contains(s.resets, in.ResetType) {
		http.Error(w, `{"error":{"code":"Base.1.0.ActionParameterNotSupported","message":"no"}}`, http.StatusBadRequest)
		return
	}
	s.old[m], s.lag[m] = s.state[m], s.slow
	switch in.ResetType {
	case "On":
		if s.state[m] == "On" {
			http.Error(w, `{"error":{"code":"Base.1.0.Conflict","message":"already on"}}`, http.StatusConflict)
			return
		}
		s.state[m] = "On"
		s.starts[m]++
		delete(s.boot, m)
	case "ForceRestart", "PowerCycle":
		s.starts[m]++
		delete(s.boot, m)
	case "ForceOff":
		s.state[m] = "Off"
	default:
		s.t.Errorf("reset type %q", in.ResetType)
	}
	w.WriteHeader(http.StatusNoContent)
}

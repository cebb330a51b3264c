package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/rdconf/rdconftest"
)

// boot is a machine that has netbooted: its segment's secret, and after
// hello its session.
type boot struct {
	s       *site
	mac     string
	attempt string
	nonce   string
	token   string
	id      string // of the machine
}

var attemptForm = regexp.MustCompile(`/boot/segments/([0-9a-f]+)`)

// netboot asks for a script and reads the segment, as iPXE and init do.
func (s *site) netboot(t *testing.T, mac string) *boot {
	t.Helper()
	b := &boot{s: s, mac: mac}
	code, script := s.get(t, "/boot/ipxe?platform=pcbios&arch=x86_64&mac="+mac)
	found := attemptForm.FindSubmatch(script)
	if code != 200 || found == nil {
		t.Fatalf("boot script: %d\n%s", code, script)
	}
	b.attempt = string(found[1])
	code, segment := s.get(t, "/boot/segments/"+b.attempt)
	if code != 200 {
		t.Fatalf("segment: %d", code)
	}
	b.nonce = rdconftest.InSegment(t, segment).Server.Nonce
	return b
}

func (b *boot) hello(t *testing.T, bootID string) (int, []byte) {
	t.Helper()
	doc, err := json.Marshal(api.HelloRequest{Protocol: 1, Nonce: b.nonce, BootID: bootID, Program: "attack", Version: "1", MACs: []string{b.mac}, Kinds: []string{api.KindDeploy}})
	if err != nil {
		t.Fatal(err)
	}
	code, body := b.s.request(t, http.MethodPost, "/agent/v1/hello", bytes.NewReader(doc))
	if code == 429 {
		t.Fatal("too many hellos: the tests together must stay below the server's limit")
	}
	if code == 200 {
		var reply api.HelloReply
		if err := json.Unmarshal(body, &reply); err != nil {
			t.Fatal(err)
		}
		b.token, b.id = reply.Token, reply.Machine
	}
	return code, body
}

// machine boots one and says hello.
func (s *site) machine(t *testing.T, mac, bootID string) *boot {
	t.Helper()
	b := s.netboot(t, mac)
	if code, body := b.hello(t, bootID); code != 200 {
		t.Fatalf("hello: %d %s", code, body)
	}
	return b
}

// call makes a request with the session's token.
func (b *boot) call(t *testing.T, method, path string, body any) (int, []byte) {
	t.Helper()
	doc, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := body.(string); ok {
		doc = []byte(text)
	}
	return b.s.request(t, method, path, bytes.NewReader(doc), "Authorization", "Bearer "+b.token)
}

// A nonce is good for one exchange; the second is refused and shown.
func TestNonceTwice(t *testing.T) {
	s := start(t)
	b := s.machine(t, "52:54:00:0a:00:01", "boot-1")
	before := s.errors(t, "agent")
	if code, body := b.hello(t, "boot-thief"); code != 403 {
		t.Errorf("the second exchange: %d %s", code, body)
	}
	s.counted(t, "second exchange", "agent", before)
	m, err := s.client.Machine(t.Context(), b.id)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(m.Warnings, "\n"), "presented a second time, by "+guestAddr) {
		t.Errorf("the machine shows no warning: %q", m.Warnings)
	}
	if code, _ := b.call(t, http.MethodGet, "/agent/v1/next?wait=0", nil); code != 204 {
		t.Errorf("the first session afterwards: %d", code)
	}
	if code, _ := s.get(t, "/boot/segments/"+b.attempt); code != 404 {
		t.Errorf("the segment is still served after hello: %d", code)
	}
}

// Ids of attempts, nonces and tokens are random and long.
func TestSecretsAreLong(t *testing.T) {
	s := start(t)
	seen := map[string]bool{}
	for i := range 4 {
		b := s.netboot(t, fmt.Sprintf("52:54:00:0a:01:%02x", i))
		for what, v := range map[string]string{"attempt": b.attempt, "nonce": b.nonce} {
			if want := map[string]int{"attempt": 32, "nonce": 64}[what]; len(v) < want {
				t.Errorf("%s %q is short", what, v)
			}
			for n := 0; n+8 <= len(v); n += 8 {
				if seen[v[n:n+8]] {
					t.Errorf("%s %q has a part that another secret has", what, v)
				}
				seen[v[n:n+8]] = true
			}
		}
	}
	before := s.errors(t, "http")
	for i := range 50 {
		if code, _ := s.get(t, fmt.Sprintf("/boot/segments/%032x", i)); code != 404 {
			t.Errorf("a guessed attempt: %d", code)
		}
	}
	s.counts(t, "http", before, 50)
}

// Every door of the agent's protocol without, with a wrong, and with an old
// token; and in every place but the right one.
func TestTokens(t *testing.T) {
	s := start(t)
	old := s.machine(t, "52:54:00:0a:02:01", "boot-1")
	now := s.machine(t, "52:54:00:0a:02:01", "boot-2")
	if old.id != now.id || old.token == now.token {
		t.Fatalf("one machine's boots: %+v, %+v", old, now)
	}
	before := s.errors(t, "agent")
	n := int64(0)
	for _, call := range []struct{ method, path string }{
		{"POST", "/agent/v1/facts"}, {"GET", "/agent/v1/next?wait=0"}, {"POST", "/agent/v1/events"}, {"POST", "/agent/v1/log?offset=0"}, {"GET", "/images/" + s.image}, {"HEAD", "/images/" + s.image},
	} {
		in := "?"
		if strings.Contains(call.path, "?") {
			in = "&"
		}
		for what, h := range map[string][]string{
			"no token":             {},
			"an empty one":         {"Authorization", "Bearer "},
			"a wrong one":          {"Authorization", "Bearer " + strings.Repeat("0", 64)},
			"the token's hash":     {"Authorization", "Bearer e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
			"the old boot's":       {"Authorization", "Bearer " + old.token},
			"the nonce":            {"Authorization", "Bearer " + now.nonce},
			"the operator's":       {"Authorization", "Bearer " + s.token},
			"another scheme":       {"Authorization", "Basic " + now.token},
			"in a cookie":          {"Cookie", "token=" + now.token},
			"in a header of a own": {"X-Token", now.token},
			"in the query":         nil,
		} {
			path := call.path
			if h == nil {
				path += in + "token=" + now.token + "&access_token=" + now.token
			}
			code, body := s.request(t, call.method, path, strings.NewReader("{}"), h...)
			if code != 401 {
				t.Errorf("%s %s with %s: %d %s", call.method, call.path, what, code, body)
			}
			n++
		}
	}
	s.counts(t, "agent", before, n)
	for _, path := range []string{"/api/v1/machines", "/api/v1/status"} { // a machine's token is no operator's
		if code, _ := now.call(t, http.MethodGet, path, nil); code != 404 {
			t.Errorf("%s on the provisioning door: %d", path, code)
		}
	}
}

// A machine's session reaches its own machine only.
func TestOtherMachines(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	victim, thief := s.machine(t, "52:54:00:0a:03:01", "boot-victim"), s.machine(t, "52:54:00:0a:03:02", "boot-thief")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.client.Approve(ctx, victim.id, api.ApproveRequest{})
	must(err)
	if code, body := victim.call(t, "POST", "/agent/v1/facts", api.Facts{Version: 1, Kernel: "victim's"}); code != 204 {
		t.Fatalf("facts: %d %s", code, body)
	}
	if code, body := victim.call(t, "POST", "/agent/v1/log?offset=0", "victim's log\n"); code != 204 {
		t.Fatalf("log: %d %s", code, body)
	}
	o, err := s.client.PlaceOrder(ctx, victim.id, api.OrderRequest{Kind: api.KindDeploy, Image: "disk", Erase: true})
	must(err)

	if code, body := thief.call(t, "GET", "/agent/v1/next?wait=0", nil); code != 204 {
		t.Errorf("the thief is given an order: %d %s", code, body)
	}
	if code, _ := thief.call(t, "GET", "/images/"+s.image, nil); code != 404 {
		t.Errorf("the thief reads the victim's image: %d", code)
	}
	if code, body := victim.call(t, "GET", "/images/"+s.image, nil); code != 200 || !bytes.Equal(body, s.bytes) {
		t.Errorf("the victim's image: %d, %d bytes", code, len(body))
	}
	code, body := victim.call(t, "GET", "/agent/v1/next?wait=0", nil)
	var got api.Order
	if err := json.Unmarshal(body, &got); code != 200 || err != nil || got.ID != o.ID {
		t.Fatalf("the victim's order: %d %s", code, body)
	}
	for _, kind := range []string{api.EventState, api.EventProgress, api.EventPlan, api.EventNote} {
		for _, state := range []string{api.StateDone, api.StateFailed, api.StateCancelled} {
			code, body := thief.call(t, "POST", "/agent/v1/events", api.EventBatch{Events: []api.Event{{Order: o.ID, Attempt: 1, Seq: 1, Kind: kind, State: state, Message: "stolen", BootID: "boot-victim"}}})
			if code != 404 {
				t.Errorf("the thief reports %s %s of the victim's order: %d %s", kind, state, code, body)
			}
		}
	}
	// A boot id that somebody else has is a name, not a way to his log.
	thief2 := s.machine(t, "52:54:00:0a:03:02", "boot-victim")
	for path, body := range map[string]any{
		"/agent/v1/facts":        api.Facts{Version: 1, Kernel: "thief's", System: api.System{UUID: "9f1b3c2e-0a4d-4b8e-9c55-0123456789ab"}, NICs: []api.NIC{{MAC: victim.mac}}},
		"/agent/v1/log?offset=0": "thief's log",
		"/agent/v1/events":       api.EventBatch{Events: []api.Event{{BootID: "boot-victim", Seq: 1, Kind: api.EventBoot, Phase: "root", Message: "stolen"}}},
	} {
		if code, reply := thief2.call(t, "POST", path, body); code/100 != 2 {
			t.Errorf("%s: %d %s", path, code, reply)
		}
	}
	m, err := s.client.Machine(ctx, victim.id)
	must(err)
	if m.Facts == nil || m.Facts.Kernel != "victim's" || m.Message == "stolen" || m.Order == nil || m.Order.State != api.StateSent || len(m.MACs) != 1 {
		t.Errorf("the victim afterwards: %+v, order %+v", m, m.Order)
	}
	rc, err := s.client.Logs(ctx, victim.id, "", 0)
	must(err)
	defer rc.Close()
	log, err := io.ReadAll(rc)
	if err != nil || string(log) != "victim's log\n" {
		t.Errorf("the victim's log is %q, %v", log, err)
	}
	_, err = s.client.Cancel(ctx, o.ID)
	must(err)
}

// A hello claims another machine's interfaces and UUID: it keeps its own.
func TestClaims(t *testing.T) {
	s := start(t)
	victim := s.machine(t, "52:54:00:0a:04:01", "boot-victim")
	thief := s.netboot(t, "52:54:00:0a:04:02")
	thief.mac = victim.mac
	if code, body := thief.hello(t, "boot-thief"); code != 200 {
		t.Fatalf("hello: %d %s", code, body)
	}
	m, err := s.client.Machine(t.Context(), victim.mac)
	if err != nil || m.ID != victim.id {
		t.Errorf("%s is now machine %v's, %v", victim.mac, m, err)
	}
	for name, req := range map[string]api.HelloRequest{
		"boot id that is a path": {Protocol: 1, Nonce: victim.nonce, BootID: "../../secret"},
		"no boot id":             {Protocol: 1, Nonce: victim.nonce},
		"no protocol":            {Nonce: victim.nonce, BootID: "x"},
		"no nonce":               {Protocol: 1, BootID: "x"},
	} {
		doc, _ := json.Marshal(req) // always marshals
		if code, body := s.request(t, "POST", "/agent/v1/hello", bytes.NewReader(doc)); code != 400 && code != 403 {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
}

// Invented machines appear as new, get nothing but discovery, and slow
// nobody down much.
func TestInventedMachines(t *testing.T) {
	s := start(t)
	hc := s.guest.http()
	defer hc.CloseIdleConnections()
	begin := time.Now()
	const n = 400
	for i := range n {
		resp, err := hc.Get(fmt.Sprintf("http://%s/boot/ipxe?arch=x86_64&mac=52:54:02:00:%02x:%02x", door, i>>8, i&0xff))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("%d", resp.StatusCode)
		}
	}
	t.Logf("%d invented machines in %v", n, time.Since(begin).Round(time.Millisecond))
	ms, err := s.client.Machines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	invented := 0
	for _, m := range ms {
		if len(m.MACs) == 1 && strings.HasPrefix(m.MACs[0], "52:54:02:") {
			invented++
			if m.Approval != api.ApprovalNew || m.Boot != api.BootDiscover || m.Order != nil {
				t.Errorf("an invented machine is %+v", m)
			}
		}
	}
	if invented != n {
		t.Errorf("%d of %d invented machines are listed", invented, n)
	}
	one := time.Now()
	s.netboot(t, "52:54:00:0a:05:01")
	if took := time.Since(one); took > 20*time.Second {
		t.Errorf("an honest machine waits %v for its script", took)
	}
	_, err = s.client.PlaceOrder(t.Context(), "52:54:02:00:00:01", api.OrderRequest{Kind: api.KindDeploy, Image: "disk"})
	if p := new(api.Problem); err == nil {
		d, err := s.client.Machine(t.Context(), "52:54:02:00:00:01")
		if err != nil || d.Status != "waiting for approval" {
			t.Errorf("an order for an invented machine: %+v, %v", d, err)
		}
	} else if !asProblem(err, p) || p.Status != 409 {
		t.Errorf("an order for an invented machine: %v", err)
	}
}

// What machines say of themselves cannot paint on the operator's terminal.
func TestHostileTexts(t *testing.T) {
	s := start(t)
	b := s.machine(t, "52:54:00:0a:06:01", "boot-1")
	evil := "\x1b]0;owned\x07\x1b[2J\r\n<script>alert(1)</script>\u202e"
	if code, body := b.call(t, "POST", "/agent/v1/facts", api.Facts{Version: 1, Kernel: evil, CPU: api.CPU{Model: evil}, System: api.System{Manufacturer: evil, Product: evil, Serial: evil},
		Disks: []api.Disk{{ID: evil, Path: evil, Model: evil, Serial: evil}}, NICs: []api.NIC{{Name: evil, MAC: evil, Driver: evil}}}); code != 204 {
		t.Fatalf("facts: %d %s", code, body)
	}
	if code, body := b.call(t, "POST", "/agent/v1/events", api.EventBatch{Events: []api.Event{{Seq: 1, Kind: api.EventBoot, Phase: evil, Message: evil, Failed: true}}}); code != 200 {
		t.Fatalf("events: %d %s", code, body)
	}
	for _, args := range [][]string{{"machine", "list"}, {"machine", "show", b.id}} {
		out := s.run(t, args...)
		for _, bad := range []string{"\x1b", "\x07", "\r", "\u202e"} {
			if strings.Contains(out, bad) {
				t.Errorf("bareroot %v prints %q:\n%q", args, bad, out)
			}
		}
	}
	page := s.page(t, "/machines/"+b.id)
	if bytes.Contains(page, []byte("<script>alert")) {
		t.Error("the page carries the machine's markup")
	}
}

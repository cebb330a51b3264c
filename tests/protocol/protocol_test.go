package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/rdconf"
)

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// TestRecord runs today's agent against today's server through a recording
// proxy; with -update the transcript is kept.
func TestRecord(t *testing.T) {
	s := newServer(t)
	rec := &recorder{next: s.http}
	hc := to(t, rec)
	c := &client.Agent{Base: base, HTTP: hc}
	reply, err := c.Hello(t.Context(), hello(s.nonce))
	if err != nil {
		t.Fatal(err)
	}
	c.Token = reply.Token
	if _, err := c.Events(t.Context(), api.EventBatch{Events: []api.Event{ // as init does
		{BootID: hello("").BootID, Seq: 1, Time: time.Now().UTC(), Kind: api.EventBoot, Phase: "network", Message: "eth0 10.0.0.17/24"},
		{BootID: hello("").BootID, Seq: 2, Time: time.Now().UTC(), Kind: api.EventBoot, Phase: "hello", Message: "bareroot-init"},
	}}); err != nil {
		t.Fatal(err)
	}
	if o, err := c.Next(t.Context(), 0); o != nil || err != nil {
		t.Fatalf("an order before one was placed: %v, %v", o, err)
	}
	order := func(what string) {
		rec.operator(what)
		s.operator(t, what)
	}
	order(api.KindDeploy)
	second := make(chan struct{})
	go func() {
		defer close(second)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !rec.has(`"state":"done"`) {
			select {
			case <-tick.C:
			case <-t.Context().Done():
				return
			}
		}
		order(api.KindReboot)
	}()
	o, said := run(t, hc, c.Token)
	<-second
	if o.Action != rdconf.ActionReboot {
		t.Fatalf("outcome %+v; the agent said:\n%s", o, said)
	}
	// A broken download goes on by a range.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/images/"+imageSum(t, rec.steps), nil) // always made
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Range", "bytes=100-199")
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if *update {
		write(t, rec.steps, s.nonce, c.Token)
	}
}

func imageSum(t *testing.T, steps []Step) string {
	t.Helper()
	for _, s := range steps {
		if _, sum, ok := strings.Cut(s.Request.Path, "/images/"); ok {
			return sum
		}
	}
	t.Fatal("the agent downloaded no image")
	return ""
}

// replay sends one recorded request to a server.
func replay(t *testing.T, h http.Handler, r Message, words *strings.Replacer, change func([]byte) []byte) *httptest.ResponseRecorder {
	t.Helper()
	body := []byte(r.Text)
	if r.JSON != nil {
		body = change([]byte(words.Replace(string(r.JSON))))
	}
	req := httptest.NewRequestWithContext(t.Context(), r.Method, r.Path, bytes.NewReader(body))
	for k, v := range r.Header {
		if k != "Content-Length" {
			req.Header.Set(k, words.Replace(v))
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// TestOldAgents: each recorded request gets an answer of the same meaning;
// also with fields that the server does not know.
func TestOldAgents(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"as recorded":         func(b []byte) []byte { return b },
		"with unknown fields": func(b []byte) []byte { return grow(t, b) },
	} {
		for file, steps := range transcripts(t) {
			t.Run(file+"/"+name, func(t *testing.T) {
				s := newServer(t)
				words, token := strings.NewReplacer(nonceWord, s.nonce), ""
				for i, step := range steps {
					if step.Operator != "" {
						s.operator(t, step.Operator)
						continue
					}
					w := replay(t, s.http, step.Request, words, change)
					what := strconv.Itoa(i) + " " + step.Request.Method + " " + step.Request.Path
					if w.Code != step.Reply.Status {
						t.Fatalf("%s: status %d, was %d: %s", what, w.Code, step.Reply.Status, w.Body)
					}
					if step.Reply.JSON == nil {
						if w.Body.String() != step.Reply.Text {
							t.Errorf("%s: another body", what)
						}
					} else {
						for _, m := range missing("reply", decode(t, step.Reply.JSON), decode(t, w.Body.Bytes())) {
							t.Errorf("%s: %s", what, m)
						}
					}
					if r := step.Reply.Header["Content-Range"]; w.Header().Get("Content-Range") != r {
						t.Errorf("%s: Content-Range %q, was %q", what, w.Header().Get("Content-Range"), r)
					}
					if strings.HasSuffix(step.Request.Path, "/hello") {
						var reply api.HelloReply
						if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
							t.Fatal(err)
						}
						token = reply.Token
						words = strings.NewReplacer(nonceWord, s.nonce, tokenWord, token)
					}
				}
				// And the story is told as it was.
				m, err := s.inv.Machine(t.Context(), uuid)
				if err != nil {
					t.Fatal(err)
				}
				orders, err := s.inv.Orders(t.Context(), uuid)
				if err != nil || len(orders) != 2 {
					t.Fatalf("%d orders, %v", len(orders), err)
				}
				i := slices.IndexFunc(orders, func(o api.Order) bool { return o.Kind == api.KindDeploy })
				d, err := s.inv.Order(t.Context(), orders[i].ID)
				if err != nil || d.State != api.StateDone || d.Plan == nil || d.Result == nil || d.Result.Disk != "serial-D1" || m.Boot != api.BootDisk || m.Facts == nil || len(m.Facts.Disks) != 1 {
					t.Errorf("afterwards: machine %+v, order %+v, %v", m, d, err)
				}
			})
		}
	}
}

// grow adds a field that nobody knows to every object of a document.
func grow(t *testing.T, b []byte) []byte {
	t.Helper()
	var add func(any) any
	add = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				if k == "seconds" || k == "header" {
					continue // a map with free keys, not an object of the protocol
				}
				v[k] = add(v[k])
			}
			v["from_the_future"] = map[string]any{"a": []any{1, "b", nil}}
		case []any:
			for i := range v {
				v[i] = add(v[i])
			}
		}
		return v
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // 64-bit numbers stay what they are
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(add(v))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestVersions: a newer agent is told which version is spoken, one without a
// version is refused in a sentence.
func TestVersions(t *testing.T) {
	for version, want := range map[int]int{1: 200, 2: 200, 99: 200, 0: 400, -1: 400} {
		s := newServer(t)
		req := hello(s.nonce)
		req.Protocol = version
		c := &client.Agent{Base: base, HTTP: to(t, s.http)}
		reply, err := c.Hello(t.Context(), req)
		var p *api.Problem
		switch {
		case want == 200 && (err != nil || reply.Protocol != min(version, api.AgentProtocol)):
			t.Errorf("version %d: %+v, %v", version, reply, err)
		case want != 200 && (!errors.As(err, &p) || p.Status != want || !strings.Contains(p.Detail, "protocol")):
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestOldServers: the recorded replies, with fields nobody knows and an order
// of a kind nobody knows before them, drive today's agent.
func TestOldServers(t *testing.T) {
	for file, steps := range transcripts(t) {
		t.Run(file, func(t *testing.T) {
			strange := `{"id":"o-99","machine":"m-1","kind":"transmute","transmute":{"into":"gold"},"spec_hash":"x","state":"sent","attempt":1,"created":"2026-01-01T00:00:00Z","updated":"2026-01-01T00:00:00Z"}`
			queue := [][]byte{[]byte(strange)}
			image := ""
			for _, s := range steps {
				if strings.HasPrefix(s.Request.Path, "/agent/v1/next") && s.Reply.Status == 200 {
					queue = append(queue, s.Reply.JSON)
				}
				if s.Reply.Status == 200 && strings.HasPrefix(s.Request.Path, "/images/") {
					image = s.Reply.Text
				}
			}
			if len(queue) != 3 || image == "" {
				t.Fatalf("the transcript has %d orders and an image of %d bytes", len(queue)-1, len(image))
			}
			var mu sync.Mutex
			var events []api.Event
			mux := http.NewServeMux()
			answer := func(w http.ResponseWriter, b []byte) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8; profile=future")
				_, _ = w.Write(grow(t, b)) // the agent notices a reply cut short
			}
			mux.HandleFunc("POST /agent/v1/hello", func(w http.ResponseWriter, _ *http.Request) {
				answer(w, []byte(`{"protocol":1,"token":"recorded","machine":"m-1","name":"node1","server_time":"2026-01-01T00:00:00Z"}`))
			})
			mux.HandleFunc("POST /agent/v1/facts", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
			mux.HandleFunc("POST /agent/v1/log", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
			mux.HandleFunc("GET /agent/v1/next", func(w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if len(queue) == 0 {
					w.WriteHeader(204)
					return
				}
				answer(w, queue[0])
				queue = queue[1:]
			})
			mux.HandleFunc("POST /agent/v1/events", func(w http.ResponseWriter, r *http.Request) {
				var b api.EventBatch
				if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				events = append(events, b.Events...)
				answer(w, []byte("{}"))
			})
			mux.HandleFunc("GET /images/{sum}", func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(image))
			})
			hc := to(t, mux)
			c := &client.Agent{Base: base, HTTP: hc}
			reply, err := c.Hello(context.WithoutCancel(t.Context()), hello("x"))
			if err != nil {
				t.Fatal(err)
			}
			o, said := run(t, hc, reply.Token)
			if o.Action != rdconf.ActionReboot {
				t.Errorf("outcome %+v; the agent said:\n%s", o, said)
			}
			mu.Lock()
			defer mu.Unlock()
			ends := map[string]api.Event{}
			for _, e := range events {
				if e.Kind == api.EventState {
					ends[e.Order] = e
				}
			}
			if e := ends["o-99"]; e.State != api.StateFailed || !strings.Contains(e.Message, "not supported") || !strings.Contains(e.Message, "transmute") {
				t.Errorf("the unknown order ended with %+v", e)
			}
			delete(ends, "o-99")
			for id, e := range ends {
				if e.State != api.StateDone {
					t.Errorf("order %s ended with %+v", id, e)
				}
			}
			if len(ends) != 2 {
				t.Errorf("%d orders have an end, want 2; the agent said:\n%s", len(ends), said)
			}
		})
	}
}

// The comparison itself notices what would hurt an old agent.
func TestMissing(t *testing.T) {
	was := `{"token":"a","n":1,"list":[{"x":"y"}],"created":"2026-01-01T00:00:00Z"}`
	for now, want := range map[string]int{
		was: 0,
		`{"token":"b","n":1,"list":[{"x":"y","new":2}],"created":"2027-01-01T00:00:00Z","new":{}}`: 0,
		`{"token":"","n":1,"list":[{"x":"y"}],"created":"x"}`:                                      1,
		`{"token":"b","n":"1","list":[{"x":"y"}],"created":"x"}`:                                   1,
		`{"token":"b","n":1,"list":[{"z":"y"}],"created":5}`:                                       2,
		`{"token":"b","n":1,"list":[]}`:                                                            2,
		`[]`:                                                                                       1,
	} {
		if got := missing("reply", decode(t, []byte(was)), decode(t, []byte(now))); len(got) != want {
			t.Errorf("%s: %q, want %d findings", now, got, want)
		}
	}
}

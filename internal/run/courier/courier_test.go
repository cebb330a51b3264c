package courier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/errand"
)

// site is a server of the agent protocol and of one image.
type site struct {
	log    strings.Builder
	events []string
	tokens []string // that came with the image
	away   bool     // the log is refused
}

const image = "hsqs and so on"

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch r.URL.Path {
	case "/agent/v1/hello":
		var h api.HelloRequest
		_ = json.NewDecoder(r.Body).Decode(&h)
		if h.Nonce != "nonce" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"title":"this nonce was used"}`)
			return
		}
		_, _ = io.WriteString(w, `{"token":"tok","name":"m1"}`)
	case "/agent/v1/events":
		var b api.EventBatch
		_ = json.NewDecoder(r.Body).Decode(&b)
		for _, e := range b.Events {
			s.events = append(s.events, token+" "+e.Phase)
		}
		_, _ = io.WriteString(w, "{}")
	case "/agent/v1/log":
		if s.away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.Copy(&s.log, r.Body)
	case "/image":
		s.tokens = append(s.tokens, r.Method+" "+token)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(image))
	default:
		http.NotFound(w, r)
	}
}

func do(t *testing.T, c *Courier, e errand.Errand) (errand.Answer, error) {
	t.Helper()
	a := c.Do(t.Context(), e, func(errand.Answer) {})
	return a, a.Err()
}

// start gives a server by HTTP and by HTTPS, with the fingerprint of its
// certificate.
func start(t *testing.T, s *site) map[string]rdconf.Server {
	t.Helper()
	plain, secure := httptest.NewServer(s), httptest.NewUnstartedServer(s)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	sum := sha256.Sum256(secure.Certificate().Raw)
	return map[string]rdconf.Server{
		"http":  {URL: plain.URL},
		"https": {URL: secure.URL, CAFingerprint: hex.EncodeToString(sum[:])},
	}
}

func TestHello(t *testing.T) {
	s := &site{}
	servers := start(t, s)
	other := servers["https"]
	other.CAFingerprint = strings.Repeat("0", 64)
	none := servers["https"]
	none.CAFingerprint = ""
	for name, c := range map[string]struct {
		server rdconf.Server
		nonce  string
		want   string // of the error
		status int
	}{
		"http":              {servers["http"], "nonce", "", 0},
		"https":             {servers["https"], "nonce", "", 0},
		"refused":           {servers["http"], "old", "this nonce was used", 403},
		"other certificate": {other, "nonce", "do not include the one with fingerprint 000", 0},
		"no fingerprint":    {none, "nonce", "has no CA fingerprint", 0},
		"nobody there":      {rdconf.Server{URL: "http://127.0.0.1:1"}, "nonce", "refused", 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := do(t, &Courier{}, errand.Errand{Hello: &errand.Hello{Server: c.server, Request: api.HelloRequest{Nonce: c.nonce}}})
			if c.want == "" {
				if err != nil || a.Hello == nil || a.Hello.Token != "tok" {
					t.Errorf("%+v %v", a, err)
				}
				return
			}
			var p *api.Problem
			if errors.As(err, &p); err == nil || !strings.Contains(err.Error(), c.want) || (p == nil) != (c.status == 0) || p != nil && p.Status != c.status {
				t.Errorf("error %v, problem %+v", err, p)
			}
		})
	}
}

func TestReport(t *testing.T) {
	for kind := range map[string]bool{"http": true, "https": true} {
		s := &site{}
		server := start(t, s)[kind]
		file := filepath.Join(t.TempDir(), "log")
		text := strings.Repeat("0123456789abcdef", 10<<10)
		if err := os.WriteFile(file, []byte("old"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &Courier{}
		r := errand.Report{Server: server, Token: "tok", Events: []api.Event{{Phase: "a"}, {Phase: "b"}}, Log: file, Offset: 3}
		a, err := do(t, c, errand.Errand{Report: &r})
		if d := cmp.Diff(errand.Answer{Events: 2, Offset: int64(len(text)) + 3}, a); err != nil || d != "" {
			t.Errorf("%s: %v %s", kind, err, d)
		}
		if s.log.String() != text {
			t.Errorf("%s: the log came with %d bytes, not %d", kind, s.log.Len(), len(text))
		}
		// The events were taken, the log was not: they are not to be sent again.
		s.away = true
		a, err = do(t, c, errand.Errand{Report: &r})
		if err == nil || a.Events != 2 || a.Offset != 3 {
			t.Errorf("%s: %+v %v", kind, a, err)
		}
		if d := cmp.Diff([]string{"tok a", "tok b", "tok a", "tok b"}, s.events); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
}

func TestFetch(t *testing.T) {
	sum := sha256.Sum256([]byte(image))
	hash := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		download errand.Download
		own      bool
		want     string
		tokens   []string
	}{
		"from the own server":  {errand.Download{SHA256: hash}, true, "", []string{"HEAD tok", "GET tok"}},
		"from another":         {errand.Download{SHA256: hash}, false, "", []string{"HEAD ", "GET "}},
		"without a hash":       {errand.Download{}, true, "", []string{"HEAD tok", "GET "}},
		"of another size":      {errand.Download{SHA256: hash, Size: 5}, false, "wanted 5 bytes", nil},
		"of another hash":      {errand.Download{SHA256: strings.Repeat("0", 64)}, false, "its hash is wrong", nil},
		"that is not there":    {errand.Download{SHA256: hash, URL: "/gone"}, false, "404", nil},
		"not there, no hash":   {errand.Download{URL: "/gone"}, false, "404", nil},
		"to where no place is": {errand.Download{SHA256: hash, To: "/nonexistent/image"}, false, "no such file", nil},
	} {
		for _, kind := range []string{"http", "https"} {
			if kind == "https" && !c.own {
				continue // others are judged by the authorities of the ramdisk
			}
			t.Run(name+" by "+kind, func(t *testing.T) {
				s := &site{}
				server := start(t, s)[kind]
				d := c.download
				if d.URL == "" {
					d.URL = "/image"
				}
				d.URL = server.URL + d.URL
				if d.To == "" {
					d.To = filepath.Join(t.TempDir(), "image")
				}
				d.Token = "tok"
				if c.own {
					d.Server = &server
				}
				courier := &Courier{Log: func(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }}
				size, serr := do(t, courier, errand.Errand{Size: &d})
				a, err := do(t, courier, errand.Errand{Fetch: &d})
				if c.want != "" {
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("error %v, want %s", err, c.want)
					}
					return
				}
				b, rerr := os.ReadFile(d.To)
				if err != nil || serr != nil || rerr != nil || string(b) != image || a.Done != int64(len(image)) || size.Total != a.Done {
					t.Errorf("%+v, size %+v, %q: %v %v %v", a, size, b, err, serr, rerr)
				}
				if diff := cmp.Diff(c.tokens, s.tokens); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestLookup(t *testing.T) {
	a, err := do(t, &Courier{}, errand.Errand{Lookup: "localhost"})
	if err != nil || len(a.Addrs) == 0 || !a.Addrs[0].IsLoopback() {
		t.Errorf("%v %v", a.Addrs, err)
	}
}

func TestUnknownErrand(t *testing.T) {
	if _, err := do(t, &Courier{}, errand.Errand{}); err == nil {
		t.Error("an errand of no kind was done")
	}
}

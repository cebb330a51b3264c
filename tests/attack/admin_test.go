package attack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/api"
)

func asProblem(err error, p *api.Problem) bool {
	var q *api.Problem
	if !errors.As(err, &q) {
		return false
	}
	*p = *q
	return true
}

// run runs the program as the operator does.
func (s *site) run(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), bin, append(args, "--server", "unix://"+filepath.Join(s.dir, "state", "admin.sock"))...).CombinedOutput()
	if err != nil {
		t.Fatalf("bareroot %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// page reads a page by the trusted socket.
func (s *site) page(t *testing.T, path string) []byte {
	t.Helper()
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "state", "admin.sock"))
	}}}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return b
}

// The operator's door is on this machine's loopback: whoever attacks it is a
// program or a browser here. The neighbour does not reach it at all.
func TestAdminRefusals(t *testing.T) {
	s := start(t)
	if c, err := s.guest.tcp(t.Context(), serverAddr+":8081"); err == nil {
		c.Close()
		t.Error("the operator's door is open to the network")
	}
	link, err := s.client.LoginCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer hc.CloseIdleConnections()
	do := func(method, path, host string, header ...string) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+adminDoor+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, b
	}
	_, path, _ := strings.Cut(link.URL, adminDoor)
	resp, _ := do("GET", path, "")
	if len(resp.Cookies()) != 1 {
		t.Fatalf("login: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	cookie := resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
	if !resp.Cookies()[0].HttpOnly || resp.Cookies()[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is open to scripts or other sites: %v", resp.Cookies()[0])
	}
	bearer := "Bearer " + s.token
	for name, tc := range map[string]struct {
		method, path, host string
		header             []string
		status             int
	}{
		"no token":                     {"GET", "/api/v1/machines", "", nil, 401},
		"no token, ordering":           {"POST", "/api/v1/machines/m-1/orders", "", nil, 401},
		"no token, the page":           {"GET", "/", "", []string{"Accept", "text/html"}, 401},
		"no token, the document":       {"GET", "/api/openapi.json", "", nil, 401},
		"no token, events":             {"GET", "/api/v1/events", "", nil, 401},
		"wrong token":                  {"GET", "/api/v1/status", "", []string{"Authorization", "Bearer " + strings.Repeat("A", 52)}, 401},
		"wrong token beside a cookie":  {"GET", "/api/v1/status", "", []string{"Authorization", "Bearer x", "Cookie", cookie}, 401},
		"part of the token":            {"GET", "/api/v1/status", "", []string{"Authorization", bearer[:len(bearer)-1]}, 401},
		"token in the query":           {"GET", "/api/v1/status?token=" + s.token + "&access_token=" + s.token, "", nil, 401},
		"token as a password":          {"GET", "/api/v1/status", "", []string{"Authorization", "Basic " + s.token}, 401},
		"DNS rebinding":                {"GET", "/api/v1/machines", "evil.example", []string{"Cookie", cookie}, 403},
		"DNS rebinding with the token": {"GET", "/api/v1/machines", "evil.example:8081", []string{"Authorization", bearer}, 403},
		"DNS rebinding to the login":   {"GET", "/login?code=x", "evil.example", nil, 403},
		"no such login":                {"GET", "/login?code=AAAAAAAAAAAAAAAAAAAAAAAAAA", "", nil, 401},
		"the login again":              {"GET", path, "", nil, 401},
		"another site's form":          {"POST", "/api/v1/machines/m-1/approve", "", []string{"Cookie", cookie, "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		"another port's form":          {"POST", "/api/v1/machines/m-1/approve", "", []string{"Cookie", cookie, "Origin", "http://127.0.0.1:9"}, 403},
		"a form of nowhere":            {"POST", "/api/v1/machines/m-1/approve", "", []string{"Cookie", cookie}, 403},
		"a null origin":                {"POST", "/machines/m-1/approve", "", []string{"Cookie", cookie, "Origin", "null"}, 403},
		"forged cookie":                {"GET", "/api/v1/status", "", []string{"Cookie", cookie[:len(cookie)-4] + "AAAA"}, 401},
		"preflight":                    {"OPTIONS", "/api/v1/machines", "", []string{"Origin", "http://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"}, 401},
	} {
		before := s.errors(t, "admin")
		resp, body := do(tc.method, tc.path, tc.host, tc.header...)
		if resp.StatusCode != tc.status {
			t.Errorf("%s: %d, want %d: %s", name, resp.StatusCode, tc.status, body)
		}
		for h := range resp.Header {
			if strings.HasPrefix(h, "Access-Control-") {
				t.Errorf("%s: the reply has %s", name, h)
			}
		}
		if bytes.Contains(body, []byte("m-1")) || bytes.Contains(body, []byte(s.token)) {
			t.Errorf("%s: tells %s", name, body)
		}
		s.counted(t, name, "admin", before)
	}
	// With a session, too, no other origin may read a reply.
	resp, _ = do("OPTIONS", "/api/v1/machines", "", "Cookie", cookie, "Origin", "http://evil.example", "Access-Control-Request-Method", "POST")
	if resp.StatusCode < 400 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight with a session: %d %v", resp.StatusCode, resp.Header)
	}
	for what, h := range map[string][]string{"token": {"Authorization", bearer}, "cookie": {"Cookie", cookie}} {
		if resp, body := do("GET", "/api/v1/status", "", h...); resp.StatusCode != 200 {
			t.Errorf("the operator with the %s: %d %s", what, resp.StatusCode, body)
		}
	}
}

func TestAdminGarbage(t *testing.T) {
	s := start(t)
	r := rand.New(rand.NewPCG(5, 5))
	valid := []byte("GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
	before := s.errors(t, "admin")
	begin := time.Now()
	const n = 300
	for i := range n {
		p := randomBytes(r, 1+r.IntN(3000))
		if i%2 == 0 {
			p = mutate(r, valid)
		}
		c, err := net.DialTimeout("tcp", adminDoor, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(3 * time.Second))
		_, _ = c.Write(p) // the server may close first
		_ = c.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		c.Close()
		if what := s.leaks(got); what != "" || bytes.Contains(got, []byte(`"listeners"`)) {
			t.Errorf("%q is answered with %s %s", p, what, got)
		}
	}
	t.Logf("%d connections in %v", n, time.Since(begin).Round(time.Millisecond))
	s.counts(t, "admin", before, n/2)
}

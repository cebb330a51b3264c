package admin

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/web/webtest"
)

// door is an admin door under test, on a loopback listener and trusted.
type door struct {
	*Admin
	inv     *webtest.Inventory
	power   *webtest.Power
	token   string
	open    *httptest.Server // as the TCP listener
	trusted *httptest.Server // as the unix socket
	skew    atomic.Int64     // nanoseconds past webtest.Now
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{inv: webtest.New(), power: &webtest.Power{}}
	file := filepath.Join(t.TempDir(), "admin.token")
	a, err := New(Config{
		Inventory: d.inv, Power: d.power, TokenFile: file,
		PublicURL: "http://lab.example:8081",
		Status:    func() api.Status { return api.Status{Version: "test", Machines: 6} },
		Now:       func() time.Time { return webtest.Now.Add(time.Duration(d.skew.Load())) },
		Heartbeat: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d.Admin, d.token = a, strings.TrimSpace(string(b))
	d.open = httptest.NewServer(a.Handler(false))
	t.Cleanup(d.open.Close)
	d.trusted = httptest.NewServer(a.Handler(true))
	t.Cleanup(d.trusted.Close)
	return d
}

// do sends a request built of a method, an address and header pairs ("Host"
// is the request's host), and gives the reply with its body.
func do(t *testing.T, c *http.Client, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
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

// login gives a client with the cookie.
func (d *door) login(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	code, err := d.loginCode()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(code.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp, _ := do(t, c, "GET", d.open.URL+u.RequestURI(), "")
	if resp.StatusCode != 200 || resp.Request.URL.Path != "/" {
		t.Fatalf("login ended at %s with %d", resp.Request.URL, resp.StatusCode)
	}
	return c
}

func TestWhoMay(t *testing.T) {
	d := newDoor(t)
	cookie := d.login(t)
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cookie.CheckRedirect = plain.CheckRedirect
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	tests := map[string]struct {
		client *http.Client
		method string
		path   string
		body   string
		header []string
		want   int
		says   string
	}{
		"no token":                 {plain, "GET", "/api/v1/machines", "", nil, 401, "not logged in"},
		"no token, page":           {plain, "GET", "/", "", []string{"Accept", "text/html"}, 401, "bareroot page"},
		"no token, unknown":        {plain, "GET", "/nothing", "", nil, 401, ""},
		"no token, document":       {plain, "GET", "/api/openapi.json", "", nil, 401, ""},
		"no token, change":         {plain, "POST", "/api/v1/machines/m1/approve", "{}", nil, 401, ""},
		"no token, fragment":       {plain, "GET", "/ui/machines/m1/row", "", nil, 401, ""},
		"no token, events":         {plain, "GET", "/api/v1/events", "", nil, 401, ""},
		"no token, login code":     {plain, "POST", "/api/v1/login-codes", "", nil, 401, ""},
		"no token, dotted path":    {plain, "GET", "/static/../api/v1/machines", "", nil, 307, ""},
		"no token, style":          {plain, "GET", "/static/style.css", "", nil, 200, "--accent"},
		"no token, style listing":  {plain, "GET", "/static/", "", nil, 404, ""},
		"wrong token":              {plain, "GET", "/api/v1/machines", "", []string{"Authorization", "Bearer nonsense"}, 401, "token is wrong"},
		"empty token":              {plain, "GET", "/api/v1/machines", "", []string{"Authorization", "Bearer "}, 401, "token is wrong"},
		"token as basic":           {plain, "GET", "/api/v1/machines", "", []string{"Authorization", "Basic " + d.token}, 401, "token is wrong"},
		"wrong token with cookie":  {cookie, "GET", "/api/v1/machines", "", []string{"Authorization", "Bearer nonsense"}, 401, ""},
		"token":                    {plain, "GET", "/api/v1/machines", "", []string{"Authorization", "Bearer " + d.token}, 200, "node1"},
		"token, other case":        {plain, "GET", "/api/v1/machines", "", []string{"Authorization", "bearer " + d.token}, 200, "node1"},
		"token, change":            {plain, "POST", "/api/v1/machines/m1/approve", "{}", []string{"Authorization", "Bearer " + d.token}, 200, ""},
		"token, bad host":          {plain, "GET", "/api/v1/machines", "", []string{"Authorization", "Bearer " + d.token, "Host", "evil.example"}, 403, "not called evil.example"},
		"bad host, page":           {plain, "GET", "/", "", []string{"Host", "evil.example:8081", "Accept", "text/html"}, 403, "not called"},
		"bad host, login":          {plain, "GET", "/login?code=x", "", []string{"Host", "evil.example"}, 403, ""},
		"bad host, style":          {plain, "GET", "/static/style.css", "", []string{"Host", "evil.example"}, 403, ""},
		"host localhost":           {plain, "GET", "/api/v1/status", "", []string{"Authorization", "Bearer " + d.token, "Host", "LocalHost:1"}, 200, ""},
		"host ::1":                 {plain, "GET", "/api/v1/status", "", []string{"Authorization", "Bearer " + d.token, "Host", "[::1]:8081"}, 200, ""},
		"host configured":          {plain, "GET", "/api/v1/status", "", []string{"Authorization", "Bearer " + d.token, "Host", "lab.example:9"}, 200, ""},
		"cookie":                   {cookie, "GET", "/api/v1/machines", "", nil, 200, "node1"},
		"cookie, forged":           {plain, "GET", "/api/v1/machines", "", []string{"Cookie", d.auth.cookie + "=AAAA"}, 401, ""},
		"cookie, change":           {cookie, "POST", "/machines/m1/approve", "approval=held", append(form, "Sec-Fetch-Site", "same-origin"), 303, ""},
		"cookie, change by origin": {cookie, "POST", "/machines/m1/approve", "approval=held", append(form, "Origin", d.open.URL), 303, ""},
		"cookie, cross-site":       {cookie, "POST", "/machines/m1/approve", "approval=held", append(form, "Sec-Fetch-Site", "cross-site"), 403, "another site"},
		"cookie, other port here":  {cookie, "POST", "/machines/m1/approve", "approval=held", append(form, "Sec-Fetch-Site", "same-site"), 403, "another site"},
		"cookie, other origin":     {cookie, "POST", "/machines/m1/approve", "approval=held", append(form, "Origin", "http://127.0.0.1:1"), 403, "another site"},
		"cookie, null origin":      {cookie, "POST", "/machines/m1/approve", "approval=held", append(form, "Origin", "null"), 403, "another site"},
		"cookie, no origin":        {cookie, "POST", "/machines/m1/approve", "approval=held", form, 403, "does not say"},
		"cookie, api cross-site":   {cookie, "DELETE", "/api/v1/machines/m1", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		"login without code":       {plain, "GET", "/login", "", nil, 401, "wrong"},
		"login with wrong code":    {plain, "GET", "/login?code=AAAA", "", nil, 401, "wrong"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := len(d.inv.Calls())
			resp, body := do(t, tc.client, tc.method, d.open.URL+tc.path, tc.body, tc.header...)
			if resp.StatusCode != tc.want || !strings.Contains(body, tc.says) {
				t.Fatalf("status %d, want %d; body (want %q):\n%s", resp.StatusCode, tc.want, tc.says, body)
			}
			if resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("reply without the security headers")
			}
			if tc.want >= 400 {
				if strings.Contains(body, "node1") {
					t.Errorf("refusal tells of machines:\n%s", body)
				}
				if len(d.inv.Calls()) != before {
					t.Errorf("refused request reached the inventory: %v", d.inv.Calls()[before:])
				}
			}
			if tc.want == 401 && strings.HasPrefix(tc.path, "/api/") && resp.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
}

func TestTrustedNeedsNothing(t *testing.T) {
	d := newDoor(t)
	for _, host := range []string{"localhost", "unix", "anything.example"} {
		resp, body := do(t, http.DefaultClient, "POST", d.trusted.URL+"/api/v1/machines/node1/approve", "", "Host", host)
		if resp.StatusCode != 200 {
			t.Errorf("host %s: status %d: %s", host, resp.StatusCode, body)
		}
	}
}

func TestLoginCode(t *testing.T) {
	d := newDoor(t)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	code := func() *url.URL {
		t.Helper()
		lc, err := d.loginCode()
		if err != nil {
			t.Fatal(err)
		}
		if want := webtest.Now.Add(time.Duration(d.skew.Load()) + codeLife); !lc.Expires.Equal(want) {
			t.Errorf("expires %s, want %s", lc.Expires, want)
		}
		u, err := url.Parse(lc.URL)
		if err != nil || u.Host != "lab.example:8081" || u.Path != "/login" {
			t.Fatalf("link %q: %v", lc.URL, err)
		}
		return u
	}
	use := func(u *url.URL) *http.Response {
		resp, _ := do(t, c, "GET", d.open.URL+u.RequestURI(), "")
		return resp
	}
	first := code()
	resp := use(first)
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/" || len(resp.Cookies()) != 1 {
		t.Fatalf("login: %d %v", resp.StatusCode, resp.Header)
	}
	got := resp.Cookies()[0]
	if !got.HttpOnly || got.SameSite != http.SameSiteStrictMode || got.MaxAge != int(sessionLife.Seconds()) || got.Path != "/" {
		t.Errorf("cookie %v", got)
	}
	if resp := use(first); resp.StatusCode != 401 || len(resp.Cookies()) != 0 {
		t.Errorf("the link worked a second time: %d", resp.StatusCode)
	}
	stale := code()
	d.skew.Add(int64(codeLife))
	if resp := use(stale); resp.StatusCode != 401 {
		t.Errorf("an expired link worked: %d", resp.StatusCode)
	}
	cookie := []string{"Cookie", got.Name + "=" + got.Value}
	if resp, _ := do(t, c, "GET", d.open.URL+"/", "", cookie...); resp.StatusCode != 200 {
		t.Errorf("the cookie does not work: %d", resp.StatusCode)
	}
	d.skew.Store(int64(sessionLife))
	if resp, _ := do(t, c, "GET", d.open.URL+"/", "", cookie...); resp.StatusCode != 401 {
		t.Errorf("the cookie outlives its twelve hours: %d", resp.StatusCode)
	}
	for range maxCodes {
		code()
	}
	if _, err := d.loginCode(); err == nil {
		t.Error("login codes are unbounded")
	}
	d.skew.Add(int64(codeLife))
	code()
}

func TestLogout(t *testing.T) {
	d := newDoor(t)
	c := d.login(t)
	do(t, c, "POST", d.open.URL+"/logout", "", "Sec-Fetch-Site", "same-origin")
	if resp, _ := do(t, c, "GET", d.open.URL+"/", ""); resp.StatusCode != 401 {
		t.Errorf("still logged in: %d", resp.StatusCode)
	}
}

// A session outlives a restart of the server, and not a change of the token.
func TestSessionKey(t *testing.T) {
	now := func() time.Time { return webtest.Now }
	old := newAuth("a-token-of-some-length", now, nil, nil)
	again := newAuth("a-token-of-some-length", now, nil, nil)
	other := newAuth("another-token-altogether", now, nil, nil)
	r := httptest.NewRequest("GET", "/", nil)
	value := old.newSession()
	for _, a := range []*auth{old, other} {
		r.AddCookie(&http.Cookie{Name: a.cookie, Value: value})
	}
	if !again.hasSession(r) {
		t.Error("the session is lost after a restart")
	}
	if other.hasSession(r) {
		t.Error("the session works with another token")
	}
}

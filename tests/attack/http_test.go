package attack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// request sends one from the guest and returns status and body.
func (s *site) request(t *testing.T, method, path string, body io.Reader, header ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+door+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	hc := s.guest.http()
	defer hc.CloseIdleConnections()
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if what := s.leaks(b); what != "" {
		t.Errorf("%s %s gives away %s", method, path, what)
	}
	return resp.StatusCode, b
}

// raw sends bytes as they are and returns what comes back until the server
// closes, or for bound.
func (s *site) raw(t *testing.T, sent []byte, bound time.Duration) []byte {
	t.Helper()
	c, err := s.guest.tcp(t.Context(), door)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(bound))
	if _, err := c.Write(sent); err != nil {
		return nil // cut off: fine
	}
	if w, ok := c.(*net.TCPConn); ok {
		_ = w.CloseWrite() // the server may have closed first
	}
	b, _ := io.ReadAll(io.LimitReader(c, 1<<20)) // a reset is an answer, too
	return b
}

// answers splits raw bytes into HTTP replies.
func answers(b []byte) (out []int, bodies [][]byte) {
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return out, bodies
		}
		body, _ := io.ReadAll(resp.Body)
		out, bodies = append(out, resp.StatusCode), append(bodies, body)
	}
}

func TestHTTPGarbage(t *testing.T) {
	s := start(t)
	r := rand.New(rand.NewPCG(4, 4))
	valid := []string{
		"GET /boot/ipxe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /boot/sets/" + s.set + "/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=0-10\r\nConnection: close\r\n\r\n",
		"POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		"GET /agent/v1/next?wait=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n",
	}
	before := s.errors(t, "http")
	begin := time.Now()
	for i := range 400 {
		p := []byte(nil)
		if i%4 == 0 {
			p = randomBytes(r, 1+r.IntN(4000))
		} else {
			p = mutate(r, []byte(valid[i%len(valid)]))
		}
		got := s.raw(t, p, 3*time.Second)
		if what := s.leaks(got); what != "" {
			t.Errorf("%q gives away %s", p, what)
		}
	}
	t.Logf("400 connections in %v", time.Since(begin).Round(time.Millisecond))
	s.counts(t, "http", before, 50)
}

// What no reply but a refusal may follow; each is counted.
func TestHTTPRefusals(t *testing.T) {
	s := start(t)
	long := strings.Repeat("a", 20<<10)
	for name, tc := range map[string]struct {
		raw  string
		door string
	}{
		"parent":              {"GET /boot/../../secret.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"parent of a set":     {"GET /boot/sets/" + s.set + "/../" + s.set + "/vmlinuz HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"escaped dots":        {"GET /boot/%2e%2e/%2e%2e/secret.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"escaped slash":       {"GET /boot/sets/" + s.set + "/..%2f..%2f..%2fsecret.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"twice escaped":       {"GET /boot/sets/" + s.set + "/%252e%252e%252fsecret.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"backslash":           {"GET /boot/sets/" + s.set + "/..\\..\\secret.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"zero byte":           {"GET /boot/sets/" + s.set + "/vmlinuz%00.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"not in the manifest": {"GET /boot/sets/" + s.set + "/notes.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"the manifest":        {"GET /boot/sets/" + s.set + "/manifest.json HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"a directory":         {"GET /boot/sets/" + s.set + "/ HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"all sets":            {"GET /boot/sets/ HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"the root":            {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"absolute URI":        {"GET http://127.0.0.1:8081/api/v1/machines HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n", "http"},
		"the operator's API":  {"GET /api/v1/machines HTTP/1.1\r\nHost: localhost\r\n\r\n", "http"},
		"the page":            {"GET /machines/m-1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "http"},
		"a login":             {"GET /login?code=x HTTP/1.1\r\nHost: localhost\r\n\r\n", "http"},
		"a proxy":             {"CONNECT 127.0.0.1:8081 HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n", "http"},
		"double slash":        {"GET //boot/ipxe HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"delete":              {"DELETE /boot/sets/" + s.set + "/vmlinuz HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"put":                 {"PUT /boot/sets/" + s.set + "/vmlinuz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", "http"},
		"huge header":         {"GET /boot/ipxe HTTP/1.1\r\nHost: x\r\nX: " + long + long + "\r\n\r\n", "http"},
		"huge line":           {"GET /boot/" + long + long + " HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"two lengths":         {"POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}", "http"},
		"negative length":     {"POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}", "http"},
		"odd encoding":        {"POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "http"},
		"space in a header":   {"GET /boot/ipxe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n", "http"},
		"no host":             {"GET /boot/ipxe HTTP/1.1\r\n\r\n", "http"},
		"HTTP/2 in clear":     {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http"},
		"TLS":                 {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not a request\r\n\r\n", "http"},
		"odd mac":             {"GET /boot/ipxe?mac=x HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"mac twice":           {"GET /boot/ipxe?mac=52:54:00:00:00:01&mac=52:54:00:00:00:02 HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"odd attempt":         {"GET /boot/segments/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"unknown attempt":     {"GET /boot/segments/" + strings.Repeat("0", 32) + " HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"image by path":       {"GET /images/../secret.txt HTTP/1.1\r\nHost: x\r\n\r\n", "http"},
		"image, no token":     {"GET /images/" + s.image + " HTTP/1.1\r\nHost: x\r\n\r\n", "agent"},
		"image, token in URL": {"GET /images/" + s.image + "?token=x&access_token=x HTTP/1.1\r\nHost: x\r\n\r\n", "agent"},
		"other version":       {"POST /agent/v2/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "agent"},
		"deep JSON":           {fmt.Sprintf("POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 40<<10, strings.Repeat("[", 40<<10)), "agent"},
		"large hello":         {fmt.Sprintf("POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{\"nonce\":\"%s", 1<<20, strings.Repeat("a", 100<<10)), "agent"},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.errors(t, tc.door)
			got := s.raw(t, []byte(tc.raw), time.Minute)
			codes, bodies := answers(got)
			if len(codes) == 0 {
				t.Fatalf("no answer: %.200q", got)
			}
			for i, code := range codes {
				if code < 400 {
					t.Errorf("status %d, %.100q; want a refusal", code, bodies[i])
				}
				if what := s.leaks(bodies[i]); what != "" {
					t.Errorf("gives away %s", what)
				}
			}
			s.counted(t, name, tc.door, before)
		})
	}
}

// Two requests that look like one to a proxy: nothing is hidden in them that
// would be served where the outer one was refused, and what is served is
// public.
func TestSmuggling(t *testing.T) {
	s := start(t)
	for name, raw := range map[string]string{
		"CL.TE":         "POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /images/" + s.image + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"TE.TE":         "POST /agent/v1/hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /images/" + s.image + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"body in a GET": "GET /boot/ipxe HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\nGET /images/" + s.image + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"bare LF":       "GET /boot/ipxe HTTP/1.1\nHost: x\n\nGET /images/" + s.image + " HTTP/1.1\nHost: x\n\n",
	} {
		codes, bodies := answers(s.raw(t, []byte(raw), 3*time.Second))
		t.Logf("%s: %v", name, codes)
		for i, b := range bodies {
			if what := s.leaks(b); what != "" || codes[i] == 200 && !s.ok200(b) {
				t.Errorf("%s: reply %d is %d with %d bytes, %s", name, i, codes[i], len(b), what)
			}
		}
	}
}

// Ranges: never a byte that is not the file's, never many times the file.
func TestRanges(t *testing.T) {
	s := start(t)
	file := s.files["vmlinuz"]
	url := "/boot/sets/" + s.set + "/vmlinuz"
	many := "bytes=0-"
	for range 2500 {
		many += ",0-"
	}
	for name, rng := range map[string]string{
		"inverted": "bytes=10-5", "far": "bytes=99999999-", "negative": "bytes=-0", "huge": "bytes=0-99999999999999999999", "unit": "lines=1-2", "many": many,
		"suffix": "bytes=-99999999",
	} {
		code, b := s.get(t, url, "Range", rng)
		t.Logf("%s: %d, %d bytes", name, code, len(b))
		switch code {
		case 416:
		case 206:
			if len(b) > len(file) || !bytes.HasSuffix(file, b) {
				t.Errorf("%s: %d bytes that are not the file's end", name, len(b))
			}
		case 200:
			if !bytes.Equal(b, file) {
				t.Errorf("%s: %d bytes that are not the file", name, len(b))
			}
		default:
			t.Errorf("%s: status %d", name, code)
		}
	}
	if code, b := s.get(t, url, "Range", "bytes=100-199"); code != 206 || !bytes.Equal(b, file[100:200]) {
		t.Errorf("an honest range: %d, %d bytes", code, len(b))
	}
}

// Clients that send a request a byte at a time, or never, are cut off, and
// others are served meanwhile.
func TestSlowClients(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before := s.errors(t, "http")
	begin := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	cut := 0
	for i := range 200 {
		c, err := s.guest.tcp(ctx, door)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			gone := make(chan struct{})
			go func() { // the server's side
				defer close(gone)
				_, _ = io.Copy(io.Discard, c)
			}()
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			request := "GET /boot/ipxe HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("a", 1000)
			for n := 0; ; n++ {
				if i%2 == 0 { // the others say nothing at all
					_, _ = c.Write([]byte{request[n]}) // the reader notices
				}
				select {
				case <-tick.C:
				case <-gone:
					if ctx.Err() == nil {
						mu.Lock()
						cut++
						mu.Unlock()
					}
					return
				}
			}
		})
	}
	served := 0
	for range 20 {
		one := time.Now()
		if code, b := s.get(t, "/boot/ipxe"); code == 200 && s.ok200(b) {
			served++
		}
		if took := time.Since(one); took > 8*time.Second { // the slow ones are cut off after 10
			t.Errorf("an honest client waited %v", took)
		}
	}
	wg.Wait()
	t.Logf("%d of 200 slow clients cut off after %v; %d of 20 honest ones served meanwhile", cut, time.Since(begin).Round(time.Millisecond), served)
	if cut != 200 || served != 20 {
		t.Errorf("%d of 200 slow clients were cut off, %d of 20 honest ones served", cut, served)
	}
	s.counts(t, "http", before, 100)
}

// One neighbour cannot take all connections.
func TestManyConnections(t *testing.T) {
	s := start(t)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	before := s.errors(t, "http")
	refused := 0
	for range 700 {
		c, err := s.guest.tcp(t.Context(), door)
		if err != nil {
			refused++
			continue
		}
		open = append(open, c)
	}
	for _, c := range slices.Backward(open) {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
			refused++
		}
		if refused > 0 {
			break
		}
	}
	if refused == 0 {
		t.Error("700 connections of one address are held open")
	}
	s.counts(t, "http", before, 1)
	for _, c := range open {
		c.Close()
	}
	if err := s.until(time.Minute, "the door to be free again", func() error {
		hc := s.guest.http()
		defer hc.CloseIdleConnections()
		resp, err := hc.Get("http://" + door + "/boot/ipxe")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}); err != nil {
		t.Error(err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

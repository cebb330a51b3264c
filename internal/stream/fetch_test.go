package stream

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bareroot/api"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func sumOf(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// cut answers with at most n bytes of the body, then breaks the connection.
func cut(w http.ResponseWriter, r *http.Request, data []byte, n int) {
	hw := &limited{ResponseWriter: w, left: n}
	http.ServeContent(hw, r, "image", time.Time{}, bytes.NewReader(data))
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

type limited struct {
	http.ResponseWriter
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("cut")
	}
	n, err := l.ResponseWriter.Write(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

func TestFetch(t *testing.T) {
	data := randomBytes(1 << 20)
	serve := func(w http.ResponseWriter, r *http.Request, b []byte) {
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(b))
	}
	changed := bytes.Clone(data)
	changed[len(changed)/2] ^= 1
	tests := map[string]struct {
		handler func(n int32, w http.ResponseWriter, r *http.Request)
		size    int64 // in the order; -1 = right
		want    []string
		calls   int32         // 0 = any
		idle    time.Duration // 0 = longer than a busy machine stands still
	}{
		"whole": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) { serve(w, r, data) }, size: -1, calls: 1,
		},
		"size unknown": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) { serve(w, r, data) }, calls: 1,
		},
		"size unknown and no Content-Length": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				w.Write(data)
			},
		},
		"broken twice, resumed by range": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Etag", `"v1"`)
				if n <= 2 {
					cut(w, r, data, 300000)
				}
				if r.Header.Get("Range") == "" || r.Header.Get("If-Range") != `"v1"` {
					t.Errorf("third request has no Range or If-Range: %v", r.Header)
				}
				serve(w, r, data)
			}, size: -1, calls: 3,
		},
		"broken, server ignores ranges": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Range")
				if n == 1 {
					cut(w, r, data, 300000)
				}
				http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(data))
			}, size: -1, calls: 2,
		},
		"server restarts with 503 in between": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				switch n {
				case 1:
					cut(w, r, data, 300000)
				case 2, 3:
					http.Error(w, "starting", http.StatusServiceUnavailable)
				default:
					serve(w, r, data)
				}
			}, size: -1, calls: 4,
		},
		"gives up": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				http.Error(w, "broken", http.StatusBadGateway)
			}, size: -1, calls: 4, want: []string{"gave up at byte 0 after 4 tries", "502 Bad Gateway"},
		},
		"not found": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
			size:    -1, calls: 1, want: []string{"404 Not Found"},
		},
		"changed byte": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) { serve(w, r, changed) },
			size:    -1, want: []string{"its hash is wrong", sumOf(data), sumOf(changed)},
		},
		"truncated file": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) { serve(w, r, data[:1000]) },
			size:    -1, want: []string{"another file", "got 1000 bytes", sumOf(data), sumOf(data[:1000])}, calls: 1,
		},
		"truncated without Content-Length": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				w.Write(data[:1000])
			}, size: -1, want: []string{"ended early", "got 1000 bytes", sumOf(data), sumOf(data[:1000])}, calls: 1,
		},
		"replaced by a longer file": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) { serve(w, r, append(bytes.Clone(data), 0)) },
			size:    -1, want: []string{"another file", sumOf(data), sumOf(append(bytes.Clone(data), 0))},
		},
		"changed while reading": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Etag", fmt.Sprintf(`"v%d"`, n))
				if n == 1 {
					cut(w, r, data, 300000)
				}
				http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(data))
			}, size: -1, want: []string{"changed on the server"},
		},
		"redirected to a web page": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/image" {
					http.Redirect(w, r, "/login", http.StatusFound)
					return
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				io.WriteString(w, "<html>please log in</html>")
			}, size: -1, want: []string{"web page", "/login", sumOf(data), sumOf([]byte("<html>please log in</html>"))},
		},
		"wrong range": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				if n == 1 {
					cut(w, r, data, 300000)
				}
				w.Header().Set("Content-Range", "bytes 0-9/10")
				w.WriteHeader(http.StatusPartialContent)
			}, size: -1, want: []string{"asked for the bytes from"},
		},
		"silent, then back": {
			handler: func(n int32, w http.ResponseWriter, r *http.Request) {
				if n == 1 {
					w.Header().Set("Content-Length", fmt.Sprint(len(data)))
					w.Write(data[:70000])
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					return
				}
				serve(w, r, data)
			}, size: -1, idle: 300 * time.Millisecond, // the first call never gives the whole
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := calls.Load()
				if r.URL.Path == "/image" {
					n = calls.Add(1)
				}
				tc.handler(n, w, r)
			}))
			defer srv.Close()
			f := &Fetcher{Tries: 4, Pause: time.Millisecond, Idle: cmp.Or(tc.idle, time.Minute)}
			src := api.Source{URL: srv.URL + "/image", SHA256: sumOf(data), Size: tc.size}
			if tc.size == -1 {
				src.Size = int64(len(data))
			}
			var got []byte
			r, err := f.Open(context.Background(), src)
			if err == nil {
				got, err = io.ReadAll(r)
				r.Close()
			}
			if tc.want == nil {
				if err != nil {
					t.Fatalf("download: %v", err)
				}
				if !bytes.Equal(got, data) {
					t.Fatalf("got %d other bytes", len(got))
				}
			} else {
				if err == nil {
					t.Fatal("believed a wrong download")
				}
				for _, w := range tc.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("error %q does not say %q", err, w)
					}
				}
			}
			if tc.calls != 0 && calls.Load() != tc.calls {
				t.Errorf("%d requests, want %d", calls.Load(), tc.calls)
			}
		})
	}
}

func TestFetchCancel(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := (&Fetcher{}).Open(ctx, api.Source{URL: srv.URL, SHA256: sumOf(nil), Size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 100)
	if n, err := r.Read(buf); n != 10 || err != nil {
		t.Fatalf("first read: %d, %v", n, err)
	}
	cancel()
	if _, err := r.Read(buf); !errors.Is(err, context.Canceled) {
		t.Fatalf("read after cancel: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	for name, src := range map[string]api.Source{
		"no hash":   {URL: "http://127.0.0.1/x"},
		"bad hash":  {URL: "http://127.0.0.1/x", SHA256: strings.Repeat("A", 64)},
		"file URL":  {URL: "file:///etc/passwd", SHA256: sumOf(nil)},
		"no host":   {URL: "/x", SHA256: sumOf(nil)},
		"minus one": {URL: "http://127.0.0.1/x", SHA256: sumOf(nil), Size: -1},
	} {
		if _, err := (&Fetcher{}).Open(context.Background(), src); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The token goes to its origin and nowhere else, not even to another port of
// the same host, and comes back when a redirect leads home.
func TestFetchToken(t *testing.T) {
	data := []byte("image")
	var other, home *httptest.Server
	seen := map[string]string{}
	other = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen["other"] = r.Header.Get("Authorization")
		http.Redirect(w, r, home.URL+"/end", http.StatusFound)
	}))
	defer other.Close()
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.URL.Path] = r.Header.Get("Authorization")
		if r.URL.Path == "/start" {
			http.Redirect(w, r, other.URL, http.StatusFound)
			return
		}
		w.Write(data)
	}))
	defer home.Close()
	f := &Fetcher{Token: "secret", Origin: home.URL}
	r, err := f.Open(context.Background(), api.Source{URL: home.URL + "/start", SHA256: sumOf(data)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if seen["/start"] != "Bearer secret" || seen["other"] != "" || seen["/end"] != "Bearer secret" {
		t.Errorf("Authorization headers: %q", seen)
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 5-9/10", "bytes 5-9/*", "bytes */10", "", "bytes 1-2/-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if from, total, ok := contentRange(s); ok && (from < 0 || total < -1) {
			t.Errorf("%q: from %d of %d", s, from, total)
		}
	})
}

// TestPatience: an outage that outlasts the tries is waited for.
func TestPatience(t *testing.T) {
	data := randomBytes(1000)
	for name, tc := range map[string]struct {
		patience time.Duration
		back     int32 // the call that is answered again
		want     string
	}{
		"waits":    {time.Minute, 20, ""},
		"gives up": {50 * time.Millisecond, 1 << 30, "gave up at byte 0 after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) < tc.back {
					http.Error(w, "away", http.StatusBadGateway)
					return
				}
				w.Write(data)
			}))
			defer s.Close()
			f := Fetcher{Tries: 2, Pause: time.Nanosecond, Patience: tc.patience}
			in, err := f.Open(t.Context(), api.Source{URL: s.URL, SHA256: sumOf(data), Size: int64(len(data))})
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || calls.Load() <= 2 {
					t.Fatalf("%v after %d calls", err, calls.Load())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		})
	}
}

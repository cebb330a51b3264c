package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"bareroot/internal/serve/web"
)

// Lifetimes and bounds of logins.
const (
	codeLife    = 10 * time.Minute
	sessionLife = 12 * time.Hour
	maxCodes    = 256
)

// auth says who may. A session cookie is its expiry and a random value under
// a MAC keyed by the token, so that it outlives a restart of the server and
// ends when the token is changed.
type auth struct {
	token  [sha256.Size]byte // hash, so that comparing takes the same time for every length
	key    []byte            // of cookies
	cookie string            // its name; differs between servers on one host, as cookies ignore ports
	names  map[string]bool   // hosts that a TCP caller may ask for
	now    func() time.Time
	log    *slog.Logger
	origin *http.CrossOriginProtection

	refused func() // hears of each caller turned away

	mu    sync.Mutex
	codes map[[sha256.Size]byte]time.Time // hash of a login code to its expiry
}

func newAuth(token string, now func() time.Time, log *slog.Logger, names []string) *auth {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("bareroot session cookie"))
	key := mac.Sum(nil)
	id := sha256.Sum256(key)
	a := &auth{
		token:  sha256.Sum256([]byte(token)),
		key:    key,
		cookie: "bareroot_" + hex.EncodeToString(id[:4]),
		names:  map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true},
		now:    now,
		log:    log,
		origin: http.NewCrossOriginProtection(),
		codes:  map[[sha256.Size]byte]time.Time{},

		refused: func() {},
	}
	for _, n := range names {
		a.names[strings.ToLower(strings.Trim(n, "[]"))] = true
	}
	return a
}

// guard lets through who may.
func (a *auth) guard(next http.Handler, trusted bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if trusted {
			next.ServeHTTP(w, r)
			return
		}
		// A name that is not ours, resolved to us by a stranger's DNS, would make
		// this door part of the stranger's site in a browser here (DNS rebinding).
		if host := hostname(r.Host); !a.names[host] && host != localIP(r) {
			a.refuse(w, r, http.StatusForbidden, "this server is not called "+printable(host)+". Use the address it was started with, or add the name to its configuration.")
			return
		}
		if strings.HasPrefix(r.URL.Path, web.StaticPath) || r.URL.Path == loginPath {
			next.ServeHTTP(w, r) // the style sheet and script of this program; the login checks its own code
			return
		}
		switch {
		case r.Header.Get("Authorization") != "":
			if !a.bearer(r) {
				a.refuse(w, r, http.StatusUnauthorized, "the token is wrong. It must be the content of the server's admin.token file.")
				return
			}
		case a.hasSession(r):
			if why := a.crossOrigin(r); why != "" {
				a.refuse(w, r, http.StatusForbidden, why)
				return
			}
		default:
			a.refuse(w, r, http.StatusUnauthorized, "not logged in. Send the token of the server's admin.token file as a bearer token, or use the unix socket.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bearer checks the Authorization header.
func (a *auth) bearer(r *http.Request) bool {
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(got)))
	return subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// crossOrigin says why a request with a cookie is not from our own page, or
// "". Reading needs no check: other origins cannot see the reply.
func (a *auth) crossOrigin(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return ""
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return "the request does not say from which page it comes. Programs should use the bearer token."
	}
	if a.origin.Check(r) != nil {
		return "the request comes from another site's page."
	}
	return ""
}

// newSession makes a cookie value.
func (a *auth) newSession() string {
	b := make([]byte, 8, 8+16+sha256.Size)
	binary.BigEndian.PutUint64(b, uint64(a.now().Add(sessionLife).Unix()))
	b = b[:24]
	_, _ = rand.Read(b[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, a.mac(b)...))
}

// hasSession checks the cookie.
func (a *auth) hasSession(r *http.Request) bool {
	c, err := r.Cookie(a.cookie)
	if err != nil {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) != 24+sha256.Size || !hmac.Equal(b[24:], a.mac(b[:24])) {
		return false
	}
	return a.now().Unix() < int64(binary.BigEndian.Uint64(b))
}

func (a *auth) mac(b []byte) []byte {
	m := hmac.New(sha256.New, a.key)
	m.Write(b)
	return m.Sum(nil)
}

// newCode makes a one-time login code.
func (a *auth) newCode() (string, time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for h, t := range a.codes {
		if !now.Before(t) {
			delete(a.codes, h)
		}
	}
	if len(a.codes) >= maxCodes {
		return "", time.Time{}, false
	}
	code, expires := rand.Text(), now.Add(codeLife)
	a.codes[sha256.Sum256([]byte(code))] = expires
	return code, expires, true
}

// useCode is true once for a code.
func (a *auth) useCode(code string) bool {
	h := sha256.Sum256([]byte(code))
	a.mu.Lock()
	defer a.mu.Unlock()
	expires, ok := a.codes[h]
	delete(a.codes, h)
	return ok && a.now().Before(expires)
}

// refuse answers a browser with a page and a program with a problem.
func (a *auth) refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	a.refused()
	a.log.Warn("admin request refused", "remote", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "status", status)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="bareroot"`)
	}
	if !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html") {
		if status == http.StatusUnauthorized {
			detail = "This page shows and switches machines, so it is for their operator only."
		}
		web.Refused(w, status, strings.ToUpper(detail[:1])+detail[1:])
		return
	}
	writeProblem(w, status, detail)
}

// localIP is the address of ours that the caller reached, which no stranger's
// DNS can make its own.
func localIP(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return addr.IP.String()
	}
	return "127.0.0.1"
}

// hostname is a Host header without the port, lower case.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// printable keeps a caller's text from playing tricks in a message.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x21 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	if s == "" {
		s = "(no name)"
	}
	return s
}

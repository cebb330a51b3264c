// Package admin is the operator's door: the API of package api under
// /api/v1/ with its OpenAPI document, the login of browsers, and around both
// the rules of who may. The page itself is package web.
//
// It is not the provisioning door: machines never come here, and a machine's
// token opens nothing. It decides nothing about machines either; that is the
// inventory's. Errors are application/problem+json (RFC 9457), events are a
// text/event-stream (HTML Living Standard, server-sent events).
//
// Who may: a caller on the unix socket, by the file's mode; a program with
// the bearer token of the token file; a browser with the cookie that a
// one-time login link gave it. See auth.go.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/web"
)

// Inventory is what the door asks and tells the inventory.
type Inventory interface {
	web.Inventory
	Forget(ctx context.Context, ref string) error
	AddImage(ctx context.Context, r api.ImageRequest) (*api.Image, error)
	VerifyImage(ctx context.Context, name string) (*api.Image, error)
	RemoveImage(ctx context.Context, name string) error
	AddBootSet(ctx context.Context, r api.BootSetRequest) (*api.BootSet, error)
	BootSetFiles(ctx context.Context, name, fits string) ([]api.BootFile, error)
	DefaultBootSet(ctx context.Context, name string) (*api.BootSet, error)
	RemoveBootSet(ctx context.Context, name string) error
	Pusher
	Subscribe() (<-chan api.Change, func())
}

// Power switches machines.
type Power = web.Power

// Config is what an Admin needs.
type Config struct {
	Inventory Inventory
	Power     Power             // nil: no power driver
	TokenFile string            // made, 0600, if it does not exist
	PublicURL string            // of the page, for login links: http://127.0.0.1:8081
	Names     []string          // more host names under which the TCP listeners are reached
	Listen    string            // TCP address, only to refuse what Serve would; may be empty
	TLSCert   string            // PEM files; both or neither
	TLSKey    string            //
	Status    func() api.Status // the server about itself
	Refused   func()            // hears of each caller turned away, and of garbage; default: nobody
	Log       *slog.Logger      // default: discard
	Now       func() time.Time  // default time.Now
	Heartbeat time.Duration     // of event streams; default 15 s
}

// Admin is the door.
type Admin struct {
	cfg    Config
	mux    *http.ServeMux
	auth   *auth
	public *url.URL
}

// New checks cfg, reads or makes the token file, and puts the door together.
func New(cfg Config) (*Admin, error) {
	if cfg.Inventory == nil {
		return nil, errors.New("admin door: no inventory given")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 15 * time.Second
	}
	if cfg.Refused == nil {
		cfg.Refused = func() {}
	}
	if cfg.Status == nil {
		cfg.Status = func() api.Status { return api.Status{} }
	}
	public, err := publicURL(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	if (cfg.TLSCert == "") != (cfg.TLSKey == "") {
		return nil, errors.New("admin door: TLS needs a certificate file and a key file; one is missing")
	}
	if cfg.Listen != "" {
		if err := cfg.checkListen(cfg.Listen); err != nil {
			return nil, err
		}
	}
	token, err := loadToken(cfg.TokenFile)
	if err != nil {
		return nil, err
	}
	a := &Admin{cfg: cfg, mux: http.NewServeMux(), public: public}
	a.auth = newAuth(token, cfg.Now, cfg.Log, append(cfg.Names, public.Hostname()))
	a.auth.refused = cfg.Refused
	a.registerAPI()
	site := web.New(web.Config{Inventory: cfg.Inventory, Power: cfg.Power, Status: cfg.Status, Log: cfg.Log, Now: cfg.Now})
	site.Register(a.mux)
	a.registerLogin(site)
	return a, nil
}

// publicURL checks the address that login links are made of.
func publicURL(s string) (*url.URL, error) {
	if s == "" {
		s = "http://127.0.0.1:8081"
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("admin door: public URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || (u.Path != "" && u.Path != "/") {
		return nil, fmt.Errorf("admin door: public URL %q: want http://HOST:PORT or https://HOST:PORT", s)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// checkListen refuses an address that others than this machine could reach
// without TLS.
func (c Config) checkListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("admin door: listen address: %w", err)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) || c.TLSCert != "" {
		return nil
	}
	return fmt.Errorf("admin door: %s is reachable from other machines; give TLS certificate and key files, or listen on 127.0.0.1", addr)
}

// Handler serves the API and the page. trusted is for listeners that only the
// operator can open, as the unix socket: its callers need no token.
func (a *Admin) Handler(trusted bool) http.Handler {
	return secured(known(a.auth.guard(a.mux, trusted)))
}

// secured sets the headers that every reply carries.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // not no-referrer, which makes a form's Origin null
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// writeProblem is an error reply outside huma.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = marshal(w, problem(status, detail)) // the caller is gone if this fails
}

func problem(status int, detail string) *api.Problem {
	return &api.Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// Package redfish is the management controller of the lab's machines: a
// Redfish service (DMTF DSP0266) with power and boot override, which stock
// clients accept (python3-sushy, redfishtool, gofish). It offers what those
// need to provision machines and says nothing of sensors, updates, accounts
// or virtual media.
package redfish

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Machine is what the service needs of a machine.
type Machine interface {
	Info() Info
	// Reset does a Redfish ResetType: On, ForceOff, GracefulShutdown,
	// ForceRestart, PowerCycle.
	Reset(ctx context.Context, kind string) error
	// SetBoot sets the boot override.
	SetBoot(ctx context.Context, enabled, target string) error
}

// Info describes a machine.
type Info struct {
	Name      string // also its Id
	UUID      string
	UEFI      bool
	On        bool
	Enabled   string // boot override: Disabled, Once, Continuous
	Target    string // None, Pxe, Hdd
	CPUs      int
	MemoryMiB int
	MACs      []string
}

// Service answers Redfish requests. With an empty Password it asks nobody who
// he is.
type Service struct {
	User, Password string
	Log            *slog.Logger
	machines       []Machine
	byName         map[string]Machine

	mu       sync.Mutex
	sessions map[string]session // by Id
}

type session struct {
	token [sha256.Size]byte
	user  string
	last  time.Time
}

// Bounds on sessions: idle ones end, and the oldest gives way to a new one.
const (
	sessionIdle = 30 * time.Minute
	sessionMax  = 64
)

// New makes the service for these machines.
func New(user, password string, machines []Machine, log *slog.Logger) *Service {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Service{User: user, Password: password, Log: log, machines: machines,
		byName: map[string]Machine{}, sessions: map[string]session{}}
	for _, m := range machines {
		s.byName[m.Info().Name] = m
	}
	return s
}

// resetTypes and overrides, as announced and as accepted.
var (
	resetTypes = []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle"}
	targets    = []string{"None", "Pxe", "Hdd"}
	enableds   = []string{"Disabled", "Once", "Continuous"}
)

// fault is an answer that is an error.
type fault struct {
	status int
	id     string // message of the Base registry
	text   string
}

func (f *fault) Error() string { return f.text }

func bad(status int, id, format string, args ...any) error {
	return &fault{status, id, fmt.Sprintf(format, args...)}
}

// Handler is the service under /redfish.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, f func(r *http.Request) (obj, error)) {
		h := func(w http.ResponseWriter, r *http.Request) {
			if !s.open(r) && !s.authorized(r) {
				s.fail(w, r, bad(http.StatusUnauthorized, "NoValidSession", "a valid user name and password, or session, is needed"))
				return
			}
			o, err := f(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			reply(w, r, http.StatusOK, o)
		}
		mux.HandleFunc("GET "+path, h)
		if path != "/redfish" { // the same resource with a slash at its end
			mux.HandleFunc("GET "+path+"/{$}", h)
		}
	}
	do := func(method, path string, f func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
			var err error
			if !s.open(r) && !s.authorized(r) {
				err = bad(http.StatusUnauthorized, "NoValidSession", "a valid user name and password, or session, is needed")
			} else {
				err = f(w, r)
			}
			if err != nil {
				s.fail(w, r, err)
			}
		})
	}
	s.resources(get)
	do("POST", "/redfish/v1/SessionService/Sessions", s.login)
	do("POST", "/redfish/v1/SessionService/Sessions/{$}", s.login)
	do("DELETE", "/redfish/v1/SessionService/Sessions/{id}", s.logout)
	do("PATCH", "/redfish/v1/Systems/{name}", s.patch)
	do("POST", "/redfish/v1/Systems/{name}/Actions/ComputerSystem.Reset", s.reset)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, bad(http.StatusNotFound, "ResourceMissingAtURI", "there is nothing at %s", r.URL.Path))
	})
	return mux
}

// open tells which requests need no login: those by which a client finds
// out what it talks to, and how to log in.
func (s *Service) open(r *http.Request) bool {
	p := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case r.Method == http.MethodGet:
		return p == "/redfish" || p == "/redfish/v1" || p == "/redfish/v1/odata"
	case r.Method == http.MethodPost:
		return p == "/redfish/v1/SessionService/Sessions"
	}
	return false
}

func (s *Service) authorized(r *http.Request) bool {
	if s.Password == "" {
		return true
	}
	if t := r.Header.Get("X-Auth-Token"); t != "" {
		sum := sha256.Sum256([]byte(t))
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, ses := range s.sessions {
			if subtle.ConstantTimeCompare(sum[:], ses.token[:]) == 1 {
				if time.Since(ses.last) > sessionIdle {
					delete(s.sessions, id)
					return false
				}
				ses.last = time.Now()
				s.sessions[id] = ses
				return true
			}
		}
		return false
	}
	user, pass, ok := r.BasicAuth()
	return ok && s.password(user, pass)
}

func (s *Service) password(user, pass string) bool {
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(pass))
	wu, wp := sha256.Sum256([]byte(s.User)), sha256.Sum256([]byte(s.Password))
	return subtle.ConstantTimeCompare(u[:], wu[:])&subtle.ConstantTimeCompare(p[:], wp[:]) == 1
}

// login opens a session. A client without a login (sushy sends UserName
// null) is let in only where no password is set.
func (s *Service) login(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		UserName, Password *string
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	user := ""
	if in.UserName != nil {
		user = *in.UserName
	}
	if s.Password != "" && (in.Password == nil || !s.password(user, *in.Password)) {
		return bad(http.StatusUnauthorized, "NoValidSession", "user name or password is wrong or missing")
	}
	id, token := random(8), random(32)
	s.mu.Lock()
	for len(s.sessions) >= sessionMax {
		oldest := ""
		for k, v := range s.sessions {
			if oldest == "" || v.last.Before(s.sessions[oldest].last) {
				oldest = k
			}
		}
		delete(s.sessions, oldest)
	}
	s.sessions[id] = session{token: sha256.Sum256([]byte(token)), user: user, last: time.Now()}
	s.mu.Unlock()
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/"+id)
	reply(w, r, http.StatusCreated, sessionResource(id, user))
	return nil
}

func (s *Service) logout(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	s.mu.Lock()
	_, ok := s.sessions[id]
	delete(s.sessions, id)
	s.mu.Unlock()
	if !ok {
		return bad(http.StatusNotFound, "ResourceMissingAtURI", "there is no session %q", id)
	}
	return done(w)
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// decode reads a JSON body.
func decode(r *http.Request, v any) error {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return bad(http.StatusRequestEntityTooLarge, "MalformedJSON", "the request has more than %d bytes", big.Limit)
		}
		return bad(http.StatusBadRequest, "MalformedJSON", "the request is not the JSON expected: %v", err)
	}
	return nil
}

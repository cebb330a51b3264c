// Package agentapi is the machines' side of the provisioning door: the agent
// protocol of package api under /agent/v1/, and system images under /images/.
// It reads requests and writes replies; what they mean is package
// inventory's. Whoever asks has a machine's token or learns nothing.
package agentapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/inventory"
)

// Bounds of request bodies, in bytes.
const (
	maxHello  = 64 << 10
	maxFacts  = 4 << 20
	maxEvents = 4 << 20
	maxLog    = 1 << 20
)

type handler struct {
	inv     *inventory.Service
	log     *slog.Logger
	garbage func()
	hellos  *limiter
}

// Option changes a Handler.
type Option func(*handler)

// Garbage makes f hear of each request that no agent of ours would send.
func Garbage(f func()) Option { return func(h *handler) { h.garbage = f } }

// Handler serves /agent/v1/* and /images/*.
func Handler(s *inventory.Service, log *slog.Logger, opts ...Option) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &handler{inv: s, log: log, garbage: func() {}, hellos: newLimiter(30, time.Minute, time.Now)}
	for _, o := range opts {
		o(h)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /agent/v1/hello", h.hello)
	mux.HandleFunc("POST /agent/v1/facts", h.session(h.facts))
	mux.HandleFunc("GET /agent/v1/next", h.session(h.next))
	mux.HandleFunc("POST /agent/v1/events", h.session(h.events))
	mux.HandleFunc("POST /agent/v1/log", h.session(h.bootLog))
	mux.HandleFunc("GET /images/{sha256}", h.session(h.image))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, &api.Problem{Title: "Not Found", Status: 404, Detail: "there is nothing at this address"})
	})
	return mux
}

func (h *handler) hello(w http.ResponseWriter, r *http.Request) {
	remote := address(r)
	if !h.hellos.allow(remote) {
		w.Header().Set("Retry-After", "10")
		h.fail(w, r, &api.Problem{Title: "Too Many Requests", Status: 429, Detail: "too many hellos from this address; ask again in a while"})
		return
	}
	var req api.HelloRequest
	if !h.read(w, r, maxHello, &req) {
		return
	}
	reply, err := h.inv.Hello(r.Context(), req, remote)
	h.reply(w, r, reply, err)
}

func (h *handler) facts(w http.ResponseWriter, r *http.Request, ss *inventory.Session) {
	var f api.Facts
	if !h.read(w, r, maxFacts, &f) {
		return
	}
	h.done(w, r, h.inv.Facts(r.Context(), ss, f))
}

func (h *handler) next(w http.ResponseWriter, r *http.Request, ss *inventory.Session) {
	wait := 0
	if v := r.URL.Query().Get("wait"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			h.fail(w, r, &api.Problem{Title: "Bad Request", Status: 400, Detail: fmt.Sprintf("wait %.40q is no number of seconds", v)})
			return
		}
		wait = min(n, 60)
	}
	// The door may have a write timeout for slow readers: this reply is late
	// on purpose. A writer that cannot set deadlines has none either.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Duration(wait)*time.Second + 30*time.Second))
	o, err := h.inv.Next(r.Context(), ss, time.Duration(wait)*time.Second)
	if err == nil && o == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.reply(w, r, o, err)
}

func (h *handler) events(w http.ResponseWriter, r *http.Request, ss *inventory.Session) {
	var b api.EventBatch
	if !h.read(w, r, maxEvents, &b) {
		return
	}
	reply, err := h.inv.Events(r.Context(), ss, b)
	h.reply(w, r, reply, err)
}

func (h *handler) bootLog(w http.ResponseWriter, r *http.Request, ss *inventory.Session) {
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		h.fail(w, r, &api.Problem{Title: "Bad Request", Status: 400, Detail: fmt.Sprintf("offset %.40q is no number of bytes", r.URL.Query().Get("offset"))})
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLog))
	if err != nil {
		h.fail(w, r, tooLarge(err))
		return
	}
	h.done(w, r, h.inv.Log(r.Context(), ss, offset, data))
}

func (h *handler) image(w http.ResponseWriter, r *http.Request, ss *inventory.Session) {
	path, err := h.inv.ImageFile(r.Context(), ss, r.PathValue("sha256"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	f, err := os.Open(path)
	if err != nil {
		h.fail(w, r, fmt.Errorf("serve image: %w", err))
		return
	}
	defer f.Close()
	// Images take as long as the network takes.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+r.PathValue("sha256")+`"`)
	w.Header().Set("Cache-Control", "private, immutable")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// session finds the session of the request's token, or refuses.
func (h *handler) session(next func(http.ResponseWriter, *http.Request, *inventory.Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			token = ""
		}
		ss, err := h.inv.Session(r.Context(), token)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		next(w, r, ss)
	}
}

func (h *handler) read(w http.ResponseWriter, r *http.Request, limit int64, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	if err := d.Decode(v); err != nil {
		h.fail(w, r, tooLarge(err))
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		h.fail(w, r, &api.Problem{Title: "Bad Request", Status: 400, Detail: "more than one JSON document"})
		return false
	}
	return true
}

func tooLarge(err error) error {
	if m, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &api.Problem{Title: "Content Too Large", Status: 413, Detail: fmt.Sprintf("the body is larger than %d bytes", m.Limit)}
	}
	return &api.Problem{Title: "Bad Request", Status: 400, Detail: "the body cannot be read: " + err.Error()}
}

func (h *handler) reply(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// The agent notices a reply that is cut short and asks again.
	_, _ = w.Write(append(b, '\n'))
}

func (h *handler) done(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers with a problem. What is no *api.Problem is the server's own
// trouble: logged, not told.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*api.Problem](err)
	switch {
	case !ok && r.Context().Err() != nil:
		// Nobody listens any more; or its sending side only is closed, and
		// silence would be a 200 without a body.
		p = &api.Problem{Title: "Service Unavailable", Status: 503, Detail: "the request was given up"}
	case !ok:
		h.log.Error("agent request failed", "method", r.Method, "path", r.URL.Path, "remote", r.RemoteAddr, "err", err)
		p = &api.Problem{Title: "Internal Server Error", Status: 500, Detail: "the server could not do that; its log says why"}
	case p.Status < 500:
		h.garbage()
		h.log.Debug("agent request refused", "method", r.Method, "path", r.URL.Path, "remote", r.RemoteAddr, "status", p.Status, "detail", p.Detail)
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	b, err := json.Marshal(p)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b)
}

func address(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

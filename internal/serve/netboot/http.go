package netboot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
)

// HTTP serves /boot/ on the provisioning door.
type HTTP struct {
	Boots  Boots
	Base   string // URL of this server for machines, no slash at its end; "" = as the request's Host says
	Log    *slog.Logger
	Errors *Tally
}

// Handler is the handler of /boot/.
//
//	GET /boot/ipxe                       a script that comes back with uuid, mac, platform, arch
//	GET /boot/ipxe?uuid=&mac=&platform=&arch=   the machine's own script
//	GET /boot/sets/ID/FILE               a file of a boot set's manifest
//	GET /boot/segments/ATTEMPT           the machine's own segment, frozen for that attempt
func (h *HTTP) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /boot/ipxe", h.script)
	mux.HandleFunc("GET /boot/sets/{id}/{file}", h.bootFile)
	mux.HandleFunc("GET /boot/segments/{attempt}", h.segment)
	mux.HandleFunc("/boot/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, &api.Problem{Title: "not found", Status: http.StatusNotFound})
	})
	return mux
}

func (h *HTTP) script(w http.ResponseWriter, r *http.Request) {
	base := h.base(r)
	if r.URL.RawQuery == "" {
		h.say(w, r, firstScript(base))
		return
	}
	if r.Method != http.MethodGet { // HEAD would make an attempt that nobody boots
		h.fail(w, r, &api.Problem{Title: "method not allowed", Status: http.StatusMethodNotAllowed})
		return
	}
	req, err := parseBoot(r)
	if err != nil {
		h.fail(w, r, &api.Problem{Title: "bad request", Status: http.StatusBadRequest, Detail: err.Error()})
		return
	}
	d, err := h.Boots.NetBoot(r.Context(), req)
	if err != nil {
		h.fail(w, r, fmt.Errorf("decide what %s boots: %w", req.MAC, err))
		return
	}
	text, err := Script(base, req, d)
	if err != nil {
		// The machine shows why and asks again: somebody must change an
		// order or a boot set, and then it goes on by itself.
		h.Errors.Add(DoorHTTP)
		h.Log.Error("no boot script for a machine", "mac", req.MAC, "err", err)
		text = parkScript(base, err.Error())
	} else {
		h.Log.Info("netboot", "mac", req.MAC, "uuid", req.UUID, "platform", req.Platform, "remote", req.Remote.String(), "action", d.Action)
	}
	h.say(w, r, text)
}

func (h *HTTP) say(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}

func (h *HTTP) bootFile(w http.ResponseWriter, r *http.Request) {
	id, file := r.PathValue("id"), r.PathValue("file")
	if !hexName.MatchString(id) || !plainName.MatchString(file) {
		h.fail(w, r, &api.Problem{Title: "bad request", Status: http.StatusBadRequest, Detail: "that is no name of a boot set's file"})
		return
	}
	path, err := h.Boots.BootFile(r.Context(), id, file)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	f, err := os.Open(path)
	if err != nil {
		h.fail(w, r, fmt.Errorf("open file of boot set %.12s: %w", id, err))
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		h.fail(w, r, errors.Join(fmt.Errorf("%s is no regular file", path), err))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", fmt.Sprintf("%q", id+"/"+file))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", fi.ModTime(), f)
}

func (h *HTTP) segment(w http.ResponseWriter, r *http.Request) {
	attempt := r.PathValue("attempt")
	if !tokenName.MatchString(attempt) {
		h.fail(w, r, &api.Problem{Title: "bad request", Status: http.StatusBadRequest, Detail: "that is no boot attempt"})
		return
	}
	b, err := h.Boots.Segment(r.Context(), attempt)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// fail answers with err: a problem as it is, anything else as 500 without
// telling the network what is inside.
func (h *HTTP) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.Errors.Add(DoorHTTP)
	p := &api.Problem{}
	if known := errors.As(err, &p); !known && r.Context().Err() != nil {
		// Who asked has gone, and with that what was being done for it. If only
		// its sending side is closed, silence would be a 200 without a body.
		p = &api.Problem{Title: "service unavailable", Status: http.StatusServiceUnavailable}
	} else if !known {
		h.Log.Error("boot request failed", "path", r.URL.Path, "remote", r.RemoteAddr, "err", err)
		p = &api.Problem{Title: "internal error", Status: http.StatusInternalServerError}
	} else {
		h.Log.Warn("boot request refused", "path", r.URL.Path, "remote", r.RemoteAddr, "status", p.Status, "err", err)
	}
	WriteProblem(w, p)
}

// WriteProblem sends p as application/problem+json.
func WriteProblem(w http.ResponseWriter, p *api.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	// Values of api.Problem always marshal; a client that went away is its own affair.
	b, err := marshalProblem(p)
	if err == nil {
		_, _ = io.Copy(w, bytes.NewReader(b))
	}
}

// base is the URL of this server as the machine reaches it.
func (h *HTTP) base(r *http.Request) string {
	if h.Base != "" {
		return h.Base
	}
	// The local address of the connection, never the Host header: what a
	// client sends must not end in a script.
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return "http://" + a.String()
	}
	return ""
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

const zeroUUID = "00000000-0000-0000-0000-000000000000"

// parseBoot reads who asks. Unknown parameters are ignored: a newer boot
// program may send more.
func parseBoot(r *http.Request) (order.BootRequest, error) {
	out := order.BootRequest{}
	if len(r.URL.RawQuery) > 1024 {
		return out, fmt.Errorf("the query is %d bytes long", len(r.URL.RawQuery))
	}
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return out, err
	}
	mac, err := net.ParseMAC(q.Get("mac"))
	if err != nil || len(mac) != 6 && len(mac) != 20 {
		return out, fmt.Errorf("mac: %q is no hardware address", q.Get("mac"))
	}
	out.MAC = mac.String()
	out.UUID = strings.ToLower(q.Get("uuid"))
	if out.UUID != "" && !uuidForm.MatchString(out.UUID) {
		return out, fmt.Errorf("uuid: %q is no UUID", q.Get("uuid"))
	}
	if out.UUID == zeroUUID {
		out.UUID = "" // firmware that knows none
	}
	switch p := q.Get("platform"); p {
	case "pcbios", "bios", "":
		out.Platform = "bios"
	case "efi", "uefi":
		out.Platform = "uefi"
	default:
		return out, fmt.Errorf("platform: %q is neither pcbios nor efi", p)
	}
	switch a := q.Get("arch"); a {
	case "i386", "x86_64", "amd64", "":
		// A BIOS build of iPXE is i386 on every machine.
		out.Arch = "amd64"
	case "arm64":
		out.Arch = "arm64"
	default:
		return out, fmt.Errorf("arch: %q is not known", a)
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		out.Remote = ap.Addr().Unmap()
	}
	return out, nil
}

// Package web is the page: machines, one machine, orders, images and boot
// sets, the server. It is plain HTML from templates that works without
// scripts for reading and ordering; a small script keeps it fresh by fetching
// the rows that changed. It decides nothing, and who may see it is package
// admin's business.
package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"bareroot/api"
)

// StaticPath is where the style sheet and the script are. They are the same
// for everyone and tell nothing.
const StaticPath = "/static/"

// Inventory is what the page reads and orders.
type Inventory interface {
	Machines(ctx context.Context) ([]api.Machine, error)
	Machine(ctx context.Context, ref string) (*api.Machine, error)
	Approve(ctx context.Context, ref string, r api.ApproveRequest) (*api.Machine, error)
	Logs(ctx context.Context, ref, bootID string) (io.ReadCloser, error)
	PlaceOrder(ctx context.Context, ref string, r api.OrderRequest) (*api.Order, error)
	Orders(ctx context.Context, ref string) ([]api.Order, error)
	Order(ctx context.Context, id string) (*api.OrderDetail, error)
	Cancel(ctx context.Context, id string) (*api.Order, error)
	Retry(ctx context.Context, id string) (*api.Order, error)
	Images(ctx context.Context) ([]api.Image, error)
	BootSets(ctx context.Context) ([]api.BootSet, error)
}

// Power switches machines.
type Power interface {
	Do(ctx context.Context, uuid string, r api.PowerRequest) (api.PowerReply, error)
}

// Config is what a Site needs.
type Config struct {
	Inventory Inventory
	Power     Power // nil: no buttons
	Status    func() api.Status
	Log       *slog.Logger
	Now       func() time.Time
	Zone      *time.Location // of clock times; default the server's
}

// Site is the page.
type Site struct{ cfg Config }

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// pages is parsed once and only read afterwards.
var pages = template.Must(template.ParseFS(templateFiles, "templates/*.html"))

// New makes a Site; Inventory, Status, Log and Now must be set.
func New(cfg Config) *Site {
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	return &Site{cfg}
}

// Register adds the page's addresses to mux.
func (s *Site) Register(mux *http.ServeMux) {
	mux.Handle("GET "+StaticPath+"{file}", http.FileServerFS(staticFiles))
	mux.HandleFunc("GET /{$}", s.machines)
	mux.HandleFunc("GET /machines/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.showMachine(w, r, http.StatusOK, "")
	})
	mux.HandleFunc("GET /orders/{id}", s.order)
	mux.HandleFunc("GET /images", s.images)
	mux.HandleFunc("GET /server", s.server)
	mux.HandleFunc("GET /ui/machines/{id}/row", s.rowFragment)
	mux.HandleFunc("GET /ui/machines/{id}/head", s.detailFragment("machinehead"))
	mux.HandleFunc("GET /ui/machines/{id}/detail", s.detailFragment("detail"))
	mux.HandleFunc("GET /ui/orders/{id}", s.orderFragment)
	mux.HandleFunc("POST /machines/{id}/approve", s.approve)
	mux.HandleFunc("POST /machines/{id}/power", s.power)
	mux.HandleFunc("POST /machines/{id}/orders", s.place)
	mux.HandleFunc("POST /orders/{id}/cancel", s.cancel)
	mux.HandleFunc("POST /orders/{id}/retry", s.retry)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &api.Problem{Title: "No such page", Status: http.StatusNotFound, Detail: "There is no page at this address."})
	})
}

// page is what every whole page's template gets.
type page struct {
	Title  string
	Nav    string // which entry is current; empty: no navigation
	Error  string
	Status int
	Data   any
}

// render writes a template whole or not at all.
func render(w http.ResponseWriter, status int, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// show is render for a signed-in visitor.
func (s *Site) show(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	if err := render(w, status, name, data); err != nil && r.Context().Err() == nil {
		s.cfg.Log.Error("page not sent", "page", name, "err", err)
	}
}

// fail shows an error as a page.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := explain(err)
	if status >= 500 && r.Context().Err() == nil {
		s.cfg.Log.Error("page failed", "path", r.URL.Path, "err", err)
	}
	title := "That did not work"
	if status == http.StatusNotFound {
		title = "Not found"
	}
	s.show(w, r, status, "message", page{Title: title, Nav: "-", Status: status, Data: text})
}

// explain is the status of an error, and its text as a sentence.
func explain(err error) (int, string) {
	status, text := http.StatusInternalServerError, err.Error()
	var p *api.Problem
	if errors.As(err, &p) {
		status, text = p.Status, p.Error()
	}
	first, size := utf8.DecodeRuneInString(text)
	return status, string(unicode.ToUpper(first)) + text[size:]
}

// Refused answers a browser that may not.
func Refused(w http.ResponseWriter, status int, detail string) {
	title := "Not allowed"
	if status == http.StatusUnauthorized {
		title = "Please log in"
	}
	_ = render(w, status, "refused", page{Title: title, Status: status, Data: detail}) // the caller is gone if this fails
}

// Package web is the page: machines, one machine, orders, images and boot
// sets, the server. It is plain HTML from templates that works without
// scripts for reading and ordering; a small script keeps it fresh by fetching
// the rows that changed. It decides nothing, and who may see it is package
// admin's business.
package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

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
}

// Site is the page.
type Site struct{ cfg Config }

// New makes a Site; all of cfg but Power must be set.
func New(cfg Config) *Site { return &Site{cfg} }

// Register adds the page's addresses to mux.
func (s *Site) Register(mux *http.ServeMux) {}

// Refused answers a browser that may not.
func Refused(w http.ResponseWriter, status int, detail string) {
	w.WriteHeader(status)
}

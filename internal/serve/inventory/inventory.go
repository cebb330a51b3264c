// Package inventory is what the server knows and decides: machines, orders,
// system images, boot sets, and the boots of machines with their one-boot
// secrets. It joins the pure rules of package order with the store and the
// files of the state directory.
//
// It is not a protocol: packages netboot, agentapi and admin call it. All
// state is in the store and the state directory, so that a server that was
// killed goes on where it was. Errors meant for callers are *api.Problem.
//
// Below the state directory it keeps:
//
//	bareroot.db                 the store
//	images/SHA256               system images, by content
//	bootsets/ID/                boot sets, by content
//	logs/MACHINE/BOOT.log       console logs of boots, bounded
package inventory

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
)

// Config is what a Service needs. Only StateDir and BaseURL have no default.
type Config struct {
	StateDir string
	// BaseURL is the provisioning door as machines see it, without a path:
	// http://10.0.0.1:8080. It goes into segments and orders.
	BaseURL string
	Now     func() time.Time // default time.Now
	Rand    io.Reader        // default crypto/rand
	Log     *slog.Logger     // default: discard
}

// PowerSystem is a machine as a power driver (Redfish) knows it.
type PowerSystem struct {
	UUID  string
	Name  string
	MACs  []string
	Power string // on, off, or "" if unknown
}

// Session is an exchanged nonce: a boot that may speak the agent protocol.
type Session struct {
	Machine string // id
	Attempt string
	BootID  string
}

// Service is the inventory. New makes it, Close ends it.
type Service struct{ cfg Config }

var errSoon = errors.New("inventory: not ready")

// New opens the inventory of cfg.StateDir.
func New(cfg Config) (*Service, error) { return nil, errSoon }

// Close ends the service; calls that wait return.
func (s *Service) Close() error { return errSoon }

// Machines lists all machines by name, without facts and timelines.
func (s *Service) Machines(ctx context.Context) ([]api.Machine, error) { return nil, errSoon }

// Machine is one machine in detail. ref is its id, name, UUID or a MAC.
func (s *Service) Machine(ctx context.Context, ref string) (*api.Machine, error) { return nil, errSoon }

// Approve changes a machine's approval or name.
func (s *Service) Approve(ctx context.Context, ref string, r api.ApproveRequest) (*api.Machine, error) {
	return nil, errSoon
}

// Forget removes a machine and its history.
func (s *Service) Forget(ctx context.Context, ref string) error { return errSoon }

// Logs is the console log of a boot, the newest one if bootID is empty.
func (s *Service) Logs(ctx context.Context, ref, bootID string) (io.ReadCloser, error) {
	return nil, errSoon
}

// PlaceOrder queues an order.
func (s *Service) PlaceOrder(ctx context.Context, ref string, r api.OrderRequest) (*api.Order, error) {
	return nil, errSoon
}

// Orders lists orders, newest first; all machines' if ref is empty.
func (s *Service) Orders(ctx context.Context, ref string) ([]api.Order, error) { return nil, errSoon }

// Order is an order with its history.
func (s *Service) Order(ctx context.Context, id string) (*api.OrderDetail, error) {
	return nil, errSoon
}

// Cancel ends an open order.
func (s *Service) Cancel(ctx context.Context, id string) (*api.Order, error) { return nil, errSoon }

// Retry queues a failed or cancelled order again, as its next attempt.
func (s *Service) Retry(ctx context.Context, id string) (*api.Order, error) { return nil, errSoon }

// Images lists system images by name.
func (s *Service) Images(ctx context.Context) ([]api.Image, error) { return nil, errSoon }

// AddImage copies a file of this machine into the state directory.
func (s *Service) AddImage(ctx context.Context, r api.ImageRequest) (*api.Image, error) {
	return nil, errSoon
}

// VerifyImage hashes the stored bytes again.
func (s *Service) VerifyImage(ctx context.Context, name string) (*api.Image, error) {
	return nil, errSoon
}

// RemoveImage removes an image that no open order names.
func (s *Service) RemoveImage(ctx context.Context, name string) error { return errSoon }

// ImageFile is the file with that hash, for the door to serve.
func (s *Service) ImageFile(ctx context.Context, sha256 string) (path string, err error) {
	return "", errSoon
}

// BootSets lists boot sets by name.
func (s *Service) BootSets(ctx context.Context) ([]api.BootSet, error) { return nil, errSoon }

// AddBootSet verifies a boot set and copies it into the state directory.
func (s *Service) AddBootSet(ctx context.Context, r api.BootSetRequest) (*api.BootSet, error) {
	return nil, errSoon
}

// DefaultBootSet makes the boot set the one that unpinned machines get.
func (s *Service) DefaultBootSet(ctx context.Context, name string) (*api.BootSet, error) {
	return nil, errSoon
}

// RemoveBootSet removes a boot set that is neither the default nor pinned.
func (s *Service) RemoveBootSet(ctx context.Context, name string) error { return errSoon }

// NetBoot decides what a machine at the boot door gets, and freezes it.
func (s *Service) NetBoot(ctx context.Context, r order.BootRequest) (order.Decision, error) {
	return order.Decision{}, errSoon
}

// Segment is the machine's own segment of a boot attempt.
func (s *Service) Segment(ctx context.Context, attempt string) ([]byte, error) { return nil, errSoon }

// BootFile is the path of a file that a boot set's manifest names.
func (s *Service) BootFile(ctx context.Context, setID, file string) (path string, err error) {
	return "", errSoon
}

// Import makes a machine known, or updates it, from what a power driver says.
func (s *Service) Import(ctx context.Context, p PowerSystem) error { return errSoon }

// Subscribe tells of changes until the returned function is called. A slow
// reader loses changes, not the newest state: it reads again what it shows.
func (s *Service) Subscribe() (<-chan api.Change, func()) { return nil, nil }

// Hello exchanges a one-boot nonce for a session token, once.
func (s *Service) Hello(ctx context.Context, r api.HelloRequest, remote netip.Addr) (*api.HelloReply, error) {
	return nil, errSoon
}

// Session finds the session of a token. One of an older boot is refused.
func (s *Service) Session(ctx context.Context, token string) (*Session, error) { return nil, errSoon }

// Facts keeps a machine's hardware inventory.
func (s *Service) Facts(ctx context.Context, ss *Session, f api.Facts) error { return errSoon }

// Next waits up to wait for an order for the session's machine; nil if none.
func (s *Service) Next(ctx context.Context, ss *Session, wait time.Duration) (*api.Order, error) {
	return nil, errSoon
}

// Events takes in what happened on a machine. It is idempotent.
func (s *Service) Events(ctx context.Context, ss *Session, b api.EventBatch) (*api.EventReply, error) {
	return nil, errSoon
}

// Log takes in a piece of the boot's console log that starts at offset.
func (s *Service) Log(ctx context.Context, ss *Session, offset int64, data []byte) error {
	return errSoon
}

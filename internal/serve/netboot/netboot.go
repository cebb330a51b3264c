// Package netboot is the provisioning door as firmware sees it: DHCP (proxy
// or authoritative), TFTP for the boot programs, the HTTP paths under /boot/
// with the iPXE scripts, and answers to IPv6 router solicitations. What a
// machine gets is decided elsewhere, behind the interface Boots; what an agent
// says after the kernel has started goes to package agentapi.
//
// It follows RFC 2131 and 2132 (DHCP), RFC 4578 (PXE options), the PXE 2.1
// specification (proxyDHCP on ports 67 and 4011), RFC 1350, 2347 to 2349
// (TFTP) and RFC 4861 (router advertisements).
package netboot

import (
	"context"
	"maps"
	"sync"

	"bareroot/internal/serve/order"
)

// Boots decides what a netbooting machine gets and holds the bytes. Package
// inventory implements it; its errors are *api.Problem where the client is
// at fault.
type Boots interface {
	NetBoot(ctx context.Context, r order.BootRequest) (order.Decision, error)
	Segment(ctx context.Context, attempt string) ([]byte, error)
	BootFile(ctx context.Context, setID, file string) (path string, err error)
}

// Doors whose errors are counted.
const (
	DoorDHCP = "dhcp"
	DoorTFTP = "tftp"
	DoorHTTP = "http"
	DoorRA   = "ra"
)

// Tally counts errors by door: garbage and refused requests, for the status
// page. The zero value is ready.
type Tally struct {
	mu     sync.Mutex
	counts map[string]int64
}

// Add counts one error. A nil Tally counts nothing.
func (t *Tally) Add(door string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	t.counts[door]++
}

// Counts is a copy of the counts so far.
func (t *Tally) Counts() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := maps.Clone(t.counts)
	if out == nil {
		out = map[string]int64{}
	}
	return out
}

// Package power switches machines through their management controllers and
// tells the inventory which machines exist. A Driver speaks to one service;
// Redfish (DMTF DSP0266) is the only kind so far, by the gofish library. The
// Manager owns the configured services, polls them and carries out requests.
//
// It is not the lab: the lab offers a Redfish service, this is the client of
// that and of real ones. It keeps no state of its own.
package power

import (
	"context"

	"bareroot/internal/serve/inventory"
)

// Power states, as inventory and api have them. Unknown is what a service
// says while it does not know, or in between.
const (
	On      = "on"
	Off     = "off"
	Unknown = ""
)

// Boot devices for SetBootOnce.
const (
	BootPXE  = "pxe"
	BootDisk = "disk"
)

// A Driver speaks to one management service, which may hold one machine or
// many. Machines are named by SMBIOS UUID, lower case. Every call is bounded
// by ctx and by the driver's own time limits, and may be made concurrently.
// A UUID that the service does not hold is ErrUnknown.
type Driver interface {
	// Systems lists the machines of the service, with their power states.
	Systems(ctx context.Context) ([]inventory.PowerSystem, error)
	// Status is the power state now: On, Off or Unknown.
	Status(ctx context.Context, uuid string) (string, error)
	// On asks for power; a machine that is on stays as it is.
	On(ctx context.Context, uuid string) error
	// Off cuts the power at once; a machine that is off stays off.
	Off(ctx context.Context, uuid string) error
	// Cycle starts the machine from the beginning, from whatever state.
	Cycle(ctx context.Context, uuid string) error
	// SetBootOnce chooses BootPXE or BootDisk for the next start only.
	SetBootOnce(ctx context.Context, uuid, device string) error
}

// Inventory is what the manager tells about machines.
type Inventory interface {
	Import(ctx context.Context, s inventory.PowerSystem) error
}

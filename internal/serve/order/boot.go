// Package order is the server's logic as pure functions: what a machine that
// netboots gets, how an order moves from state to state, when a machine is
// parked. It touches no database, clock or network; package inventory does.
package order

import (
	"net/netip"

	"bareroot/internal/bootset"
)

// BootRequest is a machine at the boot door, asking for its script.
type BootRequest struct {
	UUID     string // SMBIOS, lower case, may be empty
	MAC      string // lower case with colons
	Platform string // bios, uefi
	Arch     string // GOARCH word
	Remote   netip.Addr
}

// Actions of a Decision.
const (
	ActBoot = "boot" // kernel and segments
	ActDisk = "disk" // leave to the machine's own disk
	ActPark = "park" // show Message, ask again in a minute
)

// Decision is what the machine gets.
type Decision struct {
	Action  string
	Message string            // for the console
	Attempt string            // unguessable id of this boot attempt; names its segment
	Set     *bootset.Manifest // with ActBoot
	Cmdline string            // with ActBoot: the whole kernel command line, without initrd=
}

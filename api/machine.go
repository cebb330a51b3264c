package api

import "time"

// Approval of a machine.
const (
	ApprovalNew      = "new"  // seen, may be discovered, gets no orders that change it
	ApprovalHeld     = "held" // parked by the operator or the boot-loop guard
	ApprovalApproved = "approved"
	ApprovalRetired  = "retired" // not served at all
)

// What a machine boots when it netboots next.
const (
	BootDisk     = "disk"     // its own disk: the boot script steps aside
	BootDiscover = "discover" // the default boot set, to report and wait for orders
	BootRoot     = "root"     // the boot set with the words of its root order
)

// Machine is a computer as the server knows it.
type Machine struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	UUID     string    `json:"uuid,omitempty"` // SMBIOS, lower case
	MACs     []string  `json:"macs"`
	Approval string    `json:"approval"`
	Status   string    `json:"status"`             // derived, for people: "new", "waiting", "deploying 41%", "deployed", "parked: ..."
	Boot     string    `json:"boot"`               // BootDisk, BootDiscover, BootRoot
	BootSet  string    `json:"boot_set,omitempty"` // pinned; empty = the default
	Seen     time.Time `json:"seen,omitzero"`
	BootID   string    `json:"boot_id,omitempty"`  // of the newest session
	Phase    string    `json:"phase,omitempty"`    // newest stage or step heard of
	Message  string    `json:"message,omitempty"`  // newest, for people
	Failed   bool      `json:"failed,omitempty"`   // Message is a failure
	Address  string    `json:"address,omitempty"`  // newest IP
	Firmware string    `json:"firmware,omitempty"` // bios or uefi
	Power    string    `json:"power,omitempty"`    // on, off, "" without a driver
	Warnings []string  `json:"warnings,omitempty"` // second nonce exchange, boot loop
	Facts    *Facts    `json:"facts,omitempty"`    // in the detail only
	Order    *Order    `json:"order,omitempty"`    // the open one, else the newest
	Timeline []Stamp   `json:"timeline,omitempty"` // of the newest boots, oldest first; in the detail only
}

// Stamp says when a machine reached something: "netboot", "kernel",
// "hello", "discovered", "order sent", "deployed", "root", "disk".
type Stamp struct {
	Time time.Time `json:"time"`
	What string    `json:"what"`
	Note string    `json:"note,omitempty"`
}

// ApproveRequest changes a machine's approval, name or boot set.
type ApproveRequest struct {
	Approval string `json:"approval,omitempty"` // default "approved"
	Name     string `json:"name,omitempty"`
	BootSet  string `json:"boot_set,omitempty"` // pin this one; "default" unpins
}

// PowerRequest switches a machine. Boot, with "on" or "cycle", is "pxe" or
// "disk": for the next start only.
type PowerRequest struct {
	Action string `json:"action"` // on, off, cycle, status
	Boot   string `json:"boot,omitempty"`
}

// PowerReply is the state afterwards.
type PowerReply struct {
	Power string `json:"power"`
}

// Image is a registered system image, kept by content.
type Image struct {
	Name        string    `json:"name"`
	SHA256      string    `json:"sha256"`
	Size        int64     `json:"size"`
	Format      string    `json:"format"`
	Compression string    `json:"compression,omitempty"`
	RawSize     int64     `json:"raw_size,omitempty"`
	Added       time.Time `json:"added"`
	Verified    time.Time `json:"verified,omitzero"` // last time the stored bytes were hashed
	Problem     string    `json:"problem,omitempty"` // found by the last verification
}

// ImageRequest registers the file Path on the server's machine. SHA256, if
// given, must match the file.
type ImageRequest struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"`
	Format string `json:"format,omitempty"` // default by content
}

// BootSet is a registered boot set.
type BootSet struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`     // content hash
	Kernel  string    `json:"kernel"` // version
	Arch    string    `json:"arch"`
	Size    int64     `json:"size"`
	Default bool      `json:"default"`
	Added   time.Time `json:"added"`
	// Generation counts the pushes of the name; 0: it was never pushed.
	Generation int `json:"generation,omitempty"`
}

// BootSetRequest registers the boot set in directory Path on the server's
// machine. The first one becomes the default.
type BootSetRequest struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Default bool   `json:"default,omitempty"`
}

// LoginCode opens the page in a browser once.
type LoginCode struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// Change tells a listener what to read again.
type Change struct {
	Machine string `json:"machine,omitempty"`
	Order   string `json:"order,omitempty"`
}

// Status is the server about itself.
type Status struct {
	Version   string            `json:"version"`
	Started   time.Time         `json:"started"`
	Listeners map[string]string `json:"listeners"` // dhcp, tftp, http, admin -> address
	Machines  int               `json:"machines"`
	Errors    map[string]int64  `json:"errors"` // counted garbage and refusals, by door: "dhcp", "tftp", "http", "ra", "agent", "admin"
}

// Problem is an error reply (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Error makes Problem an error.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

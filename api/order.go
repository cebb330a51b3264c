package api

import "time"

// Kinds of order. An agent that does not know a kind fails the order as "not
// supported".
const (
	KindDiscover = "discover" // gather facts again and report them
	KindDeploy   = "deploy"   // write a system image to a disk
	KindRoot     = "root"     // go on to the root named in the order
	KindReboot   = "reboot"
	KindPowerOff = "poweroff"
)

// States of an order. Queued, sent and running are open; the others final.
const (
	StateQueued    = "queued"
	StateSent      = "sent"
	StateRunning   = "running"
	StateDone      = "done"
	StateFailed    = "failed"
	StateCancelled = "cancelled"
)

// Order is one instruction to one machine. Orders are append-only: a change
// is a new attempt or a new order.
type Order struct {
	ID       string      `json:"id"`
	Machine  string      `json:"machine"` // id
	Kind     string      `json:"kind"`
	Deploy   *DeploySpec `json:"deploy,omitempty"`
	Root     *RootSpec   `json:"root,omitempty"`
	SpecHash string      `json:"spec_hash"` // sha256 of the canonical JSON of kind and spec
	State    string      `json:"state"`
	Attempt  int         `json:"attempt"`          // from 1 when sent
	CutAt    string      `json:"cut_at,omitempty"` // phase in which the attempt before this one was cut short, as far as was heard
	Created  time.Time   `json:"created"`
	Updated  time.Time   `json:"updated"`
	Message  string      `json:"message,omitempty"`  // the last one, for people
	Progress *Event      `json:"progress,omitempty"` // the newest progress event while it runs
	Result   *Result     `json:"result,omitempty"`
}

// OrderDetail is an order with its history.
type OrderDetail struct {
	Order
	Plan   *Plan   `json:"plan,omitempty"` // the newest attempt's
	Events []Event `json:"events"`         // without progress events, oldest first
}

// OrderRequest asks for an order.
type OrderRequest struct {
	Kind   string    `json:"kind"`
	Image  string    `json:"image,omitempty"`   // deploy and root: name of a registered image
	Target DiskHint  `json:"target,omitzero"`   // deploy
	Erase  bool      `json:"erase,omitempty"`   // deploy: data on the target may go
	DryRun bool      `json:"dry_run,omitempty"` // deploy: report the plan, write nothing
	After  string    `json:"after,omitempty"`   // deploy: "reboot" (default), "poweroff", "wait"
	Root   *RootSpec `json:"root,omitempty"`    // root: instead of Image
}

// Source is a thing to download. Nothing is believed without its hash.
type Source struct {
	URL         string `json:"url"`
	SHA256      string `json:"sha256"`                // of the bytes as downloaded, lower-case hex
	Size        int64  `json:"size"`                  // bytes as downloaded
	Format      string `json:"format"`                // "raw", "squashfs"
	Compression string `json:"compression,omitempty"` // "" or "zstd"
	RawSize     int64  `json:"raw_size,omitempty"`    // bytes after decompression
}

// DeploySpec says what to write where.
type DeploySpec struct {
	Image  Source   `json:"image"`
	Target DiskHint `json:"target,omitzero"`
	Erase  bool     `json:"erase,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"`
	After  string   `json:"after,omitempty"`
}

// DiskHint selects the target disk. All fields given must match. With none,
// the one fixed, writable disk large enough is taken; two such disks are an
// error that names both.
type DiskHint struct {
	Path    string `json:"path,omitempty"` // /dev/sda, /dev/disk/by-id/...
	Serial  string `json:"serial,omitempty"`
	WWN     string `json:"wwn,omitempty"`
	Model   string `json:"model,omitempty"`    // exact
	MinSize int64  `json:"min_size,omitempty"` // bytes
	MaxSize int64  `json:"max_size,omitempty"` // bytes
}

// RootSpec names a root to go on to without a reboot, as kernel command-line
// words (dracut's and ours): the same that a boot script would carry.
type RootSpec struct {
	Words []string `json:"words"` // e.g. root=live:http://..., bareroot.live.sha256=...
}

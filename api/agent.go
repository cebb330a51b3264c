package api

import "time"

// HelloRequest opens a session of one boot. Nonce is the one-boot secret of
// the machine's own segment; it can be exchanged once.
type HelloRequest struct {
	Protocol int      `json:"protocol"` // AgentProtocol of the caller
	Nonce    string   `json:"nonce"`
	BootID   string   `json:"boot_id"` // /proc/sys/kernel/random/boot_id
	Program  string   `json:"program"` // "bareroot-init"
	Version  string   `json:"version"`
	UUID     string   `json:"uuid,omitempty"` // SMBIOS system UUID, lower case
	MACs     []string `json:"macs"`           // lower case, colons; the one booted from first
	Kinds    []string `json:"kinds"`          // kinds of order this ramdisk can do
}

// HelloReply carries the session token, for the rest of this boot.
type HelloReply struct {
	Protocol   int       `json:"protocol"`
	Token      string    `json:"token"`
	Machine    string    `json:"machine"` // id
	Name       string    `json:"name"`
	ServerTime time.Time `json:"server_time"`
}

// EventBatch is a list of events, oldest first.
type EventBatch struct {
	Events []Event `json:"events"`
}

// EventReply names running orders that the agent must stop.
type EventReply struct {
	Cancelled []string `json:"cancelled,omitempty"`
}

// Kinds of event.
const (
	EventBoot     = "boot"     // no order: the boot reached Phase, or failed there (Failed)
	EventState    = "state"    // the order's State changed
	EventProgress = "progress" // Done of Total bytes in Phase
	EventPlan     = "plan"     // Plan, before the first destructive step
	EventNote     = "note"     // Message for the operator
)

// PhaseCheck is the phase of a deployment before its first write.
const PhaseCheck = "check"

// Event is one thing that happened on a machine. Those with an Order are
// idempotent by (Order, Attempt, Seq), others by (BootID, Seq).
type Event struct {
	Order   string    `json:"order,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	BootID  string    `json:"boot_id,omitempty"`
	Seq     int       `json:"seq"` // from 1, rising; init uses 1-999 of a boot, the agent from 1000 on
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	State   string    `json:"state,omitempty"` // of the order, with EventState
	Phase   string    `json:"phase,omitempty"` // stage of a boot, or step of an order ("download", "verify")
	Message string    `json:"message,omitempty"`
	Failed  bool      `json:"failed,omitempty"`
	Done    int64     `json:"done,omitempty"`  // bytes
	Total   int64     `json:"total,omitempty"` // bytes, 0 if unknown
	Rate    int64     `json:"rate,omitempty"`  // bytes per second
	Plan    *Plan     `json:"plan,omitempty"`
	Result  *Result   `json:"result,omitempty"` // with the final EventState
}

// Result is what an order came to.
type Result struct {
	BytesRead    int64              `json:"bytes_read,omitempty"`    // from the network
	BytesWritten int64              `json:"bytes_written,omitempty"` // to the disk, holes not counted
	ImageBytes   int64              `json:"image_bytes,omitempty"`   // the image's own size
	Disk         string             `json:"disk,omitempty"`          // stable id of the disk written
	Seconds      map[string]float64 `json:"seconds,omitempty"`       // per phase
}

package api

// Plan is everything destructive that an order will do, computed before the
// first step runs. What it does not name is never touched.
type Plan struct {
	Version int        `json:"version"` // 1
	Order   string     `json:"order,omitempty"`
	Disks   []PlanDisk `json:"disks"` // all disks of the machine, by ID
	Steps   []PlanStep `json:"steps"`
	Hash    string     `json:"hash"` // sha256 of the canonical JSON with Hash empty
}

// PlanDisk is a disk as found, and what becomes of it.
type PlanDisk struct {
	ID     string   `json:"id"` // stable: wwn-..., serial-..., else path-...
	Path   string   `json:"path"`
	Size   int64    `json:"size"`
	Found  []string `json:"found,omitempty"` // what is on it: "gpt partition table", "ext4 on partition 1 (label root)"
	Action string   `json:"action"`          // "untouched", "overwritten"
	Why    string   `json:"why,omitempty"`   // why chosen, or why not
}

// PlanStep is one operation, in order.
type PlanStep struct {
	Op     string `json:"op"` // "write-image", "move-gpt-backup", "reread-table"
	Disk   string `json:"disk"`
	Detail string `json:"detail"`
	Bytes  int64  `json:"bytes,omitempty"`
}

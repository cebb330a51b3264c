package api

import (
	"encoding/json"
	"time"
)

// Bounds of a push.
const (
	MaxManifest = 256 << 10 // bytes of manifest.json
	MaxFiles    = 64 << 20  // bytes of files.json
	MaxBlobs    = 64        // files of a boot set
	MaxBootSet  = 8 << 30   // bytes of a boot set
	KeepDefault = 3         // generations
	KeepMost    = 100
)

// PushRequest registers a boot set that is not on the server's machine as the
// newest generation of its name. The server answers with the files that it
// lacks; when they are there, the same request registers it. What the server
// has, from any boot set, is not sent again.
type PushRequest struct {
	Manifest json.RawMessage `json:"manifest"`        // manifest.json
	Files    *Blob           `json:"files,omitempty"` // files.json, if there is one
	Keep     int             `json:"keep,omitempty"`  // generations to keep with the new one; 0: KeepDefault
	Default  bool            `json:"default,omitempty"`
}

// Blob is a file by its content.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// PushReply names the files to send, or else the boot set as it is registered
// now.
type PushReply struct {
	Missing   []Blob   `json:"missing,omitempty"`
	BootSet   *BootSet `json:"boot_set,omitempty"`
	Unchanged bool     `json:"unchanged,omitempty"` // it was the current generation already
	Dropped   []int    `json:"dropped,omitempty"`   // generations that are no longer kept
}

// Generation is what a boot set's name stood for since a push.
type Generation struct {
	Number  int       `json:"number"`
	ID      string    `json:"id"`
	Kernel  string    `json:"kernel"`
	Arch    string    `json:"arch"`
	Size    int64     `json:"size"`
	Added   time.Time `json:"added"`
	Current bool      `json:"current"` // machines get this one
}

// RollbackRequest makes an older generation current.
type RollbackRequest struct {
	To int `json:"to,omitempty"` // 0: the one before the current
}

// BootFile says of a file of a boot set's ramdisk where it comes from and why
// it is in.
type BootFile struct {
	Path    string `json:"path"`
	Segment string `json:"segment"`
	Size    int64  `json:"size"`
	Mode    string `json:"mode"`
	SHA256  string `json:"sha256,omitempty"`
	Source  string `json:"source,omitempty"`
	Package string `json:"package,omitempty"`
	Why     string `json:"why"`
}

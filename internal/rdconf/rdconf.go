// Package rdconf is the ramdisk's configuration: one versioned JSON schema,
// written by build and serve, read by bareroot-init and bareroot-agent; and
// the small files by which the two hand over to each other in /run/bareroot.
//
// The builder writes Vendor, the server's per-machine segment writes Path;
// where both set a field, Path wins.
package rdconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bareroot/api"
)

// Version is the schema's major version. A newer one is a clear failure.
const Version = 1

// Paths in the ramdisk.
const (
	Vendor      = "/usr/lib/bareroot/config.json"
	Path        = "/etc/bareroot/config.json"
	SessionPath = "/run/bareroot/session.json"
	OutcomePath = "/run/bareroot/outcome.json"
	LogPath     = "/run/bareroot/boot.log"
	SSHPath     = "/run/bareroot/ssh.json" // an SSH, from init for the agent
	AgentPath   = "/usr/bin/bareroot-agent"
	AgentPacked = AgentPath + ".zst" // which init unpacks to AgentPath when it is needed
)

// Config is the document.
type Config struct {
	Version int      `json:"version"`
	Role    string   `json:"role,omitempty"`    // root (default), discover, deploy, rescue
	Cmdline string   `json:"cmdline,omitempty"` // kernel words, weaker than all others
	Locked  []string `json:"locked,omitempty"`  // keys that no stronger source may override
	Modules []string `json:"modules,omitempty"` // loaded before devices are probed
	Server  *Server  `json:"server,omitempty"`
	SSH     *SSH     `json:"ssh,omitempty"` // an ssh server runs while the ramdisk does
}

// SSH is who may log in to the ramdisk, and by which key it is known.
type SSH struct {
	Keys    []string `json:"authorized_keys,omitempty"` // lines as in authorized_keys
	HostKey string   `json:"host_key,omitempty"`        // private, PEM; "" one is made for each boot
	Port    int      `json:"port,omitempty"`            // 22
}

// Server is the machine's own server and this boot's secret.
type Server struct {
	URL           string `json:"url"` // http://10.0.0.1:8080, no path
	Nonce         string `json:"nonce"`
	Machine       string `json:"machine,omitempty"`
	CAFingerprint string `json:"ca_fingerprint,omitempty"` // sha256 hex, with https
	BootMAC       string `json:"boot_mac,omitempty"`       // the NIC that netbooted
}

// Session is what bareroot-init got for the nonce. It lives in tmpfs, mode 0600.
type Session struct {
	Server  Server `json:"server"`
	Token   string `json:"token"`
	Machine string `json:"machine"`
	Name    string `json:"name"`
	BootID  string `json:"boot_id"`
}

// Actions of an Outcome.
const (
	ActionReboot   = "reboot"
	ActionPowerOff = "poweroff"
	ActionRoot     = "root"  // go on to the root that Words name
	ActionShell    = "shell" // the operator must look
)

// Outcome is what bareroot-agent leaves behind when it ends: what
// bareroot-init does next.
type Outcome struct {
	Action string     `json:"action"`
	Reason string     `json:"reason"`
	Words  []string   `json:"words,omitempty"`
	Order  *api.Order `json:"order,omitempty"` // the root order being carried out, for init's report
}

// Parse reads a document. Unknown fields are returned as notices.
func Parse(b []byte) (c Config, notices []string, err error) {
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, nil, fmt.Errorf("parse ramdisk configuration: %w", err)
	}
	if c.Version == 0 || c.Version > Version {
		return Config{}, nil, fmt.Errorf("parse ramdisk configuration: version %d, this program knows 1 to %d; build the ramdisk and the server's segments with the same bareroot", c.Version, Version)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return Config{}, nil, fmt.Errorf("parse ramdisk configuration: %w", err)
	}
	for _, k := range unknown(all) {
		notices = append(notices, fmt.Sprintf("ramdisk configuration: field %q is not known here and ignored", k))
	}
	return c, notices, nil
}

func unknown(all map[string]json.RawMessage) []string {
	var out []string
	for k := range all {
		switch k {
		case "version", "role", "cmdline", "locked", "modules", "server", "ssh":
		default:
			out = append(out, k)
		}
	}
	return out
}

// Load reads Vendor and Path below root ("/" in the ramdisk) and merges them.
// A missing file is not an error.
func Load(root string) (Config, []string, error) {
	out := Config{Version: Version}
	var notices []string
	for _, p := range []string{Vendor, Path} {
		b, err := os.ReadFile(filepath.Join(root, p))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return out, notices, fmt.Errorf("read ramdisk configuration: %w", err)
		}
		c, n, err := Parse(b)
		notices = append(notices, n...)
		if err != nil {
			return out, notices, fmt.Errorf("%s: %w", p, err)
		}
		out = out.merge(c)
	}
	return out, notices, nil
}

func (c Config) merge(over Config) Config {
	if over.Role != "" {
		c.Role = over.Role
	}
	if over.Cmdline != "" {
		c.Cmdline += " " + over.Cmdline
	}
	c.Locked = append(c.Locked, over.Locked...)
	c.Modules = append(c.Modules, over.Modules...)
	if over.Server != nil {
		c.Server = over.Server
	}
	if over.SSH != nil {
		c.SSH = over.SSH.over(c.SSH)
	}
	return c
}

// over adds the machine's own settings to the builder's.
func (s *SSH) over(base *SSH) *SSH {
	if base == nil {
		return s
	}
	out := *base
	out.Keys = append(out.Keys[:len(out.Keys):len(out.Keys)], s.Keys...)
	if s.HostKey != "" {
		out.HostKey = s.HostKey
	}
	if s.Port != 0 {
		out.Port = s.Port
	}
	return &out
}

// WriteFile writes v as JSON to path, mode 0600, by temporary file and rename.
func WriteFile(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(tmp, path)
}

// ReadFile reads JSON from path into v.
func ReadFile(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

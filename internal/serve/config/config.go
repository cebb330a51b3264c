// Package config is the server's configuration file: YAML, every field known,
// every error with the file's line. It says nothing about the machine it runs
// on (do the interfaces exist, are the ports free): that is package serve's
// check, and the verb doctor's.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// DHCP modes of an interface.
const (
	DHCPOff           = "off"
	DHCPProxy         = "proxy"         // beside the network's own server: boot files, never addresses
	DHCPAuthoritative = "authoritative" // the only server there: addresses of a named range too
)

// None switches a listener off.
const None = "none"

// Defaults.
const (
	DefaultState    = "/var/lib/bareroot"
	DefaultHTTP     = ":8080"
	DefaultAdmin    = "127.0.0.1:8081"
	DefaultPrograms = "/usr/lib/ipxe"
	DefaultLease    = time.Hour
)

// Config is the document. packaging/bareroot.yaml explains each field.
type Config struct {
	StateDir     string      `yaml:"state_dir" json:"state_dir"`
	HTTP         string      `yaml:"http" json:"http"`                   // provisioning door; no host = the addresses of Interfaces
	BaseURL      string      `yaml:"base_url" json:"base_url,omitempty"` // of the provisioning door as machines see it
	BootPrograms string      `yaml:"boot_programs" json:"boot_programs"`
	Interfaces   []Interface `yaml:"interfaces" json:"interfaces,omitempty"`
	Subnets      []Subnet    `yaml:"subnets" json:"subnets,omitempty"`
	Admin        Admin       `yaml:"admin" json:"admin"`
	Power        []Power     `yaml:"power" json:"power,omitempty"`
	LogLevel     string      `yaml:"log_level" json:"log_level"` // debug, info, warn, error
}

// Interface is a network where machines boot.
type Interface struct {
	Name    string        `yaml:"name" json:"name"`
	DHCP    string        `yaml:"dhcp" json:"dhcp"`
	Address string        `yaml:"address" json:"address,omitempty"` // of ours there; default the interface's first IPv4 address
	Range   string        `yaml:"range" json:"range,omitempty"`     // FIRST-LAST, with authoritative
	Lease   time.Duration `yaml:"lease" json:"lease,omitempty"`
	Router  string        `yaml:"router" json:"router,omitempty"`
	DNS     []string      `yaml:"dns" json:"dns,omitempty"`
	TFTP    *bool         `yaml:"tftp" json:"tftp,omitempty"` // default: yes, unless DHCP is off
	RA      bool          `yaml:"router_advertisement" json:"router_advertisement,omitempty"`
}

// Subnet is what all machines that boot from addresses of it are told, in the
// segment of each. The subnet with the longest prefix counts alone; what a
// machine is told besides is stronger.
type Subnet struct {
	Prefix  string   `yaml:"prefix" json:"prefix"`
	Cmdline string   `yaml:"cmdline" json:"cmdline,omitempty"`   // bareroot's words; the machine's and the kernel's command line are stronger
	Locked  []string `yaml:"locked" json:"locked,omitempty"`     // names that the kernel command line does not change
	Modules []string `yaml:"modules" json:"modules,omitempty"`   // loaded before devices are probed
	SSHKeys []string `yaml:"ssh_keys" json:"ssh_keys,omitempty"` // who may log in to ramdisks: lines as in authorized_keys
}

// Net is Prefix.
func (s Subnet) Net() (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s.Prefix)
	if err != nil {
		return p, fmt.Errorf("%q is no subnet; write it as 10.1.0.0/16", s.Prefix)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%s has bits set behind its prefix; the subnet is %s", s.Prefix, p.Masked())
	}
	return p, nil
}

// ServesTFTP says whether boot programs are served there.
func (i Interface) ServesTFTP() bool {
	if i.TFTP != nil {
		return *i.TFTP
	}
	return i.DHCP != DHCPOff
}

// First and last address of Range.
func (i Interface) Addrs() (first, last netip.Addr, err error) {
	a, b, ok := strings.Cut(i.Range, "-")
	if !ok {
		return first, last, fmt.Errorf("%q is no range; write FIRST-LAST, for example 10.0.0.100-10.0.0.200", i.Range)
	}
	if first, err = ipv4(strings.TrimSpace(a)); err != nil {
		return first, last, err
	}
	if last, err = ipv4(strings.TrimSpace(b)); err != nil {
		return first, last, err
	}
	f, l := first.As4(), last.As4()
	if last.Less(first) {
		return first, last, fmt.Errorf("the range %s ends before it begins", i.Range)
	}
	if f[0] != l[0] || f[1] != l[1] {
		return first, last, fmt.Errorf("the range %s has more than 65536 addresses", i.Range)
	}
	return first, last, nil
}

// Admin is the operator's door.
type Admin struct {
	Listen    string `yaml:"listen" json:"listen"`         // TCP, or "none"
	Socket    string `yaml:"socket" json:"socket"`         // unix socket; default STATE/admin.sock
	TokenFile string `yaml:"token_file" json:"token_file"` // default STATE/admin.token
	PublicURL string `yaml:"public_url" json:"public_url,omitempty"`
	TLSCert   string `yaml:"tls_cert" json:"tls_cert,omitempty"`
	TLSKey    string `yaml:"tls_key" json:"tls_key,omitempty"`
}

// Power is a Redfish service.
type Power struct {
	Name         string `yaml:"name" json:"name,omitempty"`
	URL          string `yaml:"url" json:"url"`
	Username     string `yaml:"username" json:"username,omitempty"`
	PasswordFile string `yaml:"password_file" json:"password_file,omitempty"`
	Insecure     bool   `yaml:"insecure" json:"insecure,omitempty"`
}

// Default is the configuration without a file: no interface is touched.
func Default() *Config {
	c := &Config{}
	c.complete()
	return c
}

// Load reads the file. Overrides, if not nil, changes what was read before
// defaults are filled in and the whole is checked.
func Load(file string, overrides func(*Config)) (*Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(file, b, overrides)
}

// Parse is Load of the bytes of file.
func Parse(file string, b []byte, overrides func(*Config)) (*Config, error) {
	c := &Config{}
	var root yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlError(file, err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document", file)
	}
	if err := yaml.Unmarshal(b, &root); err != nil {
		return nil, yamlError(file, err)
	}
	if overrides != nil {
		overrides(c)
	}
	c.complete()
	return c, c.check(func(err error, path ...any) error {
		if n := line(&root, path); n > 0 {
			return fmt.Errorf("%s:%d: %s: %w", file, n, dotted(path), err)
		}
		return fmt.Errorf("%s: %s: %w", file, dotted(path), err)
	})
}

// Check is what Parse does for a configuration that came from no file.
func (c *Config) Check() error {
	c.complete()
	return c.check(func(err error, path ...any) error { return fmt.Errorf("configuration: %s: %w", dotted(path), err) })
}

func (c *Config) complete() {
	set(&c.StateDir, DefaultState)
	set(&c.HTTP, DefaultHTTP)
	set(&c.BootPrograms, DefaultPrograms)
	set(&c.LogLevel, "info")
	set(&c.Admin.Listen, DefaultAdmin)
	set(&c.Admin.Socket, filepath.Join(c.StateDir, "admin.sock"))
	set(&c.Admin.TokenFile, filepath.Join(c.StateDir, "admin.token"))
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	for i := range c.Interfaces {
		set(&c.Interfaces[i].DHCP, DHCPProxy)
		if c.Interfaces[i].DHCP == DHCPAuthoritative && c.Interfaces[i].Lease == 0 {
			c.Interfaces[i].Lease = DefaultLease
		}
	}
}

func set(s *string, v string) {
	if *s == "" {
		*s = v
	}
}

func ipv4(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%q is no IPv4 address of a host", s)
	}
	return a, nil
}

func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is no address; write HOST:PORT or :PORT", s)
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%q: the host must be an IP address", s)
		}
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n < 0 {
		return fmt.Errorf("%q: %q is no port", s, port)
	}
	return nil
}

func webURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(s, " ${}#") {
		return fmt.Errorf("%q must be http://HOST:PORT or https://HOST:PORT without a path", s)
	}
	return nil
}

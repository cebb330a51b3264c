package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"

	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/qemu"
)

// Config is a lab, as written in lab.yaml.
type Config struct {
	Network  Network     `yaml:"network" json:"network"`
	Redfish  Redfish     `yaml:"redfish" json:"redfish"`
	Machines []qemu.Spec `yaml:"machines" json:"machines"`
	Services []Service   `yaml:"services" json:"services"`

	Dir string `yaml:"-" json:"dir"` // services run here; the directory of lab.yaml
}

// Network is the private network of the lab.
type Network struct {
	Bridge    string         `yaml:"bridge" json:"bridge"`
	Addresses []netip.Prefix `yaml:"addresses" json:"addresses"` // of the lab's own end
}

// Redfish is the service that switches the machines. Inside the lab it is at
// 127.0.0.1:8000.
type Redfish struct {
	Listen string `yaml:"listen" json:"listen"` // outside; "" = 127.0.0.1 and any free port
	User   string `yaml:"user" json:"user"`
}

// Service is a program that runs inside the lab's network, such as
// "bareroot serve". Its listeners are opened outside and passed the systemd
// way (LISTEN_FDS, LISTEN_FDNAMES).
type Service struct {
	Name    string            `yaml:"name" json:"name"`
	Command []string          `yaml:"command" json:"command"`
	Env     map[string]string `yaml:"env" json:"env"`
	Listen  map[string]string `yaml:"listen" json:"listen"` // name: host:port
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// ReadConfig reads lab.yaml.
func ReadConfig(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read lab configuration: %w", err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.Dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// ParseConfig reads the text of a lab.yaml. Unknown words are errors.
func ParseConfig(b []byte) (Config, error) {
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, err
	}
	if err := c.Fill(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Fill sets defaults and checks.
func (c *Config) Fill() error {
	def := netns.DefaultBridge()
	if c.Network.Bridge == "" {
		c.Network.Bridge = def.Name
	}
	if len(c.Network.Bridge) > 15 {
		return fmt.Errorf("network: bridge %q: at most 15 characters", c.Network.Bridge)
	}
	if c.Network.Addresses == nil {
		c.Network.Addresses = def.Addrs
	}
	if c.Redfish.Listen == "" {
		c.Redfish.Listen = "127.0.0.1:0"
	}
	if c.Redfish.User == "" {
		c.Redfish.User = "lab"
	}
	names, macs := map[string]bool{}, map[string]string{}
	for i := range c.Machines {
		m := &c.Machines[i]
		if err := m.Fill(); err != nil {
			return err
		}
		if names[m.Name] {
			return fmt.Errorf("two machines are named %s", m.Name)
		}
		names[m.Name] = true
		for _, n := range m.NICs {
			if other, ok := macs[n.MAC]; ok {
				return fmt.Errorf("machines %s and %s share the MAC address %s", other, m.Name, n.MAC)
			}
			macs[n.MAC] = m.Name
		}
	}
	services := map[string]bool{}
	for _, s := range c.Services {
		if !serviceName.MatchString(s.Name) || services[s.Name] {
			return fmt.Errorf("service name %q is taken, empty or has other characters than letters, digits, - and _", s.Name)
		}
		services[s.Name] = true
		if len(s.Command) == 0 {
			return fmt.Errorf("service %s has no command", s.Name)
		}
		for l := range s.Listen {
			if !serviceName.MatchString(l) {
				return fmt.Errorf("service %s: listener name %q: use letters, digits, - and _", s.Name, l)
			}
		}
	}
	return nil
}

func (c Config) bridge() netns.Bridge {
	return netns.Bridge{Name: c.Network.Bridge, Addrs: c.Network.Addresses}
}

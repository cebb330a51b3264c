package power

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config is what a Manager needs. Without services it knows no machine.
type Config struct {
	Services  []Service
	Inventory Inventory
	Interval  time.Duration // between polls; default a minute
	Settle    time.Duration // how long Do waits for the new state; default 30 s
	Log       *slog.Logger  // default: discard
}

// Service is one management service.
type Service struct {
	Name         string // for logs; default the URL's host
	URL          string // https://bmc.example/ ; the Redfish root is below it
	Username     string // empty: no authentication
	PasswordFile string // read at each connection, so that it can be changed
	Insecure     bool   // do not verify the TLS certificate
	Driver       Driver // instead of Redfish at URL; for tests and other kinds
}

// check completes s or says what is wrong with it.
func (s *Service) check() error {
	if s.Driver != nil {
		if s.Name == "" {
			return fmt.Errorf("power service: a driver needs a name")
		}
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return fmt.Errorf("power service %q: %w", s.URL, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("power service %q: not an http or https URL; write https://HOST[:PORT]", s.URL)
	}
	if u.User != nil {
		return fmt.Errorf("power service %s: the URL carries a user name; use username and password_file", u.Redacted())
	}
	if s.Name == "" {
		s.Name = u.Host
	}
	if s.Username == "" && s.PasswordFile != "" {
		return fmt.Errorf("power service %s: a password file without a username", s.Name)
	}
	if s.Username != "" {
		if s.PasswordFile == "" {
			return fmt.Errorf("power service %s: username without a password file", s.Name)
		}
		if _, err := s.password(); err != nil {
			return err
		}
	}
	return nil
}

// password reads the password file, without its line end.
func (s *Service) password() (string, error) {
	b, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("power service %s: read password: %w", s.Name, err)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", fmt.Errorf("power service %s: password file %s is empty", s.Name, s.PasswordFile)
	}
	return p, nil
}

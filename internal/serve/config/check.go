package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// place words err as the fault of the value at path.
type place func(err error, path ...any) error

// check returns all faults, joined.
func (c *Config) check(at place) error {
	var errs []error
	bad := func(err error, path ...any) {
		if err != nil {
			errs = append(errs, at(err, path...))
		}
	}
	bad(hostPort(c.HTTP), "http")
	if c.BaseURL != "" {
		bad(webURL(c.BaseURL), "base_url")
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		bad(fmt.Errorf("%q is none of debug, info, warn, error", c.LogLevel), "log_level")
	}
	c.Admin.check(bad)
	seen := map[string]bool{}
	for i, n := range c.Interfaces {
		if seen[n.Name] {
			bad(fmt.Errorf("interface %q is listed twice", n.Name), "interfaces", i, "name")
		}
		seen[n.Name] = true
		n.check(func(err error, key string) { bad(err, "interfaces", i, key) })
	}
	nets := map[netip.Prefix]bool{}
	for i, n := range c.Subnets {
		p, err := n.Net()
		if err == nil && nets[p] {
			err = fmt.Errorf("subnet %s is listed twice", p)
		}
		bad(err, "subnets", i, "prefix")
		nets[p] = true
		if strings.ContainsFunc(n.Cmdline, unicode.IsControl) {
			bad(errors.New("it must be one line"), "subnets", i, "cmdline")
		}
		for _, k := range n.SSHKeys {
			// Options are not known to the ramdisk's server; it would pass the line over.
			if f := strings.Fields(k); len(f) < 2 || strings.ContainsFunc(k, unicode.IsControl) || !strings.HasPrefix(f[0], "ssh-") && !strings.HasPrefix(f[0], "ecdsa-") && !strings.HasPrefix(f[0], "sk-") {
				bad(fmt.Errorf("%.40q is no line of authorized_keys without options", k), "subnets", i, "ssh_keys")
			}
		}
		for key, words := range map[string][]string{"locked": n.Locked, "modules": n.Modules} {
			for _, w := range words {
				if w == "" || strings.ContainsAny(w, "= \t\n/\"") {
					bad(fmt.Errorf("%q is no name", w), "subnets", i, key)
				}
			}
		}
	}
	for i, p := range c.Power {
		if u, err := url.Parse(p.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			bad(fmt.Errorf("%q must be http://HOST[:PORT] or https://HOST[:PORT]; the user name goes into username", redact(p.URL)), "power", i, "url")
		}
		if (p.Username == "") != (p.PasswordFile == "") {
			bad(errors.New("username and password_file go together"), "power", i, "username")
		}
	}
	return errors.Join(errs...)
}

// redact keeps a password written into a URL out of messages.
func redact(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "that URL"
}

func (a Admin) check(bad func(error, ...any)) {
	if (a.TLSCert == "") != (a.TLSKey == "") {
		bad(errors.New("tls_cert and tls_key go together"), "admin", "tls_cert")
	}
	if a.PublicURL != "" {
		bad(webURL(strings.TrimSuffix(a.PublicURL, "/")), "admin", "public_url")
	}
	if len(a.Socket) > 100 {
		bad(fmt.Errorf("the path is %d bytes long, the system takes about 100; choose a shorter one", len(a.Socket)), "admin", "socket")
	}
	if a.Listen == None {
		return
	}
	if err := hostPort(a.Listen); err != nil {
		bad(err, "admin", "listen")
		return
	}
	ap, err := netip.ParseAddrPort(a.Listen)
	local := strings.HasPrefix(a.Listen, "localhost:") || err == nil && ap.Addr().IsLoopback()
	if !local && a.TLSCert == "" {
		bad(fmt.Errorf("%s is reachable from other machines: set tls_cert and tls_key, or listen on 127.0.0.1", a.Listen), "admin", "listen")
	}
}

var ifaceName = regexp.MustCompile(`^[^/\s:]{1,15}$`)

func (n Interface) check(bad func(error, string)) {
	if !ifaceName.MatchString(n.Name) {
		bad(fmt.Errorf("%q is no name of a network interface", n.Name), "name")
	}
	if n.Address != "" {
		_, err := ipv4(n.Address)
		bad(err, "address")
	}
	switch n.DHCP {
	case DHCPOff, DHCPProxy:
		for key, set := range map[string]bool{"range": n.Range != "", "router": n.Router != "", "dns": len(n.DNS) > 0, "lease": n.Lease != 0} {
			if set {
				bad(fmt.Errorf("only with dhcp: %s", DHCPAuthoritative), key)
			}
		}
	case DHCPAuthoritative:
		n.checkAuthoritative(bad)
	default:
		bad(fmt.Errorf("%q is none of %s, %s, %s", n.DHCP, DHCPOff, DHCPProxy, DHCPAuthoritative), "dhcp")
	}
}

func (n Interface) checkAuthoritative(bad func(error, string)) {
	if n.Range == "" {
		bad(errors.New("an authoritative DHCP server needs a range of addresses; write range: FIRST-LAST"), "dhcp")
	} else {
		_, _, err := n.Addrs()
		bad(err, "range")
	}
	if n.Lease < time.Minute {
		bad(fmt.Errorf("%s is shorter than a minute", n.Lease), "lease")
	}
	if n.Router != "" {
		_, err := ipv4(n.Router)
		bad(err, "router")
	}
	for _, d := range n.DNS {
		_, err := ipv4(d)
		bad(err, "dns")
	}
}

// line finds where the value at path is written, or its nearest parent; 0 if
// nothing of it is.
func line(n *yaml.Node, path []any) int {
	if n.Kind == yaml.DocumentNode {
		if len(n.Content) == 0 {
			return 0
		}
		n = n.Content[0]
	}
	best := 0
	for _, step := range path {
		next := child(n, step)
		if next == nil {
			break
		}
		n, best = next, next.Line
	}
	return best
}

func child(n *yaml.Node, step any) *yaml.Node {
	switch s := step.(type) {
	case string:
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == s {
					return n.Content[i+1]
				}
			}
		}
	case int:
		if n.Kind == yaml.SequenceNode && s < len(n.Content) {
			return n.Content[s]
		}
	}
	return nil
}

func dotted(path []any) string {
	var b strings.Builder
	for _, p := range path {
		switch p := p.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", p)
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(p)
		}
	}
	return b.String()
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// yamlError words the library's errors as FILE:LINE: what.
func yamlError(file string, err error) error {
	var lines []string
	var te *yaml.TypeError
	if errors.As(err, &te) {
		lines = te.Errors
	} else {
		lines = []string{err.Error()}
	}
	var errs []error
	for _, l := range lines {
		l = unknownField.ReplaceAllString(l, "field $1 is not known")
		if m := yamlLine.FindStringSubmatch(l); m != nil {
			errs = append(errs, fmt.Errorf("%s:%s: %s", file, m[1], m[2]))
		} else {
			errs = append(errs, fmt.Errorf("%s: %s", file, strings.TrimPrefix(l, "yaml: ")))
		}
	}
	return errors.Join(errs...)
}

package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/serve/config"
	"bareroot/internal/serve/netboot"
	"bareroot/internal/serve/power"
)

// Check says, in lines for people, what Run would do with cfg on this
// machine. It opens no port and sends nothing.
func Check(cfg *Config) ([]string, error) {
	var lines []string
	var errs []error
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	say("state in %s", cfg.StateDir)
	if err := checkState(cfg.StateDir); err != nil {
		errs = append(errs, err)
	}

	var nets []network
	for _, c := range cfg.Interfaces {
		n, err := findNetwork(c)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		nets = append(nets, n)
		switch n.DHCP {
		case config.DHCPAuthoritative:
			say("interface %s, our address %s: DHCP authoritative, addresses %s for %s, after looking for other DHCP servers", n.Name, n.prefix, n.Range, n.Lease)
		case config.DHCPProxy:
			say("interface %s, our address %s: proxyDHCP, boot files only, no addresses", n.Name, n.prefix)
		default:
			say("interface %s, our address %s: no DHCP", n.Name, n.prefix)
		}
		if n.RA {
			say("interface %s: IPv6 router solicitations answered with \"no router\"", n.Name)
		}
	}
	if len(cfg.Interfaces) > 0 {
		p, err := netboot.FindPrograms(cfg.BootPrograms)
		if err != nil {
			errs = append(errs, err)
		} else {
			var names []string
			for n := range p.Files {
				names = append(names, n)
			}
			sort.Strings(names)
			say("boot programs by TFTP: %s from %s", strings.Join(names, ", "), cfg.BootPrograms)
		}
	} else {
		say("no interface is named: DHCP and TFTP are off; machines get here by another server's boot script, or not at all")
	}

	if base, err := checkBase(cfg, nets); err == nil {
		say("provisioning door on %s, for machines %s", cfg.HTTP, base)
	} else if len(nets) == len(cfg.Interfaces) { // else the reason is named already
		errs = append(errs, err)
	}
	say("operator's door on %s and %s", cfg.Admin.Socket, cfg.Admin.Listen)

	var services []power.Service
	for _, p := range cfg.Power {
		services = append(services, power.Service{Name: p.Name, URL: p.URL, Username: p.Username, PasswordFile: p.PasswordFile, Insecure: p.Insecure})
		say("power service %s", p.URL)
	}
	if _, err := power.New(power.Config{Services: services}); err != nil {
		errs = append(errs, err)
	}
	return lines, errors.Join(errs...)
}

// checkBase is baseURL before any listener is open.
func checkBase(cfg *Config, nets []network) (string, error) {
	host, port, err := net.SplitHostPort(cfg.HTTP)
	if err != nil {
		return "", fmt.Errorf("http: %w", err)
	}
	switch ip := net.ParseIP(host); {
	case cfg.BaseURL != "":
		return cfg.BaseURL, nil
	case host != "" && (ip == nil || !ip.IsUnspecified()):
		return "http://" + cfg.HTTP, nil
	case len(nets) > 0:
		return "http://" + net.JoinHostPort(nets[0].addr.String(), port), nil
	}
	return baseURL(cfg, nil, nil)
}

// checkState says whether the state directory can be used or made.
func checkState(dir string) error {
	at := dir
	for {
		st, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			at = filepath.Dir(at)
			continue
		case err != nil:
			return fmt.Errorf("state_dir %s: %w", dir, err)
		case !st.IsDir():
			return fmt.Errorf("state_dir %s: %s is not a directory", dir, at)
		}
		if err := unix.Access(at, unix.W_OK); err != nil {
			return fmt.Errorf("state_dir %s: %s may not be written: %w", dir, at, err)
		}
		return nil
	}
}

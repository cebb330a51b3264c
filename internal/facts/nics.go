package facts

import (
	"net"
	"os"
	"path/filepath"
	"strings"

	"bareroot/api"
)

// nics lists network interfaces that belong to a device.
func (g *Gatherer) nics() []api.NIC {
	out := []api.NIC{}
	const base = "/sys/class/net/"
	for _, n := range g.list(base) {
		dir := base + n
		if _, err := os.Lstat(g.path(dir + "/device")); err != nil {
			continue // lo, bridges, bonds, vlans
		}
		nic := api.NIC{
			Name: n, MAC: strings.ToLower(g.read(dir + "/address")),
			Driver: g.link(dir + "/device/driver"), Carrier: g.read(dir+"/carrier") == "1",
		}
		if real, err := filepath.EvalSymlinks(g.path(dir + "/device")); err == nil {
			if p := pciPath(real); p != "" {
				nic.PCI = p
			}
		}
		if s := g.number(dir + "/speed"); s > 0 {
			nic.Speed = int(s)
		}
		nic.Booted = nic.MAC != "" && nic.MAC == strings.ToLower(g.BootMAC)
		if g.path("/") == "/" { // addresses are the running kernel's
			nic.IPs = addresses(n)
		}
		out = append(out, nic)
	}
	return out
}

func addresses(name string) []string {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	as, err := i.Addrs()
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range as {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLinkLocalUnicast() {
			out = append(out, a.String())
		}
	}
	return out
}

// pciPath is the last PCI address in a sysfs path.
func pciPath(p string) string {
	last := ""
	for _, c := range strings.Split(p, "/") {
		if isPCI(c) {
			last = c
		}
	}
	return last
}

// isPCI matches 0000:00:1f.2.
func isPCI(s string) bool {
	if len(s) != 12 || s[4] != ':' || s[7] != ':' || s[10] != '.' {
		return false
	}
	for i, c := range s {
		if i != 4 && i != 7 && i != 10 && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

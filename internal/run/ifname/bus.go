package ifname

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pci names an interface by the PCI function dir. What distinguishes several
// interfaces of one function, the port, is read from the interface.
func (d device) pci(dir string) (onboard, slot, path string, err error) {
	domain, bus, dev, fn, ok := address(filepath.Base(dir))
	if !ok {
		return "", "", "", nil // nothing to name it by
	}
	if attr(dir, "ari_enabled") == "1" {
		fn += 8 * dev // with ARI both numbers are one
	}
	many, err := multifunction(dir)
	if err != nil {
		return "", "", "", err
	}
	tail := d.port()
	if idx := onboardIndex(dir); idx != "" {
		onboard = "o" + idx + tail
	}
	domainPart, fnPart := "", ""
	if domain > 0 {
		domainPart = fmt.Sprintf("P%d", domain)
	}
	if fn > 0 || many {
		fnPart = fmt.Sprintf("f%d", fn)
	}
	path = fmt.Sprintf("%sp%ds%d%s%s", domainPart, bus, dev, fnPart, tail)
	if num := d.hotplugSlot(dir, many); num > 0 {
		slot = fmt.Sprintf("%ss%d%s%s", domainPart, num, fnPart, tail)
	}
	return onboard, slot, path, nil
}

// address reads a PCI address, DOMAIN:BUS:DEVICE.FUNCTION in hexadecimal.
func address(s string) (domain, bus, dev, fn uint64, ok bool) {
	head, f, _ := strings.Cut(s, ".")
	parts := append(strings.Split(head, ":"), f)
	if len(parts) != 4 {
		return 0, 0, 0, 0, false
	}
	var n [4]uint64
	for i, p := range parts {
		var err error
		if n[i], err = strconv.ParseUint(p, 16, 32); err != nil {
			return 0, 0, 0, 0, false
		}
	}
	return n[0], n[1], n[2], n[3], true
}

// port tells interfaces of one PCI function apart.
func (d device) port() string {
	if name := attr(d.net, "phys_port_name"); name != "" {
		return "n" + name
	}
	port := attr(d.net, "dev_port")
	if num, err := strconv.ParseUint(port, 10, 32); (err != nil || num == 0) && attr(d.net, "type") == "32" {
		// Older kernels have IP over InfiniBand's port there, in hexadecimal.
		if num, err := strconv.ParseUint(attr(d.net, "dev_id"), 0, 32); err == nil && num > 0 {
			return fmt.Sprintf("d%d", num)
		}
	}
	if num, err := strconv.ParseUint(port, 10, 32); err == nil && num > 0 {
		return fmt.Sprintf("d%d", num)
	}
	return ""
}

// onboardIndex is the firmware's number of a PCI device: ACPI's, else SMBIOS
// type 41's. Numbers that some firmware makes up are far too high.
func onboardIndex(dir string) string {
	text := attr(dir, "acpi_index")
	if text == "" {
		text = attr(dir, "index")
	}
	idx, err := strconv.ParseUint(text, 0, 64)
	if err != nil || idx > 1<<16-1 {
		return ""
	}
	return strconv.FormatUint(idx, 10)
}

// multifunction reads bit 7 of the header type in PCI's configuration space.
func multifunction(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, "config"))
	if err != nil {
		return false, nil // then its number alone counts
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 0x0e); err != nil {
		return false, fmt.Errorf("read PCI configuration: %w", err)
	}
	return b[0]&0x80 != 0, nil
}

// hotplugSlot is the number of the slot that the device or a bridge above it
// is in, 0 for none. The number of a bridge's slot would be that of all
// devices behind it, so it counts only where the function tells them apart.
func (d device) hotplugSlot(dir string, many bool) uint64 {
	slots, err := os.ReadDir(filepath.Join(d.sys, "bus/pci/slots"))
	if err != nil {
		return 0
	}
	for at := dir; at != ""; at = ancestor(d.sys, up(d.sys, at), "pci", "") {
		for _, s := range slots {
			num, err := strconv.ParseUint(s.Name(), 10, 32)
			if err != nil || num == 0 {
				continue
			}
			// The slot's address has no function.
			addr := attr(filepath.Join(d.sys, "bus/pci/slots", s.Name()), "address")
			if addr == "" || !strings.HasPrefix(filepath.Base(at), addr) {
				continue
			}
			if bridge(at) && !many {
				return 0
			}
			return num
		}
	}
	return 0
}

// bridge says whether a PCI device's subclass is that of a bridge.
func bridge(dir string) bool {
	_, sub, ok := strings.Cut(attr(dir, "modalias"), "bc06sc")
	return ok && strings.HasPrefix(sub, "04")
}

// virtual finds the number of virtual function vf of a physical one.
func virtual(phys, vf string) (string, error) {
	links, err := filepath.Glob(filepath.Join(phys, "virtfn*"))
	if err != nil {
		return "", err
	}
	for _, l := range links {
		num := strings.TrimPrefix(filepath.Base(l), "virtfn")
		if to, err := filepath.EvalSymlinks(l); err == nil && to == vf && digits(num) {
			return num, nil
		}
	}
	return "", fmt.Errorf("%s does not list its virtual function %s", filepath.Base(phys), filepath.Base(vf))
}

// usb is the chain of ports of a USB interface "1-1.4:1.0": u1u4; the usual
// configuration 1 and interface 0 are left out.
func usb(name string) string {
	_, rest, ok := strings.Cut(name, "-")
	ports, which, ok2 := strings.Cut(rest, ":")
	config, iface, ok3 := strings.Cut(which, ".")
	if !ok || !ok2 || !ok3 {
		return ""
	}
	s := "u" + strings.ReplaceAll(ports, ".", "u")
	if config != "1" {
		s += "c" + config
	}
	if iface != "0" {
		s += "i" + iface
	}
	return s
}

// platform is the ACPI name of a platform device "HISI00C2:00" as vendor,
// model and instance: ahisic2i0.
func platform(name string) string {
	id, instance, ok := strings.Cut(name, ":")
	if !ok || len(id) != 7 && len(id) != 8 {
		return ""
	}
	vendor, valid := id[:len(id)-4], "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if len(vendor) == 4 {
		valid += "0123456789"
	}
	model, err := strconv.ParseUint(id[len(id)-4:], 16, 16)
	num, err2 := strconv.ParseUint(instance, 16, 8)
	if err != nil || err2 != nil || strings.Trim(vendor, valid) != "" {
		return ""
	}
	return fmt.Sprintf("a%s%xi%d", strings.ToLower(vendor), model, num)
}

// devicetree is the number in the alias ("ethernet1") of the device's node.
func (d device) devicetree(parent string) string {
	base, err := filepath.EvalSymlinks(filepath.Join(d.sys, "firmware/devicetree/base"))
	if err != nil {
		return ""
	}
	node, err := filepath.EvalSymlinks(filepath.Join(parent, "of_node"))
	if err != nil || !strings.HasPrefix(node, base+"/") {
		return ""
	}
	aliases, _ := filepath.Glob(filepath.Join(base, "aliases/ethernet*"))
	for _, a := range aliases {
		b, err := os.ReadFile(a)
		if err != nil || strings.TrimRight(string(b), "\x00") != strings.TrimPrefix(node, base) {
			continue
		}
		num := strings.TrimPrefix(filepath.Base(a), "ethernet")
		if num == "" {
			num = "0"
			if attr(filepath.Dir(a), "ethernet0") != "" {
				return "" // both: which is the first?
			}
		} else if num == "0" && attr(filepath.Dir(a), "ethernet") != "" {
			return ""
		}
		if digits(num) {
			return "d" + num
		}
	}
	return ""
}

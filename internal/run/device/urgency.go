package device

import (
	"path/filepath"
	"strings"

	"bareroot/internal/sys"
)

// Urgencies: modules of a lower one are loaded first. A root that is found
// meanwhile spares the rest, which its own udev loads.
const (
	nics  = iota // if the boot needs a network
	quick        // disks that are there at once: virtio, NVMe
	disks        // others, and what leads to them
	rest
	later // NICs of a boot without a network
	urgencies
)

// urgency tells by a modalias how soon its modules are wanted.
func (m *Manager) urgency(alias string) int {
	bus, id, _ := strings.Cut(strings.TrimSpace(alias), ":")
	nic := later
	if m.needs.Network {
		nic = nics
	}
	switch bus {
	case "pci":
		// ...bcCLASSscSUBCLASSiINTERFACE
		_, class, _ := strings.Cut(id, "bc")
		switch {
		case strings.HasPrefix(class, "02"), strings.HasPrefix(class, "0Csc06"): // network, InfiniBand
			return nic
		case strings.HasPrefix(class, "01") && strings.HasPrefix(id, "v00001AF4"), strings.HasPrefix(class, "01sc08"):
			return quick
		case strings.HasPrefix(class, "01"), strings.HasPrefix(class, "0Csc03"), strings.HasPrefix(class, "0Csc04"), strings.HasPrefix(class, "08sc05"):
			return disks // storage, USB host, Fibre Channel, SD host
		}
		return rest
	case "virtio":
		switch {
		case strings.HasPrefix(id, "d00000001v"):
			return nic
		case strings.HasPrefix(id, "d00000002v"), strings.HasPrefix(id, "d00000008v"): // block, SCSI host
			return quick
		}
		return rest
	case "usb":
		if _, class, _ := strings.Cut(id, "ic"); strings.HasPrefix(class, "08") {
			return disks
		}
		return rest
	case "acpi", "dmi", "hid", "input", "i2c", "serio", "pnp", "wmi", "snd":
		return rest
	}
	return disks // SCSI, MMC, the buses of hypervisors, platforms: few, and often disks
}

// aloneWithDriver finds the modules that are for one PCI disk controller each
// (class 01, but for NVMe). An empty SATA port is waited for a second; several
// controllers of one driver must be found in order, as the order names disks.
func (m *Manager) aloneWithDriver() map[string]bool {
	count := map[string]int{}
	found, _ := filepath.Glob(filepath.Join(m.sys, "bus/pci/devices/*/modalias"))
	for _, p := range found {
		if a := sys.Line(p); strings.Contains(a, "bc01sc") && !strings.Contains(a, "bc01sc08") {
			for _, n := range m.Modules.Match(a) {
				count[n]++
			}
		}
	}
	alone := map[string]bool{}
	for n, c := range count {
		alone[n] = c == 1
	}
	return alone
}

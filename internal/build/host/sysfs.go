package host

import (
	"os"
	"path"
	"slices"
	"strings"
)

// device is a folder of /sys/devices that has a modalias or a driver.
type device struct {
	Path     string // relative to the root: sys/devices/pci0000:00/...
	Modalias string
	Module   string // that drives it now; "" if none, or built in
}

// inner is something that a device carries and people know by name.
type inner struct {
	Path  string
	Class string // block, net, input
	Name  string // nvme0n1, eth0, "Logitech USB Keyboard"
}

// scan walks sys/devices. Links are not followed, so it ends.
func (t tree) scan() (devices []device, inners []inner) {
	var walk func(dir string)
	walk = func(dir string) {
		d := device{Path: dir}
		class := ""
		entries, _ := os.ReadDir(t.abs(dir))
		for _, e := range entries {
			name := e.Name()
			switch name {
			case "modalias":
				d.Modalias = t.line(path.Join(dir, name))
			case "driver":
				if drv, ok := t.link(path.Join(dir, name)); ok {
					d.Module = t.driverModule(drv)
					continue
				}
			case "subsystem":
				if to, ok := t.link(path.Join(dir, name)); ok {
					class = path.Base(to)
					continue
				}
			case "power", "statistics", "queue", "queues", "mq", "trace", "msi_irqs", "iommu":
				continue // large, and nothing below them is a device
			}
			if e.IsDir() {
				walk(path.Join(dir, name))
			}
		}
		if d.Modalias != "" || d.Module != "" {
			devices = append(devices, d)
		}
		switch class {
		case "block", "net":
			inners = append(inners, inner{dir, class, devName(path.Base(dir))})
		case "input":
			if n := t.line(path.Join(dir, "name")); n != "" {
				inners = append(inners, inner{dir, class, n})
			}
		}
	}
	walk("sys/devices")
	slices.SortFunc(devices, func(a, b device) int { return strings.Compare(a.Path, b.Path) })
	return devices, inners
}

// driverModule is the module of a driver's folder in sysfs.
func (t tree) driverModule(drv string) string {
	if m, ok := t.link(path.Join(drv, "module")); ok {
		return path.Base(m)
	}
	return ""
}

// devName is a sysfs name as it is below /dev: sysfs writes "!" for "/".
func devName(sys string) string { return strings.ReplaceAll(sys, "!", "/") }

// holds says whether p is dir or below it.
func holds(dir, p string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

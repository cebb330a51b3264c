package device

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// pathNames are the names of a disk below /dev/disk/by-path: the way to it,
// from the bus on. real is its folder below /sys/devices. None for ways that
// are not known here (SAS, Fibre Channel, iSCSI sessions: their names tell
// targets apart by what only a login knows).
func pathNames(disk, real string) []string {
	parts := strings.Split(strings.Trim(real, "/"), "/")
	// The last PCI function on the way, or a platform device.
	bus, at := "", -1
	for i, p := range parts {
		if isPCI(p) {
			bus, at = "pci-"+p, i
		} else if at < 0 && i > 0 && parts[i-1] == "platform" {
			bus, at = "platform-"+p, i
		}
	}
	if at < 0 {
		return nil
	}
	rest := parts[at+1:]
	has := func(prefix string) int {
		return slices.IndexFunc(rest, func(s string) bool {
			num, ok := strings.CutPrefix(s, prefix)
			return ok && num != "" && strings.Trim(num, "0123456789") == ""
		})
	}
	if slices.ContainsFunc(rest, func(s string) bool {
		return strings.HasPrefix(s, "end_device-") || strings.HasPrefix(s, "rport-") || strings.HasPrefix(s, "session")
	}) {
		return nil
	}
	scsi := scsiAddress(real)
	switch {
	case strings.HasPrefix(disk, "vd") && has("virtio") >= 0:
		if strings.HasPrefix(bus, "pci-") {
			return []string{bus, "virtio-" + bus}
		}
		return []string{bus}
	case strings.HasPrefix(disk, "nvme"):
		ns := attr(real, "nsid")
		if ns == "" {
			return nil
		}
		return []string{bus + "-nvme-" + ns}
	case strings.HasPrefix(disk, "mmcblk"):
		return []string{bus}
	case usbDevice(real) != "":
		// The interface without the number of its bus: "1-2:1.0" is 0:2:1.0.
		for _, p := range rest {
			if _, port, ok := strings.Cut(p, "-"); ok && strings.Contains(p, ":") && scsi != "" {
				return []string{fmt.Sprintf("%s-usb-0:%s-scsi-%s", bus, port, onHost(scsi, 0))}
			}
		}
	case has("ata") >= 0 && scsi != "":
		// The port's number among those of its controller.
		port := attr(filepath.Join("/", filepath.Join(parts[:at+1+has("ata")+1]...), "ata_port", rest[has("ata")]), "port_no")
		if port == "" {
			return nil
		}
		f := strings.Split(scsi, ":")
		return []string{fmt.Sprintf("%s-ata-%s.%s", bus, port, f[2]), bus + "-ata-" + port}
	case has("host") >= 0 && scsi != "":
		return []string{bus + "-scsi-" + onHost(scsi, hostOffset(filepath.Join("/", filepath.Join(parts[:at+1+has("host")]...)), scsi))}
	}
	return nil
}

// isPCI knows a PCI function by its address: 0000:00:1f.2.
func isPCI(s string) bool {
	f := strings.Split(strings.Replace(s, ".", ":", 1), ":")
	return len(f) == 4 && len(f[0]) >= 4 && len(f[1]) == 2 && len(f[2]) == 2 && len(f[3]) == 1 && strings.Trim(s, "0123456789abcdef:.") == ""
}

// onHost replaces the number of the host, which depends on the order of
// drivers, by its number among its controller's.
func onHost(scsi string, host int) string {
	_, rest, _ := strings.Cut(scsi, ":")
	return fmt.Sprintf("%d:%s", host, rest)
}

// hostOffset counts from the lowest host below dir.
func hostOffset(dir, scsi string) int {
	num, _, _ := strings.Cut(scsi, ":")
	mine, err := strconv.Atoi(num)
	hosts, _ := filepath.Glob(filepath.Join(dir, "host*"))
	low := mine
	for _, h := range hosts {
		if n, herr := strconv.Atoi(strings.TrimPrefix(filepath.Base(h), "host")); herr == nil && err == nil {
			low = min(low, n)
		}
	}
	return mine - low
}

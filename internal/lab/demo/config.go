package demo

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"bareroot/internal/lab"
	"bareroot/internal/lab/qemu"
)

// specs are the machines: BIOS with iPXE in its network card, UEFI with the
// firmware's own PXE, one with two network cards and two disks; then more of
// the first two kinds.
func specs(n int) []qemu.Spec {
	disk := func(bus string) []qemu.Disk { return []qemu.Disk{{Size: 4 << 30, Bus: bus}} }
	var out []qemu.Spec
	for i := 1; i <= n; i++ {
		s := qemu.Spec{Name: fmt.Sprintf("m%d", i), Firmware: qemu.BIOS, MemoryMiB: 1024, NICs: []qemu.NIC{{}}, Disks: disk("virtio")}
		switch {
		case i == 3:
			s.MemoryMiB = 1536
			s.NICs = append(s.NICs, qemu.NIC{Model: "e1000"})
			s.Disks = append(disk("scsi"), disk("sata")...)
		case i%2 == 0:
			s.Firmware, s.Disks = qemu.UEFI, disk("nvme")
		}
		out = append(out, s)
	}
	return out
}

// write makes the configuration of server and lab; it returns the lab's.
func (t *tour) write() (string, error) {
	server := map[string]any{
		"state_dir": filepath.Join(t.StateDir, "server"),
		"http":      ":8080",
		"interfaces": []any{map[string]any{
			"name": "br0", "dhcp": "authoritative", "range": "10.77.0.100-10.77.0.199", "router_advertisement": true,
		}},
		// The operator comes by TCP from outside of the lab's network: a
		// checkout's path can be too long for a unix socket.
		"admin": map[string]any{"socket": "none"},
		"power": []any{map[string]any{"url": "http://127.0.0.1:8000", "username": "lab", "password_file": lab.PasswordFile(t.StateDir)}},
	}
	serverPath := filepath.Join(t.StateDir, "bareroot.yaml")
	if err := writeJSON(serverPath, server); err != nil {
		return "", err
	}
	page := "127.0.0.1:8081"
	if l, err := net.Listen("tcp", page); err != nil {
		page = "127.0.0.1:0" // another demo has it
	} else if err := l.Close(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(t.StateDir, "server"), 0o700); err != nil {
		return "", err
	}
	cfg := map[string]any{
		"redfish":  map[string]any{"user": "lab"},
		"machines": specs(t.Machines),
		"services": []lab.Service{{Name: "server", Command: []string{t.Program, "serve", "--config", serverPath}, Listen: map[string]string{"admin": page}}},
	}
	path := filepath.Join(t.StateDir, "lab.yaml")
	return path, writeJSON(path, cfg)
}

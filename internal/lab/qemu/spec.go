// Package qemu runs virtual machines that behave like bare metal: firmware,
// network boot, disks with serial numbers, a serial console, a power switch.
// It drives the program qemu-system-x86_64 and speaks QMP to it. It is not a
// general front end: it knows the one kind of machine that the lab needs, and
// one of arm64 without firmware, for ramdisks of another architecture.
package qemu

import (
	"crypto/sha256"
	"fmt"
	"net"
	"regexp"
	"strings"
)

// Firmware of a machine.
const (
	BIOS   = "bios"   // SeaBIOS, with iPXE in the network card's ROM
	UEFI   = "uefi"   // OVMF without secure boot
	Direct = "direct" // no firmware: kernel and ramdisk are put into memory
)

// Architectures of a machine. One of arm64 is emulated everywhere.
const (
	AMD64 = "amd64"
	ARM64 = "arm64" // firmware Direct only; its console is ttyAMA0
)

// Boot sources, in the order a machine tries them.
const (
	BootDisk    = "disk"
	BootNetwork = "network"
)

// Spec is one machine. Fill sets what is left empty.
type Spec struct {
	Name      string   `yaml:"name" json:"name"`
	UUID      string   `yaml:"uuid" json:"uuid"`
	Arch      string   `yaml:"arch" json:"arch"`
	Firmware  string   `yaml:"firmware" json:"firmware"`
	CPUs      int      `yaml:"cpus" json:"cpus"`
	MemoryMiB int      `yaml:"memory_mib" json:"memory_mib"`
	Boot      []string `yaml:"boot" json:"boot"` // normal order: disk, network
	NICs      []NIC    `yaml:"nics" json:"nics"`
	Disks     []Disk   `yaml:"disks" json:"disks"`

	// KeepVars keeps what a guest wrote into the UEFI variables. Otherwise
	// each power-on starts with factory settings.
	KeepVars bool `yaml:"keep_vars" json:"keep_vars,omitempty"`

	Kernel  string   `yaml:"kernel" json:"kernel,omitempty"`
	Initrds []string `yaml:"initrds" json:"initrds,omitempty"` // joined in this order
	Append  string   `yaml:"append" json:"append,omitempty"`

	// Args are further arguments of QEMU, for tests with hardware that is not
	// named above.
	Args []string `yaml:"-" json:"-"`
}

// NIC is one network card on the lab's bridge.
type NIC struct {
	MAC   string `yaml:"mac" json:"mac"`
	Model string `yaml:"model" json:"model"` // virtio, e1000, e1000e
	// ROM puts iPXE into the card. A BIOS cannot netboot without; UEFI then
	// uses iPXE in place of its own PXE. Empty: yes for BIOS, no for UEFI.
	ROM *bool  `yaml:"rom" json:"rom"`
	Tap string `yaml:"-" json:"-"` // the tap device; "" = no network at all
}

// Disk is one disk: a new sparse file of Size bytes, or the file at Path.
type Disk struct {
	Size   Size   `yaml:"size" json:"size"`
	Path   string `yaml:"path" json:"path,omitempty"`
	Bus    string `yaml:"bus" json:"bus"` // virtio, scsi, sata, nvme, usb
	Serial string `yaml:"serial" json:"serial"`
}

var (
	nameRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	uuidRule = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	nicModel = map[string]string{"virtio": "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e"}
)

// Fill sets defaults and checks. The identity of a machine (UUID, MACs,
// serials) follows from its name, so that it is the same at each start.
func (s *Spec) Fill() error {
	if !nameRule.MatchString(s.Name) {
		return fmt.Errorf("machine name %q: use lower case letters, digits and hyphens, at most 32", s.Name)
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("machine %s: %s", s.Name, fmt.Sprintf(format, args...))
	}
	id := sha256.Sum256([]byte("bareroot lab machine " + s.Name))
	if s.UUID == "" {
		b := id
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		s.UUID = fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
	}
	s.UUID = strings.ToLower(s.UUID)
	if !uuidRule.MatchString(s.UUID) {
		return fail("uuid %q is not of the form 8-4-4-4-12 hex digits", s.UUID)
	}
	s.Arch, s.Firmware = or(s.Arch, AMD64), or(s.Firmware, BIOS)
	if s.Arch != AMD64 && s.Arch != ARM64 {
		return fail("architecture %q: known are amd64, arm64", s.Arch)
	}
	if s.Arch == ARM64 && s.Firmware != Direct {
		return fail("firmware %s: a machine of arm64 is booted directly, from a kernel", s.Firmware)
	}
	if s.Firmware != BIOS && s.Firmware != UEFI && s.Firmware != Direct {
		return fail("firmware %q: known are bios, uefi, direct", s.Firmware)
	}
	if (s.Firmware == Direct) != (s.Kernel != "") {
		return fail("a kernel is given for, and only for, firmware direct")
	}
	s.CPUs, s.MemoryMiB = or(s.CPUs, 1), or(s.MemoryMiB, 1024)
	if s.CPUs < 1 || s.CPUs > 64 || s.MemoryMiB < 64 {
		return fail("%d CPUs and %d MiB: expected 1-64 CPUs and at least 64 MiB", s.CPUs, s.MemoryMiB)
	}
	if s.Boot == nil {
		s.Boot = []string{BootDisk, BootNetwork}
	}
	for _, b := range s.Boot {
		if b != BootDisk && b != BootNetwork {
			return fail("boot source %q: known are disk, network", b)
		}
	}
	for i := range s.NICs {
		n := &s.NICs[i]
		n.Model = or(n.Model, "virtio")
		if nicModel[n.Model] == "" {
			return fail("nic %d: model %q: known are virtio, e1000, e1000e", i, n.Model)
		}
		n.MAC = or(n.MAC, fmt.Sprintf("52:54:00:%02x:%02x:%02x", id[16], id[17], int(id[18])&0xf0+i))
		if hw, err := net.ParseMAC(n.MAC); err != nil || len(hw) != 6 || hw[0]&1 != 0 {
			return fail("nic %d: %q is not a unicast MAC address", i, n.MAC)
		}
		if n.ROM == nil {
			rom := s.Firmware == BIOS
			n.ROM = &rom
		}
	}
	for i := range s.Disks {
		d := &s.Disks[i]
		d.Bus = or(d.Bus, "virtio")
		switch d.Bus {
		case "virtio", "scsi", "sata", "nvme", "usb":
		default:
			return fail("disk %d: bus %q: known are virtio, scsi, sata, nvme, usb", i, d.Bus)
		}
		if s.Arch == ARM64 && d.Bus == "sata" {
			return fail("disk %d: bus sata: a machine of arm64 has virtio, scsi, nvme, usb", i)
		}
		if d.Path == "" && d.Size == 0 {
			d.Size = 4 << 30
		}
		if d.Size%512 != 0 || d.Size < 0 {
			return fail("disk %d: size %d is not a multiple of 512", i, d.Size)
		}
		d.Serial = or(d.Serial, fmt.Sprintf("%.12s-%d", strings.ToUpper(s.Name), i))
		if len(d.Serial) > 20 || strings.ContainsAny(d.Serial, ", =") {
			return fail("disk %d: serial %q: at most 20 characters, no comma, equals sign or space", i, d.Serial)
		}
	}
	return nil
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

package api

// Facts is the hardware inventory of a machine.
type Facts struct {
	Version  int      `json:"version"` // 1
	System   System   `json:"system"`
	CPU      CPU      `json:"cpu"`
	Memory   Memory   `json:"memory"`
	Disks    []Disk   `json:"disks"`
	NICs     []NIC    `json:"nics"`
	Firmware string   `json:"firmware"`      // "bios" or "uefi"
	Kernel   string   `json:"kernel"`        // uname -r of the ramdisk
	PCI      []string `json:"pci,omitempty"` // "0000:00:03.0 1af4:1000 class 020000 driver virtio-pci"
}

// System is the SMBIOS identity.
type System struct {
	UUID         string `json:"uuid,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Serial       string `json:"serial,omitempty"`
	BIOSVersion  string `json:"bios_version,omitempty"`
	SecureBoot   bool   `json:"secure_boot,omitempty"`
}

// CPU describes the processors.
type CPU struct {
	Model   string `json:"model"`
	Arch    string `json:"arch"` // GOARCH word
	Sockets int    `json:"sockets"`
	Cores   int    `json:"cores"`
	Threads int    `json:"threads"`
}

// Memory is in bytes: Installed by SMBIOS, Usable by the kernel.
type Memory struct {
	Installed int64 `json:"installed,omitempty"`
	Usable    int64 `json:"usable"`
}

// Disk is a whole block device.
type Disk struct {
	ID         string   `json:"id"` // stable: wwn-..., serial-..., else path-...
	Path       string   `json:"path"`
	Links      []string `json:"links,omitempty"` // other /dev names
	Size       int64    `json:"size"`            // bytes
	SectorSize int      `json:"sector_size"`     // logical
	Model      string   `json:"model,omitempty"`
	Serial     string   `json:"serial,omitempty"`
	WWN        string   `json:"wwn,omitempty"`
	Transport  string   `json:"transport,omitempty"` // virtio, sata, scsi, nvme, usb, mmc
	Rotational bool     `json:"rotational,omitempty"`
	Removable  bool     `json:"removable,omitempty"`
	ReadOnly   bool     `json:"read_only,omitempty"`
	Content    []string `json:"content,omitempty"` // as PlanDisk.Found
}

// NIC is a network interface.
type NIC struct {
	Name    string   `json:"name"`
	MAC     string   `json:"mac"`
	Driver  string   `json:"driver,omitempty"`
	PCI     string   `json:"pci,omitempty"`
	Carrier bool     `json:"carrier"`
	Speed   int      `json:"speed,omitempty"`  // Mbit/s
	Booted  bool     `json:"booted,omitempty"` // the one the machine netbooted from
	IPs     []string `json:"ips,omitempty"`    // CIDR
}

package qemu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Program is the emulator of machines like the lab's host.
const Program = "qemu-system-x86_64"

// platform is what differs by architecture.
type platform struct {
	program, pkg string // and the package that has it
	machine, cpu string
	accel        string
}

// Program is the emulator of this machine, and the package that has it.
func (s Spec) Program() (name, pkg string) {
	p := s.platform("")
	return p.program, p.pkg
}

func (s Spec) platform(accel string) platform {
	if s.Arch == ARM64 {
		return platform{"qemu-system-aarch64", "qemu-system-arm", "virt,gic-version=3", "cortex-a72", TCG}
	}
	return platform{Program, "qemu-system-x86", "q35,graphics=off", cpu(accel), accel}
}

// Where Debian, from 12 on, and Ubuntu keep OVMF.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// Files that the machine hands to QEMU open.
const (
	qmpFD     = 3 // one end of a socket pair
	consoleFD = 4 // a listening unix socket
)

// start is how a machine is started this time.
type start struct {
	accel  string   // tcg or kvm
	order  []string // boot sources
	oneOff bool     // a reset ends QEMU, so that the next start can differ
}

// args is the command line of QEMU. Relative names are in the machine's
// directory, which is QEMU's working directory.
func args(s Spec, st start) []string {
	p := s.platform(st.accel)
	a := []string{p.program, "-name", s.Name, "-uuid", s.UUID, "-nodefaults", "-no-user-config", "-display", "none",
		"-machine", p.machine, "-accel", p.accel, "-cpu", p.cpu,
		"-smp", strconv.Itoa(s.CPUs), "-m", strconv.Itoa(s.MemoryMiB),
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", qmpFD), "-mon", "chardev=qmp,mode=control",
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d,server=on,wait=off,logfile=%s,logappend=on", consoleFD, logName),
		"-serial", "chardev:console",
		"-device", "virtio-rng-pci"}
	if st.oneOff {
		a = append(a, "-action", "reboot=shutdown")
	}
	switch s.Firmware {
	case UEFI:
		a = append(a, "-drive", "if=pflash,format=raw,readonly=on,file="+ovmfCode,
			"-drive", "if=pflash,format=raw,file="+varsName)
	case Direct:
		a = append(a, "-kernel", s.Kernel, "-append", s.Append)
		if len(s.Initrds) > 0 {
			a = append(a, "-initrd", initrdName)
		}
	}
	index := bootIndex(s, st.order)
	for i, n := range s.NICs {
		if n.Tap == "" {
			continue
		}
		dev := fmt.Sprintf("%s,id=nic%d,netdev=net%d,mac=%s%s", nicModel[n.Model], i, i, n.MAC, index(BootNetwork, i))
		if n.ROM != nil && !*n.ROM {
			dev += ",romfile="
		}
		a = append(a, "-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, n.Tap), "-device", dev)
	}
	if slices.ContainsFunc(s.Disks, func(d Disk) bool { return d.Bus == "scsi" }) {
		a = append(a, "-device", "virtio-scsi-pci,id=scsi")
	}
	if slices.ContainsFunc(s.Disks, func(d Disk) bool { return d.Bus == "usb" }) {
		a = append(a, "-device", "qemu-xhci,id=usb")
	}
	sata := 0
	for i, d := range s.Disks {
		a = append(a, "-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,discard=unmap,file=%s", i, escape(d.file(i))))
		dev := ""
		switch d.Bus {
		case "scsi":
			dev = "scsi-hd,bus=scsi.0"
		case "sata":
			dev = fmt.Sprintf("ide-hd,bus=ide.%d", sata)
			sata++
		case "nvme":
			dev = "nvme"
		case "usb":
			dev = "usb-storage,bus=usb.0"
		default:
			dev = "virtio-blk-pci"
		}
		a = append(a, "-device", fmt.Sprintf("%s,drive=disk%d,serial=%s%s", dev, i, d.Serial, index(BootDisk, i)))
	}
	return append(a, s.Args...)
}

// bootIndex gives each device its place, as ",bootindex=N".
func bootIndex(s Spec, order []string) func(kind string, i int) string {
	place := map[string]int{}
	n := 1
	for _, kind := range order {
		count := len(s.Disks)
		if kind == BootNetwork {
			count = len(s.NICs)
		}
		for i := range count {
			place[kind+strconv.Itoa(i)] = n
			n++
		}
	}
	return func(kind string, i int) string {
		p := place[kind+strconv.Itoa(i)]
		if p == 0 || s.Firmware == Direct {
			return ""
		}
		return ",bootindex=" + strconv.Itoa(p)
	}
}

// cpu: five-level page tables are slow and unneeded under emulation.
func cpu(accel string) string {
	if accel == KVM {
		return "host"
	}
	return "max,la57=off"
}

// escape doubles commas, QEMU's separator.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

func (d Disk) file(i int) string {
	if d.Path != "" {
		return d.Path
	}
	return fmt.Sprintf("disk%d.raw", i)
}

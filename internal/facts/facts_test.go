package facts

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/disk"
)

// tree writes a synthetic machine: path to content; a value "-> x" is a
// symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for p, s := range files {
		p = filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if len(s) > 3 && s[:3] == "-> " {
			if err := os.Symlink(s[3:], p); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(p, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func machine() map[string]string {
	vda := "sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/"
	sda := "sys/devices/pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sda/"
	nvme := "sys/devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1/"
	usb := "sys/devices/pci0000:00/0000:00:06.0/usb1/1-2/1-2:1.0/host5/target5:0:0/5:0:0:0/block/sdb/"
	return map[string]string{
		"sys/block/vda":      "-> ../devices/pci0000:00/0000:00:04.0/virtio1/block/vda",
		"sys/block/sda":      "-> ../devices/pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sda",
		"sys/block/nvme0n1":  "-> ../devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1",
		"sys/block/sdb":      "-> ../devices/pci0000:00/0000:00:06.0/usb1/1-2/1-2:1.0/host5/target5:0:0/5:0:0:0/block/sdb",
		"sys/block/sr0/size": "100", "sys/block/loop0/size": "100", "sys/block/dm-0/size": "100", "sys/block/sdc/size": "0",
		vda + "size": "4194304", vda + "queue/logical_block_size": "512", vda + "serial": "disk0\n", vda + "queue/rotational": "1", vda + "dev": "254:0", vda + "ro": "0",
		vda + "vda1/dev": "254:1", vda + "vda1/holders/dm-0": "",
		sda + "size": "8388608", sda + "queue/logical_block_size": "512", sda + "device/model": "QEMU HARDDISK   \n", sda + "dev": "8:0",
		sda + "device/vpd_pg80": "\x00\x80\x00\x08 QM00001", sda + "device/wwid": "t10.ATA     QEMU HARDDISK                           QM00001", sda + "sda1/dev": "8:1",
		"sys/devices/pci0000:00/0000:00:1f.2/ata2/ata_port/ata2/port_no": "2\n",
		nvme + "size": "16777216", nvme + "queue/logical_block_size": "4096", nvme + "wwid": "eui.0025385b71b05f2a", nvme + "device/serial": "S4EV  ", nvme + "device/model": "Samsung SSD",
		usb + "size": "1000", usb + "removable": "1", usb + "ro": "1", usb + "device/wwid": "naa.5000c500a0b1c2d3",
		"proc/self/mountinfo":       "22 1 0:5 / /proc rw - proc proc rw\n23 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n",
		"proc/cpuinfo":              "processor\t: 0\nmodel name\t: Test CPU\nphysical id\t: 0\ncore id\t: 0\n\nprocessor\t: 1\nmodel name\t: Test CPU\nphysical id\t: 0\ncore id\t: 0\n",
		"proc/meminfo":              "MemTotal:        1000000 kB\nMemFree: 1 kB\n",
		"proc/sys/kernel/osrelease": "6.1.0-test\n",
		"sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\x06\x00\x00\x00\x01",
		"sys/class/dmi/id/product_uuid":                                            "AABBCCDD-0000-1111-2222-333344445555\n", "sys/class/dmi/id/sys_vendor": "QEMU\n",
		"sys/devices/pci0000:00/0000:00:03.0/vendor": "0x1af4\n",
		"sys/class/net/eth0/device":                  "-> ../../../devices/pci0000:00/0000:00:03.0",
		"sys/class/net/eth0/address":                 "52:54:00:AA:BB:01\n", "sys/class/net/eth0/carrier": "1\n", "sys/class/net/eth0/speed": "-1\n",
		"sys/class/net/lo/address":                "00:00:00:00:00:00\n",
		"sys/bus/pci/devices/0000:00:03.0/vendor": "0x1af4\n", "sys/bus/pci/devices/0000:00:03.0/device": "0x1000\n", "sys/bus/pci/devices/0000:00:03.0/class": "0x020000\n",
		"sys/bus/pci/devices/0000:00:03.0/driver": "-> ../../../drivers/virtio-pci",
	}
}

func TestGather(t *testing.T) {
	g := &Gatherer{Root: tree(t, machine()), BootMAC: "52:54:00:aa:bb:01", Content: func(p string, size int64) ([]string, []byte, *disk.Mark, error) {
		if p == "/dev/sda" {
			return []string{"ext4 (label root)"}, nil, nil, nil
		}
		return nil, nil, nil, nil
	}}
	got, err := g.Gather(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := api.Facts{
		Version: 1, Kernel: "6.1.0-test", Firmware: "uefi",
		System: api.System{UUID: "aabbccdd-0000-1111-2222-333344445555", Manufacturer: "QEMU", SecureBoot: true},
		CPU:    api.CPU{Model: "Test CPU", Arch: got.CPU.Arch, Sockets: 1, Cores: 1, Threads: 2},
		Memory: api.Memory{Usable: 1000000 << 10},
		Disks: []api.Disk{
			{ID: "wwn-eui.0025385b71b05f2a", Path: "/dev/nvme0n1", Size: 8 << 30, SectorSize: 4096, Model: "Samsung SSD", Serial: "S4EV", WWN: "eui.0025385b71b05f2a", Transport: "nvme",
				Links: []string{"/dev/disk/by-id/nvme-Samsung_SSD_S4EV", "/dev/disk/by-id/nvme-eui.0025385b71b05f2a", "/dev/disk/by-path/pci-0000:00:05.0-nvme-1"}},
			{ID: "serial-QM00001", Path: "/dev/sda", Size: 4 << 30, SectorSize: 512, Model: "QEMU HARDDISK", Serial: "QM00001", Transport: "sata", Content: []string{"ext4 (label root)"},
				Links: []string{"/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001", "/dev/disk/by-path/pci-0000:00:1f.2-ata-2-scsi-0:0:0"}},
			{ID: "wwn-0x5000c500a0b1c2d3", Path: "/dev/sdb", Size: 512000, SectorSize: 512, WWN: "0x5000c500a0b1c2d3", Transport: "usb", Removable: true, ReadOnly: true,
				Links: []string{"/dev/disk/by-id/wwn-0x5000c500a0b1c2d3", "/dev/disk/by-path/pci-0000:00:06.0-usb-1-2-scsi-0:0:0"}},
			{ID: "serial-disk0", Path: "/dev/vda", Size: 2 << 30, SectorSize: 512, Serial: "disk0", Transport: "virtio", Rotational: true,
				Links: []string{"/dev/disk/by-id/virtio-disk0", "/dev/disk/by-path/pci-0000:00:04.0"}},
		},
		NICs: []api.NIC{{Name: "eth0", MAC: "52:54:00:aa:bb:01", PCI: "0000:00:03.0", Carrier: true, Booted: true}},
		PCI:  []string{"0000:00:03.0 1af4:1000 class 020000 driver virtio-pci"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInUse(t *testing.T) {
	g := &Gatherer{Root: tree(t, machine())}
	disks, err := g.Disks(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range disks {
		got[d.Path] = d.InUse
	}
	want := map[string]string{
		"/dev/vda": "part of dm-0", "/dev/sda": "mounted on /boot",
		"/dev/nvme0n1": "its device node is missing", "/dev/sdb": "its device node is missing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyMachine(t *testing.T) {
	f, err := (&Gatherer{Root: t.TempDir()}).Gather(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if f.Firmware != "bios" || len(f.Disks) != 0 || f.CPU.Sockets != 1 {
		t.Errorf("%+v", f)
	}
}

func TestMemoryInstalled(t *testing.T) {
	device := func(size uint16, ext uint32) []byte {
		b := make([]byte, 0x22)
		b[0], b[1] = 17, byte(len(b))
		b[0x0c], b[0x0d] = byte(size), byte(size>>8)
		for i := range 4 {
			b[0x1c+i] = byte(ext >> (8 * i))
		}
		return append(b, 0, 0)
	}
	end := []byte{127, 4, 0, 0, 0, 0}
	var table []byte
	for _, d := range [][]byte{device(2048, 0), device(0, 0), device(0xffff, 0), device(0x7fff, 128<<10), device(0x8000|512, 0), end} {
		table = append(table, d...)
	}
	if got, want := memoryInstalled(table), int64(2<<30+128<<30+512<<10); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if got := memoryInstalled([]byte("garbage")); got != 0 {
		t.Errorf("garbage has %d bytes of memory", got)
	}
}

func FuzzMemoryInstalled(f *testing.F) {
	f.Add([]byte{127, 4, 0, 0, 0, 0})
	f.Add([]byte("\x01\x11000000000000000\x00\x00")) // a system structure that is too short
	f.Add(append([]byte{17, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 'a', 0, 0}, 127, 4, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, table []byte) {
		if memoryInstalled(table) < 0 {
			t.Fatal("negative")
		}
	})
}

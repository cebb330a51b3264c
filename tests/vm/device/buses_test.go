package device

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestBuses starts a root from a disk on each bus that is not virtio, each named
// in another way; the one on NVMe is started by UEFI.
func TestBuses(t *testing.T) {
	vmtest.AllOnly(t) // TestUdev has all these buses, and its root on virtio
	const uuid = "5f0c8f2e-0d1b-4f0e-9b0a-2b6d6f3a1c11"
	for bus, c := range map[string]struct{ root, want, firmware string }{
		"sata": {"UUID=" + uuid, "/dev/sda", ""},
		"scsi": {"/dev/sda", "/dev/sda", ""},
		"usb":  {"LABEL=bus", "/dev/sda", ""},
		"nvme": {"/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_THEROOT", "/dev/nvme0n1", qemu.UEFI},
	} {
		t.Run(bus, func(t *testing.T) {
			t.Parallel()
			disk := vmtest.MarkerRoot(t, 16<<20, "[ ! -d /sys/firmware ] && mount -t sysfs sysfs /sys; [ -d /sys/firmware/efi ] && echo BY-UEFI", "mkfs.ext4", "-q", "-F", "-L", "bus", "-U", uuid)
			spec := vmtest.Direct(t, vmtest.Ramdisk(t), "quiet root="+c.root, qemu.Disk{Path: disk, Bus: bus, Serial: "THEROOT"})
			if c.firmware == qemu.UEFI {
				// OVMF starts what QEMU was given, and calls the ramdisk "initrd".
				spec.Args = append(spec.Args, "-kernel", spec.Kernel, "-initrd", spec.Initrds[0], "-append", "initrd=initrd "+spec.Append)
				spec.Firmware, spec.Kernel, spec.Initrds, spec.Append = qemu.UEFI, "", nil, ""
			}
			v := vmtest.Boot(t, spec)
			v.Expect(vmtest.Marker+` on `+c.want+` ext4`, 4*time.Minute)
			if c.firmware == qemu.UEFI {
				v.Expect(`BY-UEFI`, time.Minute)
			}
			v.WaitPowerOff(time.Minute)
		})
	}
}

// TestOrder: virtio disks have the names of their places, in every boot.
func TestOrder(t *testing.T) {
	vmtest.AllOnly(t)
	var disks []qemu.Disk
	want := "ORDER"
	for i := range 8 {
		d := qemu.Disk{Size: 1 << 20, Serial: fmt.Sprint("D", i)}
		if i == 5 {
			d = qemu.Disk{Path: vmtest.MarkerRoot(t, 16<<20, "[ -d /sys/block ] || mount -t sysfs sysfs /sys; echo ORDER $(for b in /sys/block/vd?; do cat $b/serial; echo; done)"), Serial: d.Serial}
		}
		disks = append(disks, d)
		want += " " + d.Serial
	}
	for range 3 {
		v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t), "quiet root=/dev/disk/by-id/virtio-D5", disks...))
		v.Expect(vmtest.Marker, 4*time.Minute)
		if got := v.Expect(`ORDER.*?\r?\n`, time.Minute)[0]; strings.TrimSpace(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
		v.WaitPowerOff(time.Minute)
	}
}

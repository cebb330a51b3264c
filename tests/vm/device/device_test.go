// Package device holds the VM tests of what the ramdisk makes of hardware: the
// names of disks and NICs, held against those that udev gives in the same guest.
package device

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func TestMain(m *testing.M) { vmtest.Main(m) }

// compare lists the links that our init made and the names that it gave NICs,
// then has udev do the same.
const compare = `#!/bin/sh
list() { cd /dev/disk; for l in by-*/*; do echo "LINK-$1 $l $(readlink $l)"; done; cd /; }
# Which bus is the slowest depends on the host: all disks, and no more links.
now=
for i in $(seq 240); do
  last=$now now=$(ls /dev/disk/by-*)
  for d in VIRT-1 SATA-2 scsi3 nvme4 usb5 first; do case $now in *$d*) ;; *) now= ;; esac; done
  [ -n "$now" ] && [ "$now" = "$last" ] && break
  sleep 0.5
done
list ours
for n in $(ls /sys/class/net); do
  udevadm test-builtin net_id /sys/class/net/$n 2>/dev/null | sed -n "s/^ID_NET_NAME_\([A-Z]*\)=/NIC $n \1 /p"
  echo "NIC $n DONE"
done
rm -rf /dev/disk /run/udev
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add --subsystem-match=block --subsystem-match=scsi --subsystem-match=nvme --subsystem-match=usb
udevadm settle
list udev
echo COMPARE-DONE
`

// TestUdev boots a machine with a disk on each bus and NICs of each kind of
// place: on the root bus, in a slot, one of several functions, on USB.
func TestUdev(t *testing.T) {
	udevd := "/usr/lib/systemd/systemd-udevd"
	if _, err := os.Stat(udevd); err != nil {
		t.Fatalf("%v: install udev", err)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "compare")
	if err := os.WriteFile(script, []byte(compare), 0o755); err != nil {
		t.Fatal(err)
	}
	root := vmtest.MarkerRoot(t, 64<<20, "", "mkfs.ext4", "-q", "-F", "-L", "the root")
	parted := vmtest.BlankDisk(t, 64<<20)
	cmd := exec.Command("sfdisk", "-q", parted)
	cmd.Stdin = strings.NewReader("label: gpt\nsize=16M, name=\"first part\"\nsize=16M\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	img := vmtest.Ramdisk(t, "--install", udevd+" udevadm", "--include", "/usr/lib/udev", "/usr/lib/udev", "--include", script, "/compare")
	spec := vmtest.Direct(t, img, `quiet ip=10.77.0.9::10.77.0.1:24::enp0s2:none rd.break=mount "root=LABEL=the root"`,
		qemu.Disk{Path: root, Serial: "VIRT-1"}, qemu.Disk{Path: parted, Bus: "sata", Serial: "SATA-2"}, qemu.Disk{Size: 32 << 20, Bus: "scsi", Serial: "scsi3"},
		qemu.Disk{Size: 32 << 20, Bus: "nvme", Serial: "nvme4"}, qemu.Disk{Size: 32 << 20, Bus: "usb", Serial: "usb5"})
	spec.NICs = []qemu.NIC{{}}
	spec.Args = []string{
		"-device", "pcie-root-port,id=port1,chassis=7,slot=7,multifunction=on,addr=0x10", "-device", "e1000e,bus=port1,mac=52:54:00:aa:00:01",
		"-device", "pcie-root-port,id=port2,chassis=9,slot=9,addr=0x10.1", "-device", "virtio-net-pci,bus=port2,addr=0.0,multifunction=on,mac=52:54:00:aa:00:02",
		"-device", "virtio-net-pci,bus=port2,addr=0.1,mac=52:54:00:aa:00:03",
		"-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", // native hotplug, with numbers of slots
		"-smbios", "type=41,designation=lan,instance=5,kind=ethernet,pcidev=onboard", "-device", "e1000,id=onboard,addr=0x11,mac=52:54:00:aa:00:04",
		"-device", "usb-net,bus=usb.0,mac=52:54:00:aa:00:05",
	}
	v := vmtest.Boot(t, spec)
	v.Expect(`# $`, 4*time.Minute)
	v.Send("sh /compare\n")
	v.Expect(`COMPARE-DONE\r?\n`, 4*time.Minute)
	v.PowerCut()
	text := strings.ReplaceAll(v.Text(), "\r", "")

	links := func(who string) []string {
		var out []string
		for _, m := range regexp.MustCompile(`(?m)^LINK-`+who+` (\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1]+" -> "+m[2])
		}
		slices.Sort(out)
		return out
	}
	ours, udev := links("ours"), links("udev")
	if len(udev) < 20 {
		t.Errorf("udev made only %d links", len(udev))
	}
	if d := cmp.Diff(udev, ours); d != "" {
		t.Errorf("links by udev (-) and by bareroot-init (+):\n%s", d)
	}

	names := map[string]map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^NIC (\S+) ([A-Z]+) ?(\S*)$`).FindAllStringSubmatch(text, -1) {
		if names[m[1]] == nil {
			names[m[1]] = map[string]string{}
		}
		names[m[1]][m[2]] = m[3]
	}
	if len(names) != 7 { // with lo
		t.Errorf("NICs %v; expected 6 and lo", names)
	}
	kinds := map[string]bool{}
	for nic, n := range names {
		want := nic
		for _, kind := range []string{"ONBOARD", "SLOT", "PATH"} {
			if n[kind] != "" && len(n[kind]) <= 15 {
				want = n[kind]
				break
			}
		}
		t.Logf("%s: udev knows %v", nic, n)
		for kind, name := range n {
			if name != "" {
				kinds[kind] = true
			}
		}
		if nic != want {
			t.Errorf("NIC %s would be %s with udev: %v", nic, want, n)
		}
	}
	if len(kinds) != 4 {
		t.Errorf("names of the kinds %v; the machine should have onboard, slot, path, MAC", kinds)
	}
}

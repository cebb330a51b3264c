package roots

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// monitor sends one command to a QEMU that listens at a socket of the test's.
func monitor(t *testing.T, path, command string) {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewScanner(c)
	r.Scan() // the greeting
	for _, s := range []string{`{"execute":"qmp_capabilities"}`, command} {
		fmt.Fprintln(c, s)
		for r.Scan() && strings.Contains(r.Text(), `"event"`) {
		}
		if !strings.Contains(r.Text(), `"return"`) {
			t.Fatalf("%s: %s", s, r.Text())
		}
	}
}

// TestLate: the root's disk is plugged in while the boot waits for it.
func TestLate(t *testing.T) {
	vmtest.AllOnly(t)
	disk := extRoot(t, "late", nil)
	qmp := filepath.Join(t.TempDir(), "q")
	spec := vmtest.Direct(t, vmtest.Ramdisk(t), "root=LABEL=late")
	spec.Args = []string{"-device", "virtio-scsi-pci,id=plug", "-drive", "if=none,id=late,format=raw,file=" + disk, "-qmp", "unix:" + qmp + ",server=on,wait=off"}
	v := vmtest.Boot(t, spec)
	v.Expect(`waiting for LABEL=late; devices seen so far: `, boot)
	v.Expect(`waiting for LABEL=late`, boot)
	v.Expect(`waiting for LABEL=late`, boot)
	monitor(t, qmp, `{"execute":"device_add","arguments":{"driver":"scsi-hd","bus":"plug.0","drive":"late","id":"l"}}`)
	v.Expect(vmtest.Marker+` on /dev/sda ext4`, boot)
	v.WaitPowerOff(time.Minute)
}

// TestResume: a system hibernates, its machine is switched off, and the next
// boot goes on where it was.
func TestResume(t *testing.T) {
	vmtest.AllOnly(t)
	root := vmtest.MarkerRoot(t, 64*mib, `
if grep -q hibernate /proc/cmdline; then
  swapon /dev/vdb || swapon /dev/vda # which is which differs from boot to boot
  echo shutdown >/sys/power/disk
  echo BEFORE
  echo disk >/sys/power/state
  echo AFTER in $$
fi`, "mkfs.ext4", "-q", "-F", "-L", "awake")
	swap := vmtest.BlankDisk(t, 512*mib)
	tool(t, "mkswap", "-q", "-L", "sleep", swap)
	d := []qemu.Disk{{Path: root}, {Path: swap}}
	boots := func(words string) *vmtest.VM {
		spec := vmtest.Direct(t, vmtest.Ramdisk(t), "root=LABEL=awake "+words, d...)
		spec.MemoryMiB = 512
		return vmtest.Boot(t, spec)
	}
	v := boots("hibernate resume=LABEL=sleep")
	v.Expect(`BEFORE`, boot)
	v.WaitPowerOff(boot)
	v = boots("resume=LABEL=sleep")
	v.Expect(`resuming the system that hibernated to /dev/vd\w`, boot)
	v.Expect(`AFTER in 1`, boot)
	v.WaitPowerOff(time.Minute)
}

// TestMultipath: two paths to one disk become one device, with its partitions.
func TestMultipath(t *testing.T) {
	vmtest.AllOnly(t)
	disk := parted(t)
	spec := vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "multipath"), "root=PARTUUID="+partUUID+" rd.multipath=1")
	spec.Args = []string{"-device", "virtio-scsi-pci,id=a", "-device", "virtio-scsi-pci,id=b"}
	for _, p := range []string{"a", "b"} {
		spec.Args = append(spec.Args, "-drive", "if=none,id=path"+p+",format=raw,cache=none,file.locking=off,file="+disk,
			"-device", "scsi-hd,bus="+p+".0,drive=path"+p+",serial=ONE,wwn=0x5000c50015ea71ad,share-rw=on")
	}
	v := vmtest.Boot(t, spec)
	v.Expect(`paths to wwn-0x5000c50015ea71ad: sda, sdb`, boot)
	v.Expect(vmtest.Marker+` on /dev/mapper/\S+-part2 ext4`, boot)
	v.Expect(`STACK dm-0 \S+ on sda sdb`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

package host

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/kmod"
)

// machine is a root directory made for a test, with just the files of a real
// machine that matter.
type machine struct {
	t    *testing.T
	root string
	next int // minor of the next block device
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, root: t.TempDir()}
	m.file("proc/modules", "")
	m.file("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/old ro quiet\n")
	m.file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n")
	m.file("sys/devices/virtual/dmi/id/modalias", "dmi:bvnSeaBIOS\n")
	return m
}

func (m *machine) file(rel, text string) {
	m.t.Helper()
	p := filepath.Join(m.root, rel)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// link makes rel a relative symlink to the folder or file "to" of this root.
func (m *machine) link(rel, to string) {
	m.t.Helper()
	p := filepath.Join(m.root, rel)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		m.t.Fatal(err)
	}
	r, err := filepath.Rel(filepath.Dir(p), filepath.Join(m.root, to))
	if err == nil {
		err = os.Symlink(r, p)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// device makes sys/devices/P with a modalias and a bound driver of a module;
// either may be empty.
func (m *machine) device(p, modalias, module string) string {
	p = "sys/devices/" + p
	m.file(p+"/uevent", "")
	if modalias != "" {
		m.file(p+"/modalias", modalias+"\n")
	}
	if module != "" {
		drv := "sys/bus/any/drivers/" + module
		if _, err := os.Lstat(filepath.Join(m.root, drv)); err != nil {
			m.file("sys/module/"+module+"/initstate", "live\n")
			m.link(drv+"/module", "sys/module/"+module)
		}
		m.link(p+"/driver", drv)
	}
	return p
}

// block makes a block device at the folder p, on top of others.
func (m *machine) block(p string, slaves ...string) string {
	dev := fmt.Sprintf("%d:%d", 250, m.next)
	m.next++
	m.file(p+"/dev", dev+"\n")
	m.link(p+"/subsystem", "sys/class/block")
	m.link("sys/class/block/"+path.Base(p), p)
	m.link("sys/dev/block/"+dev, p)
	for _, s := range slaves {
		m.link(p+"/slaves/"+path.Base(s), s)
	}
	return p
}

func (m *machine) partition(disk, name string) string {
	p := m.block(disk + "/" + name)
	m.file(p+"/partition", "1\n")
	return p
}

func (m *machine) dm(n int, name, uuid string, slaves ...string) string {
	p := m.block(fmt.Sprintf("sys/devices/virtual/block/dm-%d", n), slaves...)
	m.file(p+"/dm/name", name+"\n")
	m.file(p+"/dm/uuid", uuid+"\n")
	return p
}

func (m *machine) dev(p string) string {
	b, err := os.ReadFile(filepath.Join(m.root, p, "dev"))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// mounted writes mountinfo with one root.
func (m *machine) mounted(dev, within, fstype, source, super string) {
	m.file("proc/self/mountinfo", fmt.Sprintf("22 1 0:21 / /proc rw - proc proc rw\n1 0 0:1 / / rw - rootfs rootfs rw\n27 1 %s %s / rw,relatime shared:1 - %s %s %s\n", dev, within, fstype, source, super))
}

func (m *machine) nic(p, name, mac string) string {
	p = p + "/net/" + name
	m.file(p+"/address", mac+"\n")
	m.file(p+"/uevent", "INTERFACE="+name+"\n")
	m.link(p+"/subsystem", "sys/class/net")
	m.link("sys/class/net/"+name, p)
	return p
}

func (m *machine) sata(n int, name string) string {
	host := fmt.Sprintf("pci0000:00/0000:00:1f.2/ata%d/host%d", n, n)
	m.device(fmt.Sprintf("%s/target%d:0:0/%d:0:0:0", host, n, n), "scsi:t-0x00", "sd_mod")
	return m.block(fmt.Sprintf("sys/devices/%s/target%d:0:0/%d:0:0:0/block/%s", host, n, n, name))
}

func (m *machine) read() *Host {
	m.t.Helper()
	h, err := Read(m.root)
	if err != nil {
		m.t.Fatal(err)
	}
	return h
}

// kernel is the modules of a kernel, as depmod lists them.
func kernel(t *testing.T) *kmod.Index {
	t.Helper()
	dir := t.TempDir()
	dep := ""
	for _, p := range []string{
		"kernel/drivers/nvme/host/nvme", "kernel/drivers/ata/ahci", "kernel/drivers/scsi/sd_mod", "kernel/fs/ext4/ext4", "kernel/fs/xfs/xfs", "kernel/fs/btrfs/btrfs",
		"kernel/fs/nfs/nfs", "kernel/fs/nfs/nfsv3", "kernel/fs/nfs/nfsv4", "kernel/drivers/md/md-mod", "kernel/drivers/md/raid1", "kernel/drivers/md/dm-mod", "kernel/drivers/md/dm-crypt",
		"kernel/drivers/md/dm-multipath", "kernel/drivers/md/dm-service-time", "kernel/drivers/md/dm-thin-pool", "kernel/drivers/md/dm-cache", "kernel/drivers/md/bcache/bcache", "kernel/drivers/net/ethernet/intel/e1000e/e1000e",
		"kernel/drivers/net/ethernet/realtek/r8169", "kernel/drivers/net/bonding/bonding", "kernel/drivers/scsi/iscsi_tcp", "kernel/drivers/block/virtio_blk", "kernel/drivers/virtio/virtio_pci",
		"kernel/drivers/net/virtio_net", "kernel/drivers/hid/usbhid/usbhid", "kernel/drivers/hid/hid-generic", "kernel/drivers/hid/hid-apple", "kernel/drivers/usb/host/xhci-pci",
		"kernel/sound/pci/hda/snd-hda-intel", "kernel/drivers/gpu/drm/i915/i915", "kernel/fs/vfat/vfat", "kernel/drivers/scsi/device_handler/scsi_dh_alua", "kernel/drivers/scsi/qla2xxx/qla2xxx",
		"kernel/crypto/xts", "kernel/drivers/block/nbd", "updates/dkms/fastnic",
	} {
		dep += p + ".ko:\n"
	}
	alias := `alias pci:v00008086d0000A808* nvme
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias pci:v00008086d0000153A* e1000e
alias pci:v000010ECd00008168* r8169
alias pci:v00001AF4d* virtio_pci
alias virtio:d00000002v* virtio_blk
alias virtio:d00000001v* virtio_net
alias scsi:t-0x00* sd_mod
alias usb:v*d*dc*dsc*dp*ic03isc*ip*in* usbhid
alias hid:b*g0001v*p* hid_generic
alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci
alias pci:v00008086d0000A170* snd_hda_intel
alias pci:v00008086d00001912* i915
alias pci:v00001077d* qla2xxx
alias pci:v0000FA57d* fastnic
alias fs-ext4 ext4
alias fs-ext3 ext4
`
	for name, text := range map[string]string{"modules.dep": dep, "modules.alias": alias, "modules.builtin": "kernel/fs/overlayfs/overlay.ko\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x, err := kmod.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

package host

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMachines(t *testing.T) {
	x := kernel(t)
	tests := map[string]struct {
		make     func(*machine)
		strict   []string // "!name" is required
		why      map[string]string
		features []string
		words    []string
		notices  []string // each a part of one
	}{
		"NVMe with ext4, and a desktop's other devices": {
			make: func(m *machine) {
				pci := m.device("pci0000:00/0000:00:1d.0/0000:01:00.0", "pci:v00008086d0000A808sv0sd0bc01sc08i02", "nvme")
				disk := m.block(pci + "/nvme/nvme0/nvme0n1")
				part := m.partition(disk, "nvme0n1p2")
				m.device("pci0000:00/0000:00:1f.3", "pci:v00008086d0000A170sv0sd0bc04sc03i00", "snd_hda_intel")
				m.device("pci0000:00/0000:00:02.0", "pci:v00008086d00001912sv0sd0bc03sc00i00", "i915")
				nic := m.device("pci0000:00/0000:00:1f.6", "pci:v00008086d0000153Asv0sd0bc02sc00i00", "e1000e")
				m.nic(nic, "enp0s31f6", "52:54:00:00:00:01")
				m.device("pci0000:00/0000:00:14.0", "pci:v1d1sv0sd0bc0Csc03i30", "xhci_pci")
				usb := m.device("pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0", "usb:v046DpC31Cd1dc00dsc00dp00ic03isc01ip01in00", "usbhid")
				hid := m.device(strings.TrimPrefix(usb, "sys/devices/")+"/0003:046D:C31C.0001", "hid:b0003g0001v0000046Dp0000C31C", "hid_generic")
				m.file(hid+"/input/input5/name", "Logitech USB Keyboard\n")
				m.link(hid+"/input/input5/subsystem", "sys/class/input")
				m.mounted(m.dev(part), "/", "ext4", "/dev/nvme0n1p2", "rw")
				m.file("run/udev/data/b"+m.dev(part), "S:disk/by-uuid/x\nE:ID_FS_UUID=0a1b-root\n")
				m.file("proc/modules", "ext4 1 1 - Live 0x0\nsnd_hda_intel 1 1 - Live 0x0\nxts 1 1 - Live 0x0\nxfs 1 1 - Live 0x0\nraid1 1 0 - Live 0x0\n")
			},
			strict: []string{"!ext4", "hid_generic", "!nvme", "usbhid", "xhci_pci", "xts"},
			why: map[string]string{
				"nvme": "drives /dev/nvme0n1, under the root filesystem", "ext4": "filesystem of /", "xts": "loaded on this machine",
				"usbhid": `drives the input device "Logitech USB Keyboard"`, "xhci_pci": `drives the input device "Logitech USB Keyboard"`,
			},
			words: []string{"root=UUID=0a1b-root", "rootfstype=ext4"},
		},
		"LUKS on LVM on md RAID1 over two SATA disks": {
			make: func(m *machine) {
				m.device("pci0000:00/0000:00:1f.2", "pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci")
				a, b := m.partition(m.sata(1, "sda"), "sda1"), m.partition(m.sata(2, "sdb"), "sdb1")
				md := m.block("sys/devices/virtual/block/md127", a, b)
				m.file(md+"/md/level", "raid1\n")
				m.link("dev/md127", "dev/md127-node")
				m.link("dev/disk/by-id/md-uuid-aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", "dev/md127")
				lv := m.dm(0, "my--vg-root", "LVM-"+strings.Repeat("v", 32)+strings.Repeat("l", 32), md)
				crypt := m.dm(1, "luks-root", "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks-root", lv)
				m.mounted(m.dev(crypt), "/", "xfs", "/dev/mapper/luks-root", "rw")
				m.link("dev/disk/by-uuid/f5-uuid", "dev/dm-1")
			},
			strict: []string{"!ahci", "!dm_crypt", "!dm_mod", "!md_mod", "!raid1", "!sd_mod", "!xfs", "xts"},
			why: map[string]string{
				"ahci": "drives /dev/sda, under the root filesystem", "raid1": "makes /dev/md127 (md raid1), under the root filesystem",
				"dm_crypt": "makes /dev/mapper/luks-root (encrypted, LUKS2), under the root filesystem", "xts": "cipher of /dev/mapper/luks-root",
			},
			features: []string{"crypt", "dm", "lvm", "mdraid"},
			words: []string{"root=UUID=f5-uuid", "rootfstype=xfs", "rd.luks.name=01234567-89ab-cdef-0123-456789abcdef=luks-root", "rd.lvm.lv=my-vg/root",
				"rd.md.uuid=aaaaaaaa:bbbbbbbb:cccccccc:dddddddd"},
		},
		"btrfs on two disks, a subvolume": {
			make: func(m *machine) {
				m.device("pci0000:00/0000:00:1f.2", "pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci")
				a := m.partition(m.sata(1, "sda"), "sda2")
				pci := m.device("pci0000:00/0000:01:00.0", "pci:v00008086d0000A808sv0sd0bc01sc08i02", "nvme")
				b := m.block(pci + "/nvme/nvme0/nvme0n1")
				m.link("sys/fs/btrfs/be-uuid/devices/sda2", a)
				m.link("sys/fs/btrfs/be-uuid/devices/nvme0n1", b)
				m.file("sys/fs/btrfs/features/raid1", "1")
				m.mounted("0:29", "/@", "btrfs", "/dev/sda2", "rw,space_cache,subvolid=256,subvol=/@")
				m.file("etc/fstab", "# root\nUUID=be-uuid / btrfs defaults,compress=zstd:1,x-systemd.growfs 0 0\n")
			},
			strict: []string{"!ahci", "!btrfs", "!nvme", "!sd_mod"},
			why:    map[string]string{"nvme": "drives /dev/nvme0n1, under the root filesystem"},
			words:  []string{"root=UUID=be-uuid", "rootfstype=btrfs", "rootflags=compress=zstd:1,subvol=/@"},
		},
		"NFS root over the second of two NICs, booted by ip=": {
			make: func(m *machine) {
				a := m.device("pci0000:00/0000:00:03.0", "pci:v00008086d0000153Asv0sd0bc02sc00i00", "e1000e")
				m.nic(a, "eth0", "52:54:00:00:00:01")
				b := m.device("pci0000:00/0000:00:04.0", "pci:v000010ECd00008168sv0sd0bc02sc00i00", "r8169")
				m.nic(b, "eth1", "52:54:00:00:00:02")
				m.mounted("0:20", "/", "nfs4", "192.0.2.1:/srv/root", "rw,vers=4.2,addr=192.0.2.1")
				m.file("proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\nVia\neth0\t00000000\t010A000A\t0003\t0\t0\t0\t00000000\t0\neth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n")
				m.file("proc/cmdline", "root=/dev/nfs nfsroot=192.0.2.1:/srv/root ip=dhcp BOOTIF=01-52-54-00-00-00-02\n")
			},
			strict:   []string{"!nfs", "nfsv4", "!r8169"},
			why:      map[string]string{"r8169": "drives eth1, which leads to the root's server 192.0.2.1"},
			features: []string{"network", "nfs"},
			words:    []string{"root=nfs4:192.0.2.1:/srv/root", "ip=dhcp", "BOOTIF=01-52-54-00-00-00-02"},
		},
		"NFS over IPv6 and a bond of NICs": {
			make: func(m *machine) {
				m.nic(m.device("pci0000:00/0000:00:03.0", "pci:v00008086d0000153Asv0sd0bc02sc00i00", "e1000e"), "eth0", "52:54:00:00:00:01")
				m.nic(m.device("pci0000:00/0000:00:04.0", "pci:v000010ECd00008168sv0sd0bc02sc00i00", "r8169"), "eth1", "52:54:00:00:00:02")
				bond := m.nic("sys/devices/virtual", "bond0", "52:54:00:00:00:01")
				m.file(bond+"/uevent", "DEVTYPE=bond\nINTERFACE=bond0\n")
				m.link(bond+"/lower_eth0", "sys/class/net/eth0")
				m.link(bond+"/lower_eth1", "sys/class/net/eth1")
				m.mounted("0:20", "/", "nfs", "[2001:db8::1]:/srv", "rw,vers=3,addr=2001:db8::1")
				m.file("proc/net/ipv6_route", "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001    bond0\n")
			},
			strict:   []string{"!bonding", "!e1000e", "!nfs", "nfsv3", "!r8169"},
			features: []string{"bond", "network", "nfs"},
			words:    []string{"root=nfs:[2001:db8::1]:/srv", "bond=bond0:eth0,eth1", "ip=bond0:dhcp"},
			notices:  []string{"asks DHCP"},
		},
		"iSCSI": {
			make: func(m *machine) {
				m.nic(m.device("pci0000:00/0000:00:03.0", "pci:v00008086d0000153Asv0sd0bc02sc00i00", "e1000e"), "eth0", "52:54:00:00:00:01")
				m.device("platform/host2/session1/target2:0:0/2:0:0:1", "scsi:t-0x00", "sd_mod")
				disk := m.block("sys/devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sda")
				m.file("sys/class/iscsi_session/session1/targetname", "iqn.2026-11.test:root\n")
				m.file("sys/class/iscsi_session/session1/initiatorname", "iqn.2026-11.test:me\n")
				m.file("sys/class/iscsi_connection/connection1:0/persistent_address", "192.0.2.7\n")
				m.file("sys/class/iscsi_connection/connection1:0/persistent_port", "3260\n")
				m.file("proc/net/route", "Iface\tx\neth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\n")
				m.mounted(m.dev(disk), "/", "ext4", "/dev/sda", "rw")
				m.file("etc/fstab", "LABEL=\"my\\040root\" / ext4 errors=remount-ro 0 1\n")
			},
			strict:   []string{"!e1000e", "!ext4", "iscsi_tcp", "!sd_mod"},
			why:      map[string]string{"e1000e": "drives eth0, which leads to the iSCSI target of /dev/sda"},
			features: []string{"iscsi", "network"},
			words: []string{`root="LABEL=my root"`, "rootfstype=ext4", "netroot=iscsi:192.0.2.7::3260:1:iqn.2026-11.test:root", "rd.iscsi.initiator=iqn.2026-11.test:me",
				"BOOTIF=01-52-54-00-00-00-01", "ip=dhcp"},
			notices: []string{"asks DHCP"},
		},
		"virtual machine, /usr of its own, swap": {
			make: func(m *machine) {
				m.device("pci0000:00/0000:00:05.0", "pci:v00001AF4d00001001sv0sd0bc01sc00i00", "virtio_pci")
				m.device("pci0000:00/0000:00:05.0/virtio2", "virtio:d00000002v00001AF4", "virtio_blk")
				disk := m.block("sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda")
				root, usr, swap := m.partition(disk, "vda1"), m.partition(disk, "vda2"), m.partition(disk, "vda3")
				m.mounted(m.dev(root), "/", "ext4", "/dev/root", "rw")
				b := "27 1 " + m.dev(root) + " / / rw - ext4 /dev/root rw\n28 27 " + m.dev(usr) + " / /usr ro - xfs /dev/vda2 ro\n"
				m.file("proc/self/mountinfo", b)
				m.file("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1 0 100\n/dev/vda3 partition 1 0 -2\n/swapfile file 1 0 -3\n")
				m.file("sys/power/resume", "0:0\n")
				m.file("run/udev/data/b"+m.dev(swap), "E:ID_FS_UUID=5a-swap\n")
				m.link("sys/class/block/zram0", "sys/devices/virtual/block/zram0")
			},
			strict: []string{"!ext4", "!virtio_blk", "!virtio_pci", "!xfs"},
			words:  []string{"root=/dev/vda1", "rootfstype=ext4", "resume=UUID=5a-swap"},
		},
		"multipath with partitions by kpartx": {
			make: func(m *machine) {
				m.device("pci0000:00/0000:02:00.0", "pci:v00001077d00002532sv0sd0bc0Csc04i00", "qla2xxx")
				var legs []string
				for i, name := range []string{"sda", "sdb"} {
					p := "pci0000:00/0000:02:00.0/host1/rport-1:0-" + string(rune('0'+i)) + "/target1:0:" + string(rune('0'+i)) + "/1:0:0:" + string(rune('0'+i))
					m.device(p, "scsi:t-0x00", "sd_mod")
					legs = append(legs, m.block("sys/devices/"+p+"/block/"+name))
				}
				mp := m.dm(0, "mpatha", "mpath-3600a098000aabb", legs...)
				part := m.dm(1, "mpatha-part1", "part1-mpath-3600a098000aabb", mp)
				m.mounted(m.dev(part), "/", "ext4", "/dev/mapper/mpatha-part1", "rw")
			},
			strict:   []string{"!dm_mod", "!dm_multipath", "dm_service_time", "!ext4", "!qla2xxx", "scsi_dh_alua", "!sd_mod"},
			features: []string{"dm", "multipath"},
			words:    []string{"root=/dev/mapper/mpatha-part1", "rootfstype=ext4"},
		},
		"firmware RAID by dmraid, with partitions by kpartx": {
			make: func(m *machine) {
				m.device("pci0000:00/0000:00:1f.2", "pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci")
				set := m.dm(0, "isw_abc_Vol0", "DMRAID-isw_abc_Vol0", m.sata(1, "sda"), m.sata(2, "sdb"))
				part := m.dm(1, "isw_abc_Vol0-part1", "part1-DMRAID-isw_abc_Vol0", set)
				m.mounted(m.dev(part), "/", "ext4", "/dev/mapper/isw_abc_Vol0-part1", "rw")
			},
			strict:   []string{"!ahci", "!dm_mod", "!ext4", "!sd_mod"},
			features: []string{"dm", "dmraid"},
			words:    []string{"root=/dev/mapper/isw_abc_Vol0-part1", "rootfstype=ext4", "rd.dm.uuid=isw_abc_Vol0"},
		},
		"thin LV on bcache, and a device-mapper device of nobody's": {
			make: func(m *machine) {
				m.device("pci0000:00/0000:00:1f.2", "pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci")
				back, cache := m.sata(1, "sda"), m.sata(2, "sdb")
				m.file(back+"/bcache/state", "clean")
				bc := m.block("sys/devices/virtual/block/bcache0", cache)
				m.link(bc+"/bcache", back+"/bcache")
				odd := m.dm(0, "odd", "ACME-1", bc)
				pool := m.dm(1, "vg-pool0-tpool", "LVM-"+strings.Repeat("x", 64)+"-tpool", odd)
				lv := m.dm(2, "vg-root", "LVM-"+strings.Repeat("y", 64), pool)
				m.mounted(m.dev(lv), "/", "ext4", "/dev/mapper/vg-root", "rw")
			},
			strict:   []string{"!ahci", "!bcache", "!dm_mod", "dm_thin_pool", "!ext4", "!sd_mod"},
			features: []string{"dm", "lvm"},
			words:    []string{"root=/dev/mapper/vg-root", "rootfstype=ext4", "rd.lvm.lv=vg/root"},
			notices:  []string{"/dev/mapper/odd, under the root filesystem, is a device-mapper device of a kind that is not known here", "/dev/bcache0, under the root filesystem, is made by bcache"},
		},
		"module of a vendor, outside the kernel's tree": {
			make: func(m *machine) {
				pci := m.device("pci0000:00/0000:00:1d.0/0000:01:00.0", "pci:v00008086d0000A808sv0sd0bc01sc08i02", "nvme")
				m.device("pci0000:00/0000:05:00.0", "pci:v0000FA57d00000001sv0sd0bc07sc00i00", "fastnic")
				m.mounted(m.dev(m.block(pci+"/nvme/nvme0/nvme0n1")), "/", "ext4", "/dev/nvme0n1", "rw")
			},
			strict: []string{"!ext4", "fastnic", "!nvme"},
			words:  []string{"root=/dev/nvme0n1", "rootfstype=ext4"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			tt.make(m)
			h := m.read()
			if h.Generic {
				t.Errorf("fell back to the generic set: %q", h.Notices)
			}
			var names []string
			why := map[string]string{}
			for _, mod := range h.Modules(x, Strict) {
				if mod.Required {
					names = append(names, "!"+mod.Name)
				} else {
					names = append(names, mod.Name)
				}
				why[mod.Name] = mod.Why
			}
			if d := cmp.Diff(tt.strict, names); d != "" {
				t.Errorf("modules (-want +got):\n%s", d)
			}
			for mod, want := range tt.why {
				if why[mod] != want {
					t.Errorf("%s is there because it %q, want %q", mod, why[mod], want)
				}
			}
			if missing := h.Missing(x, Strict); missing != nil {
				t.Errorf("missing: %v", missing)
			}
			if d := cmp.Diff(tt.features, h.Features()); d != "" {
				t.Errorf("features (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.words, h.Cmdline()); d != "" {
				t.Errorf("command line (-want +got):\n%s", d)
			}
			if len(h.Notices) != len(tt.notices) {
				t.Errorf("notices: %q", h.Notices)
			}
			for _, want := range tt.notices {
				if !slices.ContainsFunc(h.Notices, func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("no notice %q in %q", want, h.Notices)
				}
			}
		})
	}
}

// The sloppy mode adds what may be plugged in, and the NICs; never sound or
// graphics.
func TestSloppy(t *testing.T) {
	m := newMachine(t)
	pci := m.device("pci0000:00/0000:00:1d.0/0000:01:00.0", "pci:v00008086d0000A808sv0sd0bc01sc08i02", "nvme")
	m.mounted(m.dev(m.block(pci+"/nvme/nvme0/nvme0n1")), "/", "ext4", "/dev/nvme0n1", "rw")
	m.device("pci0000:00/0000:00:1f.3", "pci:v00008086d0000A170sv0sd0bc04sc03i00", "snd_hda_intel")
	m.nic(m.device("pci0000:00/0000:00:03.0", "pci:v00008086d0000153Asv0sd0bc02sc00i00", "e1000e"), "eth0", "52:54:00:00:00:01")
	m.file("proc/modules", "raid1 1 0 - Live 0x0\n")
	why := map[string]string{}
	for _, mod := range m.read().Modules(kernel(t), Sloppy) {
		why[mod.Name] = mod.Why
	}
	want := map[string]string{
		"nvme": "drives /dev/nvme0n1, under the root filesystem", "ext4": "filesystem of /", "e1000e": "drives eth0",
		"xfs": "another filesystem may be plugged in", "btrfs": "another filesystem may be plugged in", "vfat": "another filesystem may be plugged in",
		"usbhid": "another keyboard may be plugged in", "hid_generic": "another keyboard may be plugged in", "hid_apple": "another keyboard may be plugged in",
		"raid1": "loaded on this machine", "sd_mod": "another USB disk may be plugged in", "virtio_blk": "the machine may be moved to another hypervisor", "xhci_pci": "another USB port may be used", "virtio_pci": "the machine may be moved to another hypervisor", "xts": "a cipher or checksum may be asked for by name",
	}
	if d := cmp.Diff(want, why); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A kernel without the root's driver is told, not found out at boot.
func TestMissing(t *testing.T) {
	m := newMachine(t)
	pci := m.device("pci0000:00/0000:01:00.0", "pci:v0000AAAAd00000001sv0sd0bc01sc08i02", "oldraid")
	m.mounted(m.dev(m.block(pci+"/host0/block/sda")), "/", "reiserfs", "/dev/sda", "rw")
	want := []Module{
		{Name: "reiserfs", Why: "filesystem of /", Required: true},
		{Name: "oldraid", Why: "drives /dev/sda, under the root filesystem", Required: true},
	}
	if d := cmp.Diff(want, m.read().Missing(kernel(t), Strict)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWithoutDevices(t *testing.T) {
	tests := map[string]struct {
		make func(*machine)
		want string
	}{
		"no /sys/devices": {func(m *machine) {}, "devices cannot be seen"},
		"no /proc/modules": {func(m *machine) {
			m.device("platform/x", "platform:x", "")
		}, "proc/modules cannot be read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := &machine{t: t, root: t.TempDir()}
			m.mounted("0:40", "/", "overlay", "overlay", "rw,lowerdir=/a")
			tt.make(m)
			h := m.read()
			if !h.Generic || len(h.Notices) != 2 || !strings.Contains(h.Notices[0], tt.want) || !strings.Contains(h.Notices[0], "generic") || !strings.Contains(h.Notices[1], "overlay") {
				t.Errorf("generic %v, %q", h.Generic, h.Notices)
			}
			if mods := h.Modules(kernel(t), Sloppy); mods != nil {
				t.Errorf("modules %v", mods)
			}
		})
	}
	if _, err := Read(t.TempDir() + "/none"); err == nil {
		t.Error("a root that is not there was read")
	}
}

// This machine, whatever it is, is read without a panic, and fast.
func TestThisMachine(t *testing.T) {
	h, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("root %+v; %d devices, %d loaded; %q; %q; %q", h.Root, len(h.devices), len(h.loaded), h.Features(), h.Cmdline(), h.Notices)
}

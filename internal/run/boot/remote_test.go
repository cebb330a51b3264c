package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemote(t *testing.T) {
	sys := t.TempDir()
	mk := func(number, path string, files ...string) {
		t.Helper()
		dir := filepath.Join(sys, "devices", path)
		if err := os.MkdirAll(filepath.Join(dir, "slaves"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name, text, _ := strings.Cut(f, "=")
			if target, link := strings.CutPrefix(text, "->"); link {
				if err := os.Symlink(filepath.Join(sys, "devices", target), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.MkdirAll(filepath.Join(sys, "dev/block"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, filepath.Join(sys, "dev/block", number)); err != nil {
			t.Fatal(err)
		}
	}
	mk("8:0", "pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda")
	mk("8:1", "pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1", "partition=1")
	mk("8:16", "platform/host2/session1/target2:0:0/2:0:0:1/block/sdb")
	mk("8:17", "platform/host2/session1/target2:0:0/2:0:0:1/block/sdb/sdb1", "partition=1")
	mk("43:0", "virtual/block/nbd0")
	mk("9:1", "virtual/block/md1", "slaves/sda1=->pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1")
	mk("9:2", "virtual/block/md2", "slaves/sda1=->pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1", "slaves/sdb1=->platform/host2/session1/target2:0:0/2:0:0:1/block/sdb/sdb1")
	mk("253:0", "virtual/block/dm-0", "slaves/md2=->virtual/block/md2")
	mk("259:0", "pci1/nvme/nvme0/nvme0n1", "device/transport=pcie")
	mk("259:1", "virtual/nvme-fabrics/ctl/nvme1/nvme1n1", "device/transport=tcp")
	line := func(number, kind string) string {
		return "36 35 " + number + " / /sysroot rw,noatime shared:1 - " + kind + " source rw\n"
	}
	for name, c := range map[string]struct {
		in   string
		want bool
	}{
		"a disk":                            {line("8:0", "ext4"), false},
		"a partition":                       {line("8:1", "ext4"), false},
		"md on disks":                       {line("9:1", "xfs"), false},
		"NVMe on the bus":                   {line("259:0", "xfs"), false},
		"memory":                            {line("0:22", "tmpfs"), false},
		"nothing known":                     {line("99:99", "ext4") + "short\n- \n", false},
		"NFS":                               {line("0:40", "nfs4"), true},
		"cifs":                              {line("0:40", "cifs"), true},
		"NBD":                               {line("43:0", "squashfs"), true},
		"a partition of iSCSI":              {line("8:17", "ext4"), true},
		"LVM on md, one leg of it on iSCSI": {line("253:0", "ext4"), true},
		"NVMe over TCP":                     {line("259:1", "ext4"), true},
		"the second of two mounts":          {line("8:0", "ext4") + line("0:40", "nfs"), true},
	} {
		got := remote(strings.NewReader(c.in), sys)
		if (got != "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

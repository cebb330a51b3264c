package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/netconf"
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
		got := remote(c.in, sys)
		if (got != "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestRootNeedsDHCP: a root that comes from DHCP, and a static address: dracut's
// rule is applied before anything is brought up.
func TestRootNeedsDHCP(t *testing.T) {
	line := cmdline.Parse("root=dhcp ip=192.0.2.5:192.0.2.9:192.0.2.1:24:h::none", "test")
	n, err := cmdline.ParseNetwork(line)
	if err != nil {
		t.Fatal(err)
	}
	b := &Boot{line: line, net: n}
	if !b.needNetwork() {
		t.Error("root=dhcp needs no network")
	}
	if err := b.startNetwork(); err == nil || !strings.Contains(err.Error(), "server address or dhcp for netboot needed") {
		t.Errorf("startNetwork: %v", err)
	}
}

// TestRootFromDHCP: option 17 takes the place of root=dhcp.
func TestRootFromDHCP(t *testing.T) {
	for name, c := range map[string]struct {
		line  string
		lease netconf.Lease
		root  string
		err   string
	}{
		"a root path":      {"root=dhcp", netconf.Lease{RootPath: "nfs:192.0.2.9:/srv"}, "nfs:192.0.2.9:/srv", ""},
		"netroot=dhcp":     {"root=LABEL=x netroot=dhcp", netconf.Lease{RootPath: "nbd:192.0.2.9:disk"}, "nbd:192.0.2.9:disk", ""},
		"a URL by DHCPv6":  {"root=dhcp6", netconf.Lease{Method: "dhcp6", BootFile: "http://[2001:db8::1]/root"}, "http://[2001:db8::1]/root", ""},
		"no root path":     {"root=dhcp", netconf.Lease{}, "", "no root path (option 17)"},
		"another root":     {"root=LABEL=x", netconf.Lease{RootPath: "nfs:192.0.2.9:/srv"}, "", ""},
		"a path of NFS":    {"root=dhcp", netconf.Lease{RootPath: "192.0.2.9:/srv"}, "192.0.2.9:/srv", ""},
		"twice, for retry": {"root=nfs:192.0.2.9:/srv", netconf.Lease{RootPath: "nfs:192.0.2.9:/srv"}, "", ""},
	} {
		line, err := leaseRoot(cmdline.Parse(c.line, "test"), "eth0", c.lease)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := line.Get("root"); got != c.root {
			t.Errorf("%s: root=%s", name, got)
		}
	}
}

package device

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/run/console"
)

// designator is one entry of VPD page 0x83.
func designator(set, kind byte, data string) string {
	return string([]byte{set, kind, 0, byte(len(data))}) + data
}

func page(n byte, body string) string {
	return string([]byte{0, n}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

// identify is the ATA information page of a disk.
func identify(model, serial string) string {
	b := make([]byte, 60+512)
	put := func(word, n int, s string) {
		s = fmt.Sprintf("%-*s", 2*n, s)
		for i := range n {
			b[60+2*(word+i)], b[60+2*(word+i)+1] = s[2*i+1], s[2*i]
		}
	}
	put(27, 20, model)
	put(10, 10, "      "+serial)
	return string(b)
}

// TestIdentity has the disks of a Debian 12 guest of QEMU, and real ones, with
// the names that udev gave them.
func TestIdentity(t *testing.T) {
	const ata = "devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda"
	const scsi = "devices/pci0000:00/0000:00:05.0/virtio1/host7/target7:0:1/7:0:1:2/block/sdb"
	const usb = "devices/pci0000:00/0000:00:04.0/usb2/2-1/2-1.3/2-1.3:1.0/host9/target9:0:0/9:0:0:0/block/sdc"
	for name, tc := range map[string]struct {
		disk, path string
		attrs      map[string]string
		ids, paths []string
	}{
		"virtio": {"vda", "devices/pci0000:00/0000:00:03.0/virtio0/block/vda", map[string]string{"serial": "AB C/D"},
			[]string{"virtio-AB_C_D"}, []string{"pci-0000:00:03.0", "virtio-pci-0000:00:03.0"}},
		"virtio without serial": {"vda", "devices/pci0000:00/0000:00:03.0/virtio0/block/vda", nil,
			nil, []string{"pci-0000:00:03.0", "virtio-pci-0000:00:03.0"}},
		"virtio on MMIO": {"vda", "devices/platform/a003e00.virtio_mmio/virtio0/block/vda", nil, nil, []string{"platform-a003e00.virtio_mmio"}},
		"NVMe": {"nvme0n1", "devices/pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1", map[string]string{"device/model": "QEMU NVMe Ctrl  ", "device/serial": "N 1", "nsid": "1", "wwid": "eui.0011223344556677"},
			[]string{"nvme-QEMU_NVMe_Ctrl_N_1", "nvme-QEMU_NVMe_Ctrl_N_1_1", "nvme-eui.0011223344556677"}, []string{"pci-0000:00:06.0-nvme-1"}},
		"MMC": {"mmcblk0", "devices/platform/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0", map[string]string{"device/name": "SC16G", "device/serial": "0x4a5b"},
			[]string{"mmc-SC16G_0x4a5b"}, []string{"platform-fe340000.mmc"}},
		"SATA": {"sda", ata, map[string]string{"device/vendor": "ATA", "device/model": "QEMU HARDDISK", "device/vpd_pg89": identify("QEMU HARDDISK", "QM00005"),
			"device/vpd_pg83": page(0x83, designator(1, 3, "\x50\x01\x02\x03\x04\x05\x06\x07")), "@devices/pci0000:00/0000:00:1f.2/ata3/ata_port/ata3/port_no": "3"},
			[]string{"ata-QEMU_HARDDISK_QM00005", "wwn-0x5001020304050607"}, []string{"pci-0000:00:1f.2-ata-3.0", "pci-0000:00:1f.2-ata-3"}},
		"SATA, model longer than SCSI's field": {"sda", ata, map[string]string{"device/vendor": "ATA", "device/model": "Samsung SSD 860 ", "device/vpd_pg89": identify("Samsung SSD 860 EVO 500GB", "S3Z2NB0K")},
			[]string{"ata-Samsung_SSD_860_EVO_500GB_S3Z2NB0K"}, nil},
		"SCSI by the vendor's text": {"sdb", scsi, map[string]string{"device/vendor": "QEMU    ", "device/model": "QEMU HARDDISK   ", "device/vpd_pg83": page(0x83, designator(2, 0, "drive-x")), "device/vpd_pg80": page(0x80, "  S1 ")},
			[]string{"scsi-0QEMU_QEMU_HARDDISK_drive-x", "scsi-SQEMU_QEMU_HARDDISK_S1"}, []string{"pci-0000:00:05.0-scsi-0:0:1:2"}},
		"SCSI by NAA, extended before short, not that of the port": {"sdb", scsi, map[string]string{"device/vendor": "X", "device/model": "Y", "device/vpd_pg83": page(0x83,
			designator(1, 0x13, "\x52\x22\x22\x22\x22\x22\x22\x22")+designator(1, 3, "\x50\x01\x02\x03\x04\x05\x06\x07")+designator(1, 3, "\x60\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))},
			[]string{"scsi-3600102030405060708090a0b0c0d0e0f", "wwn-0x600102030405060708090a0b0c0d0e0f"}, []string{"pci-0000:00:05.0-scsi-0:0:1:2"}},
		"USB": {"sdc", usb, map[string]string{"device/vendor": "QEMU", "device/model": "QEMU HARDDISK", "@devices/pci0000:00/0000:00:04.0/usb2/2-1/2-1.3/serial": "U 7"},
			[]string{"usb-QEMU_QEMU_HARDDISK_U_7-0:0"}, []string{"pci-0000:00:04.0-usb-0:1.3:1.0-scsi-0:0:0:0"}},
		"SAS": {"sdb", "devices/pci0000:00/0000:00:05.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sdb", nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sys, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(sys, tc.path)
			for _, p := range []string{dir, filepath.Join(sys, "class/block")} {
				if err := os.MkdirAll(p, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for k, v := range tc.attrs {
				p := filepath.Join(dir, k)
				if abs, ok := strings.CutPrefix(k, "@"); ok {
					p = filepath.Join(sys, abs)
				}
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(v), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			link := filepath.Join(sys, "class/block", tc.disk)
			if err := os.Symlink(dir, link); err != nil {
				t.Fatal(err)
			}
			m := newManager(console.NewLog(&strings.Builder{}), nil, sys, t.TempDir())
			ids, paths := m.identity(tc.disk, link)
			if d := cmp.Diff(tc.ids, ids); d != "" {
				t.Errorf("by-id: %s", d)
			}
			if d := cmp.Diff(tc.paths, paths); d != "" {
				t.Errorf("by-path: %s", d)
			}
		})
	}
}

func FuzzVPD(f *testing.F) {
	f.Add([]byte(page(0x83, designator(1, 3, "\x50\x01\x02\x03\x04\x05\x06\x07"))))
	f.Add([]byte(identify("a", "b")))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := parseVPD83(b)
		if strings.ContainsAny(underscores(v.scsi+v.vendor), "/ \x00\n") {
			t.Errorf("a name with what no file name may hold: %+v", v)
		}
		parseVPD89(b)
		vpdText(b)
	})
}

// many makes n disks with labels.
func many(tb testing.TB, n int) *Manager {
	sys, dev := tb.TempDir(), tb.TempDir()
	sb := make([]byte, 2048)
	sb[1024+56], sb[1024+57] = 0x53, 0xef
	for i := range n {
		name := fmt.Sprintf("sd%04d", i)
		dir := filepath.Join(sys, "class/block", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
		copy(sb[1024+120:], fmt.Sprintf("label%04d", i))
		for p, b := range map[string][]byte{filepath.Join(dir, "size"): []byte("2048\n"), filepath.Join(dev, name): sb} {
			if err := os.WriteFile(p, b, 0o644); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return newManager(console.NewLog(&strings.Builder{}), nil, sys, dev)
}

// TestMany waits for each of a thousand disks while they appear.
func TestMany(t *testing.T) {
	const n = 1000
	m := many(t, n)
	errs := make(chan error, n)
	for i := range n {
		go func() {
			p, _, err := m.Wait(t.Context(), fmt.Sprintf("LABEL=label%04d", i), 2*time.Minute)
			if want := fmt.Sprintf("sd%04d", i); err == nil && filepath.Base(p) != want {
				err = fmt.Errorf("%s is not %s", p, want)
			}
			errs <- err
		}()
	}
	m.Coldplug(t.Context())
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Seen(); !strings.HasSuffix(s, fmt.Sprintf("and %d more", n-seenAtMost)) {
		t.Errorf("the message lists %s", s)
	}
	links, err := os.ReadDir(filepath.Join(m.dev, "disk/by-label"))
	if err != nil || len(links) != n {
		t.Errorf("%d links, %v", len(links), err)
	}
}

// TestColdplugForgets: when events were lost, a disk that went meanwhile is one
// that is not there.
func TestColdplugForgets(t *testing.T) {
	m := many(t, 3)
	m.Coldplug(t.Context())
	m.leave()
	if err := os.RemoveAll(filepath.Join(m.sys, "class/block/sd0001")); err != nil {
		t.Fatal(err)
	}
	m.Coldplug(t.Context())
	m.leave()
	var names []string
	for _, b := range m.Blocks() {
		names = append(names, b.Name)
	}
	if d := cmp.Diff([]string{"sd0000", "sd0002"}, names); d != "" {
		t.Error(d)
	}
}

// BenchmarkDisks is the cost of a disk among many: ns/disk must not grow with
// their number.
func BenchmarkDisks(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := many(b, n)
			for b.Loop() {
				m.Coldplug(b.Context())
				m.leave()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/disk")
		})
	}
}

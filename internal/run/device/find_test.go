package device

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/run/console"
)

func TestFindForms(t *testing.T) {
	m := newManager(console.NewLog(&strings.Builder{}), nil, t.TempDir(), t.TempDir())
	for _, b := range []Block{
		{Name: "sda", Number: "8:0"},
		{Name: "sda1", Disk: "sda", Part: 1, Number: "8:1", PartUUID: "AAAA-01"},
		{Name: "sda2", Disk: "sda", Part: 2, Number: "8:2", FS: "ext4", Label: "my root", UUID: "1234-ABCD", PartUUID: "aaaa-02", PartLabel: "Root Part"},
		{Name: "sdb2", Disk: "sdb", Part: 2, Number: "8:18"},
		{Name: "nvme300n1", Number: "259:300"},
	} {
		m.mu.Lock()
		m.note(b.Name, b, true)
		m.mu.Unlock()
	}
	for form, want := range map[string]string{
		"LABEL=my root": "sda2", `LABEL=my\x20root`: "sda2", `LABEL="my root"`: "sda2", "LABEL=My root": "", "LABEL=": "",
		"UUID=1234-abcd": "sda2", "UUID=1234-ABCD": "sda2", "PARTUUID=AAAA-02": "sda2", "PARTLABEL=Root Part": "sda2",
		"PARTUUID=aaaa-01/PARTNROFF=1": "sda2", "PARTUUID=aaaa-02/PARTNROFF=-1": "sda1", "PARTUUID=aaaa-01/PARTNROFF=5": "", "PARTUUID=aaaa-01/PARTNROFF=x": "", "PARTUUID=none/PARTNROFF=1": "",
		"8:2": "sda2", "8:99": "", "0802": "sda2", "802": "sda2", "0x802": "sda2", "259:300": "nvme300n1", "11032c": "nvme300n1", "zz": "", "8:": "",
	} {
		path, b, ok := m.Find(form)
		if ok != (want != "") || ok && (b.Name != want || filepath.Base(path) != want) {
			t.Errorf("%s: %s %s %v, want %q", form, path, b.Name, ok, want)
		}
	}
}

// TestRefresh: nodes that the device mapper's library made become links.
func TestRefresh(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"dm-0/dm/name": "vg-lv", "dm-1/dm/name": "has/slash", "dm-2/dm/name": "luks"} {
		p := filepath.Join(sys, "block", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dev, "mapper"), 0o755), os.WriteFile(filepath.Join(dev, "mapper/vg-lv"), nil, 0o600), os.Symlink("../dm-9", filepath.Join(dev, "mapper/luks"))); err != nil {
		t.Fatal(err)
	}
	m := newManager(console.NewLog(&strings.Builder{}), nil, sys, dev)
	if err := m.Refresh(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"vg-lv": "../dm-0", "luks": "../dm-2"} {
		if got, err := os.Readlink(filepath.Join(dev, "mapper", name)); got != want {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dev, "mapper")); len(left) != 2 {
		t.Errorf("%v", left)
	}
}

// TestParts: what is on a part of a volume is not found there.
func TestParts(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	fs := filepath.Join(dev, "dm-0")
	if err := os.WriteFile(fs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(fs, 4<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-L", "root", fs).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Link(fs, filepath.Join(dev, "dm-1")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"dm-0/dm/name": "vg-root_rimage_0", "dm-1/dm/name": "vg-root", "dm-0/dm/uuid": "LVM-x", "dm-1/dm/uuid": "LVM-y", "dm-0/size": "8192", "dm-1/size": "8192"} {
		p := filepath.Join(sys, "class/block", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	m := newManager(console.NewLog(&strings.Builder{}), nil, sys, dev)
	for name, want := range map[string]string{"dm-0": "", "dm-1": "root"} {
		if b, ok := m.probe(name); !ok || b.Label != want || b.Size != 4<<20 {
			t.Errorf("%s: %+v, %v", name, b, ok)
		}
	}
}

// TestArrays reads what sysfs has of arrays.
func TestArrays(t *testing.T) {
	sys := t.TempDir()
	for name, text := range map[string]string{
		"md127/md/array_state": "clean", "md127/md/level": "raid1", "md127/md/raid_disks": "2", "md127/md/degraded": "1", "md127/md/metadata_version": "1.2", "md127/md/dev-vda/state": "in_sync",
		"md126/md/array_state": "inactive", "md126/md/metadata_version": "external:ddf", "md126/md/level": "",
		"md125/md/array_state": "active", "md125/md/metadata_version": "external:/md126/0", "md125/md/level": "raid1",
	} {
		p := filepath.Join(sys, "block", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	m := newManager(console.NewLog(&strings.Builder{}), nil, sys, t.TempDir())
	got := map[string]Array{}
	for _, a := range m.Arrays() {
		got[a.Name] = a
	}
	if a := got["md127"]; !a.Up() || a.External || a.Degraded != 1 || a.Disks != 2 || len(a.Members) != 1 || a.Members[0] != "vda" {
		t.Errorf("%+v", a)
	}
	if a := got["md126"]; a.Up() || a.Level != "container" {
		t.Errorf("%+v", a)
	}
	if a := got["md125"]; !a.Up() || !a.External || a.Level != "raid1" {
		t.Errorf("%+v", a)
	}
}

// TestIdentify holds our reading against the programs that make filesystems.
func TestIdentify(t *testing.T) {
	const id = "12345678-1234-1234-1234-123456789abc"
	for _, c := range []struct {
		argv []string
		want Content
	}{
		{[]string{"mkfs.xfs", "-q", "-f", "-L", "xx", "-m", "uuid=" + id}, Content{FS: "xfs", Label: "xx", UUID: id}},
		{[]string{"mkfs.btrfs", "-q", "-f", "-L", "my pool", "-U", id}, Content{FS: "btrfs", Label: "my pool", UUID: id, Count: 1, Dev: 1}},
		{[]string{"mkfs.f2fs", "-q", "-f", "-l", "flash", "-U", id}, Content{FS: "f2fs", Label: "flash", UUID: id}},
		{[]string{"cryptsetup", "luksFormat", "-q", "--type", "luks2", "--label", "safe", "--uuid", id, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "/etc/hostname"}, Content{FS: "crypto_LUKS", Label: "safe", UUID: id, LUKS: 2}},
		{[]string{"cryptsetup", "luksFormat", "-q", "--type", "luks1", "--uuid", id, "--pbkdf-force-iterations", "1000", "--key-file", "/etc/hostname"}, Content{FS: "crypto_LUKS", UUID: id, LUKS: 1}},
	} {
		if _, err := exec.LookPath(c.argv[0]); err != nil {
			t.Fatalf("%v: install btrfs-progs, cryptsetup-bin, f2fs-tools and xfsprogs", err)
		}
		p := filepath.Join(t.TempDir(), "img")
		f, err := os.Create(p)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(320 << 20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(c.argv[0], append(c.argv[1:], p)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c.argv, err, out)
		}
		if got := Identify(f, 320<<20); got != c.want {
			t.Errorf("%v:\n%+v\n%+v", c.argv, got, c.want)
		}
	}
}

// TestMembers: marks of arrays, by their on-disk formats.
func TestMembers(t *testing.T) {
	const size = 4 << 20
	le := binary.LittleEndian
	v1 := func(at int64, says int64) []byte {
		b := make([]byte, size)
		sb := b[at:]
		le.PutUint32(sb, 0xa92b4efc)
		le.PutUint32(sb[4:], 1)
		copy(sb[16:], "0123456789abcdef")
		copy(sb[32:], "host:name")
		le.PutUint64(sb[144:], uint64(says/512))
		return b
	}
	const uuid = "30313233-3435-3637-3839-616263646566"
	end := int64(size-8192) &^ 4095
	old := make([]byte, size)
	sb := old[size-65536:]
	le.PutUint32(sb, 0xa92b4efc)
	le.PutUint32(sb[20:], 0x11111111)
	le.PutUint32(sb[32:], (size-65536)/1024)
	le.PutUint32(sb[52:], 0x22222222)
	le.PutUint32(sb[56:], 0x33333333)
	le.PutUint32(sb[60:], 0x44444444)
	ext := v1(end, end)
	copy(ext[1024+56:], "\x53\xef")
	pv := make([]byte, size)
	copy(pv[512:], "LABELONE")
	le.PutUint32(pv[512+20:], 32)
	copy(pv[512+24:], "LVM2 001abcdefghijklmnopqrstuvwxyzABCDEF")
	ddf, isw := make([]byte, size), make([]byte, size)
	copy(ddf[size-512:], "\xde\x11\xde\x11")
	copy(isw[size-1024:], "Intel Raid ISM Cfg Sig. 1.3")
	for name, c := range map[string]struct {
		b    []byte
		want Content
	}{
		"1.1": {v1(0, 0), Content{FS: "linux_raid_member", Label: "host:name", UUID: uuid}}, "1.2": {v1(4096, 4096), Content{FS: "linux_raid_member", Label: "host:name", UUID: uuid}},
		"1.0 before ext":     {ext, Content{FS: "linux_raid_member", Label: "host:name", UUID: uuid, Whole: true}},
		"1.0 of a partition": {v1(end, end-1<<20), Content{}},
		"0.90":               {old, Content{FS: "linux_raid_member", UUID: "11111111-2222-2222-3333-333344444444", Whole: true}},
		"pv":                 {pv, Content{FS: "LVM2_member", UUID: "abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF"}},
		"ddf":                {ddf, Content{FS: "ddf_raid_member", Whole: true}}, "isw": {isw, Content{FS: "isw_raid_member", Whole: true}},
	} {
		if got := Identify(bytes.NewReader(c.b), size); got != c.want {
			t.Errorf("%s:\n%+v\n%+v", name, got, c.want)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add([]byte("LUKS\xba\xbe\x00\x02"), int64(0))
	f.Add(append(make([]byte, 512), "LABELONE\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xffLVM2 001"...), int64(1<<21))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		c := Identify(bytes.NewReader(b), size)
		if c.FS == "" && c.UUID+c.Label != "" {
			t.Fatalf("%+v of nothing", c)
		}
		number(string(b))
		decode(string(b))
	})
}

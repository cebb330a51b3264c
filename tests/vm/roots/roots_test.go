// Package roots boots local roots in virtual machines: real arrays, volumes,
// encrypted devices and filesystems, made by the distribution's programs in a
// guest, found by a ramdisk that was built as an operator builds it.
package roots

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func TestMain(m *testing.M) { vmtest.Main(m) }

const (
	mib = 1 << 20
	// boot is what a boot may take on a slow, busy host.
	boot = 4 * time.Minute
	// off ends a boot that failed.
	off = " rd.shell=0 bareroot.emergency.delay=0 rd.emergency=poweroff"
)

// full is a ramdisk that assembles everything.
func full(t *testing.T) string {
	t.Helper()
	return vmtest.Ramdisk(t, "--add-feature", "mdraid lvm crypt fsck")
}

// start boots the full ramdisk.
func start(t *testing.T, words string, d ...qemu.Disk) *vmtest.VM {
	t.Helper()
	return vmtest.Boot(t, vmtest.Direct(t, full(t), words, d...))
}

// TestStack: LVM on LUKS on a RAID that lost a member, with the passphrase
// typed on the serial console, wrong at first.
func TestStack(t *testing.T) {
	d := makeDisks(t, "stack1 stack2")
	v := start(t, `root=/dev/vg-a/the-root rd.md.uuid=`+arrayUUID+` rd.luks.uuid=luks-`+luksUUID+` rd.lvm.lv=vg-a/the-root bareroot.degraded=5`, d["stack2"])
	v.Expect(`md\d+ lacks members; it is started with vda`, boot)
	v.Expect(`Passphrase for /dev/md\d+ \(luks-\S+\): `, boot)
	v.Send("guess\n")
	v.Expect(`the passphrase is wrong \(1 of 5\)`, boot)
	v.Expect(`try 2 of 5: `, boot)
	v.Send("secret\n")
	v.Expect(vmtest.Marker+` on /dev/mapper/vg--a-the--root ext4 rw\S* pid 1`, boot)
	v.Expect(`STACK md\d+ raid1 1 on vda`, time.Minute)
	v.Expect(`STACK dm-0 luks-\S+ on md`, time.Minute)
	v.Expect(`E:DM_UDEV_PRIMARY_SOURCE_FLAG=1`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

// TestStacks are roots on devices that are made of others.
func TestStacks(t *testing.T) {
	vmtest.AllOnly(t)
	d := makeDisks(t, "xfs", "thin", "ddf1 ddf2", "end1 end2", "log1 log2", "pool1 pool2", "key1")
	// Nothing on the command line but the root: what it needs is found.
	for _, c := range []struct{ name, words, want string }{
		{"xfs", "root=LABEL=xroot", `/dev/vda xfs rw`},
		{"thin", "root=/dev/mapper/thick-thin", `/dev/mapper/thick-thin ext4`},
		{"ddf1 ddf2", "root=LABEL=ddfroot", `/dev/md\d+ ext4`},
		{"end1 end2", "root=PARTUUID=" + partUUID, `/dev/md\d+p1 ext4`},
		{"log1 log2", "root=LABEL=logroot root.journaldev=/dev/disk/by-id/virtio-log2", `/dev/vd\w xfs \S*logdev=/dev/\S+`},
		{"pool1 pool2", "root=LABEL=pool rootflags=subvol=@", `/dev/vd\w btrfs \S*subvol=/@`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := start(t, c.words, pick(d, c.name)...)
			v.Expect(vmtest.Marker+` on `+c.want, boot)
			v.WaitPowerOff(time.Minute)
		})
	}
	t.Run("a key file on another disk", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "root.key"), []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		v := start(t, "root=/dev/mapper/vda_crypt rd.luks.key=/root.key:LABEL=keys", d["key1"], qemu.Disk{Path: ext(t, "keys", dir)})
		v.Expect(vmtest.Marker+` on /dev/mapper/vda_crypt ext4`, boot)
		v.WaitPowerOff(time.Minute)
	})
	t.Run("btrfs without its other device", func(t *testing.T) {
		v := start(t, "root=LABEL=pool rd.retry=5"+off, d["pool2"])
		v.Expect(`btrfs \S+ has 2 devices, seen are device 2 on vda; missing: device 1`, boot)
		v.WaitPowerOff(time.Minute)
	})
	t.Run("nobody knows the passphrase", func(t *testing.T) {
		v := start(t, "root=/dev/mapper/luks-x rd.auto rd.luks.options=tries=2"+off, d["key1"])
		v.Expect(`Passphrase for /dev/vda \(luks-\S+\): `, boot)
		v.Send("one\n")
		v.Expect(`try 2 of 2: `, boot)
		v.Send("two\n")
		v.Expect(`FAILED: .*no key or passphrase fits after 2 tries`, boot)
		v.WaitPowerOff(time.Minute)
	})
}

func pick(d map[string]qemu.Disk, names string) []qemu.Disk {
	var out []qemu.Disk
	for _, n := range splitNames(names) {
		out = append(out, d[n])
	}
	return out
}

// all is every match of a pattern on the console so far.
func all(v *vmtest.VM, pattern string) []string {
	return regexp.MustCompile(pattern).FindAllString(v.Text(), -1)
}

// expectAll wants each of these on the console, in any order.
func expectAll(t *testing.T, v *vmtest.VM, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if len(all(v, p)) == 0 {
			t.Errorf("not on the console: %s\n%s", p, v.Text())
		}
	}
}

package roots

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestUdevOfTheRoot: the root's own udev, with the device mapper's and LVM's
// rules, takes the volumes that init activated for usable; a root with systemd
// would wait for them otherwise. The control is the same without our records.
func TestUdevOfTheRoot(t *testing.T) {
	vmtest.AllOnly(t)
	tree := vmtest.MarkerTree(t, `
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmp /tmp
look() {
  udevadm trigger --action=add --subsystem-match=block
  udevadm settle
  for d in /sys/block/dm-*; do
    echo "$1 $(cat $d/dm/name) $(udevadm info -q property $d | grep -E '^(SYSTEMD_READY|DM_UDEV_DISABLE_OTHER_RULES_FLAG|DM_NAME|ID_FS_LABEL)=' | tr '\n' ' ')"
  done
}
/usr/lib/systemd/systemd-udevd --daemon
look OURS
ls -l /dev/mapper /dev/vg
rm -rf /run/udev/data
look CONTROL`)
	copyIn := func(p string) {
		t.Helper()
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatalf("%v: scripts/packages check", err)
		}
		to := filepath.Join(tree, p)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"/usr/lib/systemd/systemd-udevd", "udevadm", "dmsetup", "lvm"} {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Fatalf("%v: scripts/packages check", err)
		}
		copyIn(path)
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, lib := range regexp.MustCompile(`/\S+`).FindAllString(string(out), -1) {
			copyIn(lib)
		}
	}
	tool(t, "cp", "-a", "/usr/lib/udev", filepath.Join(tree, "usr/lib/"))
	// The rules' programs are looked for in /lib and /sbin.
	tool(t, "sh", "-c", `cd "$0" && mkdir -p lib && ln -s ../usr/lib/udev lib/udev && cp -an usr/sbin/. sbin/ 2>/dev/null; true`, tree)
	disk := vmtest.BlankDisk(t, 192*mib)
	tool(t, "mkfs.ext4", "-q", "-F", "-L", "udevroot", "-d", tree, disk)
	vg := vmtest.BlankDisk(t, 320*mib)
	vmtest.Prepare(t, []string{"lvm", "mkfs.ext4", "dd"}, "", `
export DM_DISABLE_UDEV=1
modprobe dm_mod
lvm vgcreate -q vg /dev/vda
lvm lvcreate -q -y -L 192M -n root vg
lvm lvcreate -q -y -L 32M -n data vg
dd if=/dev/vdb of=/dev/vg/root bs=1M
mkfs.ext4 -q -L data /dev/vg/data
lvm vgchange -q -an`, qemu.Disk{Path: vg}, qemu.Disk{Path: disk})
	v := start(t, "root=/dev/vg/root rd.lvm.vg=vg", qemu.Disk{Path: vg})
	v.Expect(vmtest.Marker+` on /dev/mapper/vg-root ext4`, boot)
	v.WaitPowerOff(boot)
	said := func(who, lv string) string {
		m := regexp.MustCompile(who + ` vg-` + lv + ` (.*)`).FindStringSubmatch(v.Text())
		if m == nil {
			t.Fatalf("nothing was said of %s:\n%s", lv, v.Text())
		}
		return m[1]
	}
	for _, lv := range []string{"data", "root"} {
		got := said("OURS", lv)
		if regexp.MustCompile(`SYSTEMD_READY=0|DISABLE_OTHER`).MatchString(got) || !regexp.MustCompile(`DM_NAME=vg-`+lv).MatchString(got) {
			t.Errorf("the root's udev says of %s: %s", lv, got)
		}
		if got := said("CONTROL", lv); !regexp.MustCompile(`DISABLE_OTHER_RULES_FLAG=1`).MatchString(got) {
			t.Errorf("without our records it says the same of %s (%s), so this test proves nothing", lv, got)
		}
	}
}

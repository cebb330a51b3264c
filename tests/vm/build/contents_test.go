package build

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"

	"bareroot/tests/vm/vmtest"
)

// TestContents: what the options put in is there and works: programs with
// libraries and names to look up, trees with modes and capabilities, hooks,
// drivers forced and left out, firmware in each form, microcode in front.
func TestContents(t *testing.T) {
	tree, root := t.TempDir(), t.TempDir()
	put(t, 0o640, "secret\n", tree, "etc/secret")
	put(t, 0o755|os.ModeSetuid, "#!/bin/sh\necho ran\n", tree, "lib/mine/tool")
	put(t, 0o755, "mine\n", tree, "usr/bin/true")
	if err := os.Symlink("../lib/mine/tool", filepath.Join(tree, "etc/link")); err != nil {
		t.Fatal(err)
	}
	// cap_net_raw, permitted and effective (capabilities(7), revision 2).
	file := put(t, 0o755, "#!/bin/sh\n", tree, "opt/raw")
	capability := make([]byte, 20)
	binary.LittleEndian.PutUint32(capability, 0x02000001)
	binary.LittleEndian.PutUint32(capability[4:], 1<<unix.CAP_NET_RAW)
	if err := unix.Setxattr(file, "security.capability", capability, 0); err != nil {
		t.Fatalf("give %s a capability: %v", file, err)
	}
	firmware(t, root)
	put(t, 0o644, "not for any processor", root, "intel-ucode/06-01")
	put(t, 0o644, "nor this", root, "amd-ucode/fam99.bin")
	checks := `
		hook-mode [ "$(stat -c %a /usr/lib/bareroot/hooks/pre-trigger.d/look)" = 755 ]
		libraries curl --version | grep -q libcurl
		names [ "$(id -un nobody)" = nobody ] && getent hosts localhost | grep -q localhost
		nsswitch grep -q '^hosts: files dns' /etc/nsswitch.conf
		mode [ "$(stat -c %a /etc/secret)" = 640 ] && grep -qx secret /etc/secret
		setuid [ "$(stat -c %a /usr/lib/mine/tool)" = 4755 ]
		link [ "$(/etc/link)" = ran ]
		own-file-wins grep -qx mine /usr/bin/true
		capability getcap /opt/raw | grep -q cap_net_raw=ep
		forced [ -d /sys/module/dummy ]
		omitted ! find /usr/lib/modules -name 'e1000.ko*' | grep -q . && ! modprobe e1000
		firmware-module modprobe test_firmware
		firmware-plain echo -n feat/plain.bin >/sys/devices/virtual/misc/test_firmware/trigger_request && grep -qx plain /dev/test_firmware
		firmware-xz echo -n feat/xz.bin >/sys/devices/virtual/misc/test_firmware/trigger_request && grep -qx xz /dev/test_firmware
		firmware-zst echo -n feat/zst.bin >/sys/devices/virtual/misc/test_firmware/trigger_request && grep -qx zst /dev/test_firmware
		firmware-omitted ! echo -n feat/omitted.bin >/sys/devices/virtual/misc/test_firmware/trigger_request
		microcode [ "$(cat /kernel/x86/microcode/GenuineIntel.bin)" = "not for any processor" ] && [ "$(cat /kernel/x86/microcode/AuthenticAMD.bin)" = "nor this" ]
		modprobe-d grep -rq . /etc/modprobe.d
	`
	ramdisk := vmtest.Ramdisk(t, "--compress", "lz4", "--drivers", "virtio_pci test_firmware", "--force-drivers", "dummy", "--omit-drivers", "e1000",
		"--firmware-dir", root, "--firmware", "feat/*", "--omit-firmware", "feat/omitted.bin", "--microcode",
		"--install", "curl id getent true", "--install-optional", "getcap no-such-program", "--include", tree, "/", "--hook", "pre-trigger", look(t, checks))
	looked(t, ramdisk, "", checks)
}

// firmware makes the files of feat/ in each form.
func firmware(t *testing.T, root string) {
	t.Helper()
	put(t, 0o644, "plain\n", root, "feat/plain.bin")
	put(t, 0o644, "omitted\n", root, "feat/omitted.bin")
	x, err := os.Create(filepath.Join(root, "feat/xz.bin.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	// The kernel's decoder knows CRC32 only.
	xw, err := xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xw.Write([]byte("xz\n")); err != nil {
		t.Fatal(err)
	}
	if err := xw.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	put(t, 0o644, string(e.EncodeAll([]byte("zst\n"), nil)), root, "feat/zst.bin.zst")
}

// TestDistroTools: the distribution's shell and tools in busybox's place.
func TestDistroTools(t *testing.T) {
	vmtest.AllOnly(t)
	checks := `
		no-busybox [ ! -e /usr/bin/busybox ]
		shell [ "$(readlink /proc/$$/exe)" != /usr/bin/busybox ]
		bash bash -c 'x=(a b); [ "${x[1]}" = b ]'
		coreutils [ "$(echo 'b a' | tr ' ' '\n' | sort | head -1 | wc -c)" = 2 ] && cp /etc/passwd /tmp/p && sha256sum /tmp/p && stat /tmp/p && rm /tmp/p
		text echo abc | sed s/b/x/ | grep -q axc && echo 1 2 | awk '{exit !($1+$2 == 3)}'
		find find /etc -name passwd | xargs cat | grep -q root
		archives tar -C / -cf - etc | gzip | gzip -d | tar -tf - | grep -q etc/passwd
		processes ps -e | grep -q init && kill -0 1
		mounts mount -t tmpfs x /mnt && findmnt /mnt && mountpoint -q /mnt && umount /mnt
		blocks lsblk && blkid; true
		network ip link show lo | grep -q LOOPBACK && ip link set lo up && ping -c 1 127.0.0.1
		modules lsmod | grep -q dummy && modprobe e1000 && modinfo dummy | grep -q GPL && modinfo pci:v00008086d0000100Esv0sd0bc02sc00i00 | grep -q e1000
		names [ "$(id -un)" = root ]
		kernel [ "$(uname -s)" = Linux ] && dmesg | grep -q Linux
	`
	ramdisk := vmtest.Ramdisk(t, "--tools", "distro", "--drivers", "virtio_pci e1000", "--force-drivers", "dummy", "--hook", "pre-trigger", look(t, checks))
	looked(t, ramdisk, "", checks)
}

package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestARM64 builds a boot set from a tree of arm64, of which nothing can run
// here, and starts it on a machine of arm64: to a root on its disk, and to the
// shell, where a program with libraries runs.
func TestARM64(t *testing.T) {
	vmtest.AllOnly(t)
	vmtest.Need(t)
	tree := tree(t, "arm64", armPackages)
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		t.Fatal(err)
	}
	own := programs(t)
	set := filepath.Join(t.TempDir(), "set")
	if _, err := hosttool.Run(t.Context(), bin, "build", "--sysroot", tree.Root, "--init", filepath.Join(own, "bareroot-init"),
		"--agent", filepath.Join(own, "bareroot-agent"), "--role", "root", "--install", "mke2fs /sbin/e2fsck",
		"--format", "dir", "-o", set); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(set, "[0-9]*.cpio*"))
	if err != nil || len(segments) < 4 {
		t.Fatalf("segments %q, %v", segments, err)
	}
	script := "uname -m"
	disk := vmtest.BlankDisk(t, 32<<20)
	marker := vmtest.MarkerTree(t, script)
	box, err := os.ReadFile(filepath.Join(tree.Root, "bin/busybox"))
	if err == nil {
		err = os.WriteFile(filepath.Join(marker, "bin/busybox"), box, 0o755)
	}
	if err == nil {
		_, err = hosttool.Run(t.Context(), "mkfs.ext4", "-q", "-F", "-L", "marker", "-d", marker, disk)
	}
	if err != nil {
		t.Fatal(err)
	}
	spec := qemu.Spec{Name: "arm", Arch: qemu.ARM64, Kernel: filepath.Join(set, "vmlinuz"), Initrds: segments, MemoryMiB: 1024,
		Append: "console=ttyAMA0 panic=-1 root=LABEL=marker", Disks: []qemu.Disk{{Path: disk}, {Size: 16 << 20, Bus: "scsi"}}}
	v := vmtest.Boot(t, spec)
	v.Expect(vmtest.Marker+` on /dev/vda ext4 .*\n`, 2*time.Minute)
	v.Expect(`aarch64\r?\n`, time.Minute)
	v.WaitPowerOff(time.Minute)

	spec.Append = "console=ttyAMA0 panic=-1 rd.break"
	v = vmtest.Boot(t, spec)
	v.Expect(`bareroot:\S* *# `, 2*time.Minute)
	v.Send("until [ -b /dev/sda ]; do sleep 1; done; mke2fs -q -L made /dev/sda && e2fsck -fn /dev/sda; echo e2fsck says $?\n")
	v.Expect(`e2fsck says 0\r?\n`, time.Minute)
	v.Send("poweroff -f\n")
	v.WaitPowerOff(time.Minute)
	if !v.DiskHas(1, 1024+0x78, []byte("made")) {
		t.Error("the disk has no filesystem of this name")
	}
}

// tree is a root that was never installed.
func tree(t *testing.T, arch string, packages []string) distro.Found {
	t.Helper()
	if rel, err := distro.Detect(); err == nil && rel.ID != "debian" {
		t.Skipf("packages that are unpacked and not installed come from Debian's archive, and this is %s %s", rel.ID, rel.Version)
	}
	k, err := distro.Tree(t.Context(), vmtest.CacheDir(t), arch, packages...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// programs makes the ramdisk's own programs for arm64, as ./test does before.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	top := strings.TrimSuffix(dir, "/tests/vm/host")
	bin := t.TempDir()
	if _, err := hosttool.Run(t.Context(), "make", "-s", "-C", top, "build", "ARCH=arm64", "BIN="+bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

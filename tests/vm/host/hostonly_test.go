package host

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bareroot/internal/bootset"
	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// boot is what a boot may take on a slow, busy host.
const boot = 4 * time.Minute

// inside is what the machine does when it is told to: it builds a boot set for
// itself. Beside the root's disks it has one with kernel and programs, and one
// that is a tar archive, of bareroot first and then of what was made. They are
// known by their serial numbers: which disk is vda is not the same in each boot.
const inside = `
[ -d /sys/block ] || mount -t sysfs sysfs /sys
if grep -q hostbuild /proc/cmdline; then
  disk() { while :; do for b in /sys/block/vd*; do [ "$(cat $b/serial)" = $1 ] && echo /dev/${b##*/} && return; done; sleep 1; done; }
  tree=$(disk TREE) io=$(disk IO)
  mount -o ro $tree /mnt
  cd /tmp
  tar xf $io
  ./bareroot build --sysroot /mnt --hostonly --hostonly-mode strict --no-cache --format dir -o set 2>&1
  echo BUILT $?
  tar cf $io set
fi
`

// kind is a machine by what its root stands on.
type kind struct {
	disks    int
	make     string   // prepares the disks in a guest; empty: one disk, ext4
	programs []string // for it
	first    string   // words for the boot with the generic ramdisk
	fstab    string   // line of /
	root     string   // pattern of what the marker stands on
	type1    string   // typed at the first boot when a passphrase is asked for
	crypttab string   // by which the second boot opens the root, with a key of it
	words    []string // of the command line built in
	in, out  []string // modules
	features []string // words of reasons in files.json
}

// TestHostonly builds on a machine for this machine, from its own /sys and
// /proc, and starts it again with what it built and no word on the kernel's
// command line.
func TestHostonly(t *testing.T) {
	kernel, root := vmtest.Kernel(t), t.TempDir()
	for dir, files := range map[string][]string{"boot": {kernel.Image}, "bin": {"/bin/busybox"}, "lib/modules": {kernel.ModulesDir}} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := hosttool.Run(t.Context(), append([]string{"cp", "-a", "--reflink=auto", "-t", filepath.Join(root, dir)}, files...)...); err != nil {
			t.Fatal(err)
		}
	}
	hostonly(t, root, vmtest.Ramdisk(t), kind{
		disks: 1, first: "root=LABEL=hostroot", fstab: "LABEL=hostroot / ext4 errors=remount-ro 0 1", root: `/dev/vd\w ext4`,
		words: []string{"root=UUID=", "rootfstype=ext4"},
		in:    []string{"virtio_blk", "virtio_pci", "ext4", "jbd2"},
		out:   []string{"btrfs", "xfs", "nvme", "sd_mod", "e1000e", "dm-mod", "md-mod", "overlay", "usbhid", "psmouse"},
	})
}

// TestHostonlyStacks: the same with stacks under the root.
func TestHostonlyStacks(t *testing.T) {
	vmtest.AllOnly(t)
	vmtest.Need(t)
	root := tree(t, "amd64", hostPackages).Root
	// The disk with kernel and programs is ext4, which a root on btrfs cannot load.
	generic := vmtest.Ramdisk(t, "--add-feature", "mdraid lvm crypt", "--force-drivers", "ext4")
	const (
		install = "\nmkdir /new; mount -t %s %s /new; cp -a /marker/. /new; umount /new\n"
		luks    = "6f4bf1a4-0f65-4d8c-8d32-2a4a34d12c11"
	)
	for name, k := range map[string]kind{
		"LVM on RAID1": {
			disks: 2, programs: []string{"mdadm", "lvm", "mkfs.ext4"},
			make: `export MDADM_NO_UDEV=1 DM_DISABLE_UDEV=1
modprobe raid1; modprobe dm_mod
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --assume-clean --homehost=any --name=sys /dev/vda /dev/vdb
lvm pvcreate /dev/md0; lvm vgcreate vg-b /dev/md0; lvm lvcreate -y -n root -l 90%FREE vg-b
mkfs.ext4 -q /dev/vg-b/root` + fmt.Sprintf(install, "ext4", "/dev/vg-b/root") + "lvm vgchange -an; mdadm --stop /dev/md0",
			first: "root=/dev/vg-b/root", fstab: "/dev/mapper/vg--b-root / ext4 defaults 0 1", root: `/dev/mapper/vg--b-root ext4`,
			words: []string{"root=/dev/mapper/vg--b-root", "rootfstype=ext4", "rd.lvm.lv=vg-b/root", "rd.md.uuid="},
			in:    []string{"virtio_blk", "ext4", "dm-mod", "md-mod", "raid1"}, out: []string{"raid10", "raid456", "dm-crypt", "dm-cache", "xts", "btrfs"},
			features: []string{"usr/sbin/mdadm", "usr/sbin/lvm"},
		},
		"LUKS on LVM": {
			disks: 1, programs: []string{"lvm", "cryptsetup", "mkfs.ext4"},
			make: `export DM_DISABLE_UDEV=1
for m in dm_crypt dm_mod xts; do modprobe $m; done
lvm pvcreate /dev/vda; lvm vgcreate vgc /dev/vda; lvm lvcreate -y -n cry -l 90%FREE vgc
printf secret | cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid ` + luks + ` --key-file - /dev/vgc/cry
printf secret | cryptsetup open --key-file - /dev/vgc/cry plain
mkfs.ext4 -q -L croot /dev/mapper/plain` + fmt.Sprintf(install, "ext4", "/dev/mapper/plain") + "cryptsetup close plain; lvm vgchange -an",
			first: "root=LABEL=croot rd.luks.uuid=" + luks, fstab: "LABEL=croot / ext4 defaults 0 1", root: `/dev/\S+ ext4`, type1: "secret\n",
			crypttab: "luks-" + luks + " UUID=" + luks + " /etc/keys/root.key luks,discard,x-initrd.attach",
			words:    []string{"root=UUID=", "rd.luks.uuid=" + luks, "rd.lvm.lv=vgc/cry"},
			in:       []string{"virtio_blk", "ext4", "dm-mod", "dm-crypt", "xts", "aesni-intel", "algif_skcipher"}, out: []string{"md-mod", "dm-cache", "twofish_generic", "btrfs"},
			features: []string{"usr/sbin/cryptsetup", "usr/sbin/lvm", "etc/crypttab", "etc/keys/root.key"},
		},
		"btrfs on two disks": {
			disks: 2, programs: []string{"mkfs.btrfs", "btrfs"},
			make: `modprobe btrfs
mkfs.btrfs -q -L droot -d raid1 -m raid1 /dev/vda /dev/vdb
btrfs device scan
mkdir /new; mount -t btrfs /dev/vda /new; btrfs subvolume create /new/@; cp -a /marker/. /new/@; umount /new`,
			first: "root=LABEL=droot rootflags=subvol=@", fstab: "LABEL=droot / btrfs compress=zstd:1,subvol=/@ 0 0", root: `/dev/vd\w btrfs .*subvol=/@`,
			words: []string{"root=UUID=", "rootfstype=btrfs", "rootflags=compress=zstd:1,subvol=/@"},
			in:    []string{"virtio_blk", "btrfs", "raid6_pq"}, out: []string{"md-mod", "dm-mod", "ext4", "xfs"},
		},
	} {
		t.Run(name, func(t *testing.T) { hostonly(t, root, generic, k) })
	}
}

func hostonly(t *testing.T, tree, generic string, k kind) {
	t.Helper()
	// What the machine has beside its root, for one boot.
	programs := filepath.Join(t.TempDir(), "tree")
	if _, err := hosttool.Run(t.Context(), "mkfs.ext4", "-q", "-F", "-d", tree, programs, "900M"); err != nil {
		t.Fatal(err)
	}
	io := vmtest.BlankDisk(t, 160<<20)
	if err := pack(io); err != nil {
		t.Fatal(err)
	}
	script := "echo '" + k.fstab + "' >/etc/fstab\n"
	if k.crypttab != "" {
		script += "mkdir -p /etc/keys; printf secret >/etc/keys/root.key; echo '" + k.crypttab + "' >/etc/crypttab\n"
	}
	script += inside
	var disks []qemu.Disk
	if k.make == "" {
		disks = append(disks, qemu.Disk{Path: vmtest.MarkerRoot(t, 256<<20, script, "mkfs.ext4", "-q", "-F", "-L", "hostroot")})
	} else {
		for range k.disks {
			disks = append(disks, qemu.Disk{Path: vmtest.BlankDisk(t, 320<<20)})
		}
		vmtest.Prepare(t, k.programs, script, k.make, disks...)
	}
	more := []qemu.Disk{{Path: programs, Serial: "TREE"}, {Path: io, Serial: "IO"}}
	v := vmtest.Boot(t, vmtest.Direct(t, generic, k.first+" hostbuild", slices.Concat(disks, more)...))
	if k.type1 != "" {
		v.Expect(`Passphrase for .*\(luks-[^)]*\): `, boot) // init says before that it will ask
		v.Send(k.type1)
	}
	v.Expect(vmtest.Marker+` on `+k.root, boot)
	if got := v.Expect(`BUILT (\d+)\n`, boot); got[1] != "0" {
		t.Fatalf("the build ended with exit code %s", got[1])
	}
	v.WaitPowerOff(boot)

	set := t.TempDir()
	if _, err := hosttool.Run(t.Context(), "tar", "-C", set, "--strip-components=1", "-xf", io); err != nil {
		t.Fatal(err)
	}
	k.check(t, set)
	spec := vmtest.Direct(t, "", "", disks...)
	var err error
	if spec.Initrds, err = filepath.Glob(filepath.Join(set, "[0-9]*.cpio*")); err != nil || len(spec.Initrds) < 3 {
		t.Fatalf("segments %q, %v", spec.Initrds, err)
	}
	v = vmtest.Boot(t, spec)
	v.Expect(vmtest.Marker+` on `+k.root, boot)
	v.WaitPowerOff(time.Minute)
}

// check looks at what was built.
func (k kind) check(t *testing.T, set string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(set, "files.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []bootset.File
	if err := json.Unmarshal(b, &files); err != nil {
		t.Fatal(err)
	}
	why := map[string]string{}
	var modules []string
	for _, f := range files {
		why[f.Path] = f.Why
		if name, ok := strings.CutSuffix(filepath.Base(f.Path), ".ko.zst"); ok {
			why[name] = f.Why
			modules = append(modules, name)
		}
	}
	t.Logf("%d modules: %q", len(modules), modules)
	for _, m := range slices.Concat(k.in, k.features) {
		if why[m] == "" {
			t.Errorf("%s is not in", m)
		}
	}
	for _, m := range k.out {
		if w, ok := why[m]; ok {
			t.Errorf("%s is in: %s", m, w)
		}
	}
	if !strings.Contains(why["virtio_blk"], "under the root filesystem") {
		t.Errorf("virtio_blk is in because it %q", why["virtio_blk"])
	}
	config, err := os.ReadFile(filepath.Join(set, "50-config.cpio"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range k.words {
		if !strings.Contains(string(config), w) {
			t.Errorf("the word %s is not in", w)
		}
	}
}

// pack writes this checkout's programs as a tar archive over the disk's start.
func pack(disk string) (err error) {
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	for _, name := range []string{"bareroot", "bareroot-init"} {
		path, err := vmtest.Program(name)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(b))}); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Close()
}

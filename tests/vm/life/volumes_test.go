package life

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
	"bareroot/internal/lab/sysimage"
	"bareroot/tests/vm/vmtest"
)

// volumePackages are what the root needs beside systemd for its volumes.
var volumePackages = []string{"lvm2", "mdadm", "cryptsetup-bin"}

// more is a disk with volumePackages and the modules of the tests' kernel for
// them, to be copied over a root.
func more(t *testing.T) string {
	t.Helper()
	packages, err := distro.Packages(t.Context(), vmtest.CacheDir(t), "amd64", volumePackages...)
	if err != nil {
		t.Fatal(err)
	}
	k, tree := vmtest.Kernel(t), t.TempDir()
	mods := filepath.Join(tree, "lib/modules", k.Version)
	if err := os.MkdirAll(mods, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"bin", "sbin", "lib", "usr", "etc"} {
		if _, err := os.Stat(filepath.Join(packages, d)); err == nil {
			tool(t, "cp", "-a", "--no-preserve=ownership", "-t", tree, filepath.Join(packages, d))
		}
	}
	copied := 0
	err = filepath.WalkDir(k.ModulesDir, func(p string, d fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(k.ModulesDir, p)
		if err != nil || rerr != nil || d.IsDir() {
			return err
		}
		for _, part := range []string{"modules.", "kernel/drivers/md/", "kernel/crypto/", "kernel/arch/x86/crypto/", "kernel/lib/"} {
			if strings.HasPrefix(rel, part) {
				copied++
				tool(t, "install", "-D", "-m", "644", p, filepath.Join(mods, rel))
			}
		}
		return nil
	})
	if err != nil || copied < 20 {
		t.Fatalf("%d modules in %s, %v", copied, k.ModulesDir, err)
	}
	disk := filepath.Join(t.TempDir(), "more")
	tool(t, "mkfs.ext4", "-q", "-F", "-d", tree, disk, "400M")
	return disk
}

func tool(t *testing.T, argv ...string) {
	t.Helper()
	if _, err := hosttool.Run(t.Context(), argv...); err != nil {
		t.Fatal(err)
	}
}

// TestVolumes: a whole system with systemd on a volume of LVM, whose fstab has
// another volume by UUID, an array by LABEL and an encrypted device. It comes
// up whole and without waiting for devices, whether init assembled only the
// root's, or all; and each time it goes down by the ramdisk.
func TestVolumes(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	const dataUUID, bound = "22222222-3333-4444-8555-666666666666", 8 * time.Minute
	img, err := sysimage.Build(t.Context(), vmtest.CacheDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "disk.raw")
	if err := unpack(img.RawZst, image); err != nil {
		t.Fatal(err)
	}
	vg, secret := qemu.Disk{Path: vmtest.BlankDisk(t, 960<<20)}, qemu.Disk{Path: vmtest.BlankDisk(t, 64<<20)}
	one, two := qemu.Disk{Path: vmtest.BlankDisk(t, 64<<20)}, qemu.Disk{Path: vmtest.BlankDisk(t, 64<<20)}
	vmtest.Prepare(t, []string{"cryptsetup", "lvm", "mdadm", "mkfs.ext4", "resize2fs", "dd"}, "true", `
export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
for m in dm_crypt dm_mod xts raid1; do modprobe $m; done
lvm vgcreate -q vg /dev/vda
lvm lvcreate -q -y -L 860M -n root vg
lvm lvcreate -q -y -L 64M -n data vg
most=0
for p in /sys/block/vdb/vdb*; do
  if [ $(cat $p/size) -gt $most ]; then most=$(cat $p/size); from=/dev/${p##*/}; fi
done
dd if=$from of=/dev/vg/root bs=4M
resize2fs -f /dev/vg/root
mkfs.ext4 -q -U `+dataUUID+` /dev/vg/data
printf 0123456789 >/key
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid `+luksUUID+` --key-file /key /dev/vdc
cryptsetup open --key-file /key /dev/vdc plain
mkfs.ext4 -q /dev/mapper/plain
cryptsetup close plain
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --homehost=any --name=array /dev/vdd /dev/vde
mkfs.ext4 -q -L array /dev/md0
mdadm --stop /dev/md0
mkdir /new /more
mount /dev/vg/root /new
mount -o ro /dev/vdf /more
for d in bin sbin lib usr; do
  [ ! -d /more/$d ] && continue
  to=/new/usr/$d
  [ $d = usr ] && to=/new/usr
  cp -af /more/$d/. $to
done
cp -a /more/etc/lvm /new/etc/
cp /key /new/etc/secret.key; chmod 600 /new/etc/secret.key
mkdir /new/array /new/secret
cat >/new/etc/fstab <<F
/dev/mapper/vg-root / ext4 defaults 0 1
UUID=`+dataUUID+` /srv ext4 defaults 0 2
LABEL=array /array ext4 defaults 0 2
/dev/mapper/secret /secret ext4 defaults 0 2
F
echo "secret UUID=`+luksUUID+` /etc/secret.key luks" >/new/etc/crypttab
ln -s /dev/null /new/etc/systemd/system/mdmonitor.service # nobody configured where it writes to
umount /new
lvm vgchange -q -an`, vg, qemu.Disk{Path: image}, secret, one, two, qemu.Disk{Path: more(t)})
	ramdisk := vmtest.Ramdisk(t, "--add-feature", "lvm mdraid crypt fsck")
	for name, words := range map[string]string{"the root's only": "root=/dev/vg/root", "all": "root=LABEL=root rd.auto=1 rd.luks=0"} {
		t.Run(name, func(t *testing.T) {
			v := vmtest.Boot(t, vmtest.Direct(t, ramdisk, words+" rw systemd.show_status=1", vg, secret, one, two))
			v.Expect(`switching to `, bound)
			v.Expect(`login: `, bound)
			v.Send("root\n")
			v.Expect(`root@\S+# `, bound)
			v.Send("systemctl is-system-running --wait; systemctl list-units --failed --no-legend; for d in / /srv /array /secret; do findmnt -no SOURCE,TARGET $d; done; " +
				"journalctl -b -t bareroot -o cat --no-pager | grep 'switching to'; echo end-$((40+2))\n")
			state := v.Expect(`(?s)echo end.*end-42`, bound)[0]
			for _, want := range []string{"running", "/dev/mapper/vg-root", "/dev/mapper/vg-data", "/dev/md", "/dev/mapper/secret", "switching to "} {
				if !strings.Contains(state, want) {
					t.Errorf("the root lacks %q:\n%s", want, state)
				}
			}
			// Not "degraded": mdadm's timer for arrays that lack disks has it in its name.
			for _, bad := range []string{"Timed out waiting", "DEPEND"} {
				if strings.Contains(v.Text(), bad) {
					t.Errorf("the root's console says %q", bad)
				}
			}
			v.Send("systemctl poweroff\n")
			v.Expect(`poweroff: the ramdisk takes the root apart`, bound)
			v.Expect(`the old root is unmounted`, bound)
			v.Expect(`all that the root stood on is released`, bound)
			v.WaitPowerOff(bound)
		})
	}
}

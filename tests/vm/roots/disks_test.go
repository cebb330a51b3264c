package roots

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// stand says what the root stands on, from its own /sys, and what init told
// the root's udev.
const stand = `
for b in /sys/block/md* /sys/block/dm-*; do
  [ -e $b ] || continue
  echo STACK ${b##*/} $(cat $b/dm/name $b/md/level $b/md/degraded 2>/dev/null) on $(ls $b/slaves)
  echo MORE ${b##*/} $(cat $b/dm/uuid $b/md/metadata_version $b/md/sync_action 2>/dev/null)
done
ls -l /dev/mapper
grep DM_ /run/udev/data/*
ls /usr /on-a-disk
cat /proc/mounts`

const (
	arrayUUID = "aaaaaaaa:bbbbbbbb:cccccccc:dddddddd"
	luksUUID  = "11111111-2222-4333-8444-555555555555"
	oldUUID   = "01234567:89abcdef:01234567:89abcdef"
	syncUUID  = "cccccccc:bbbbbbbb:cccccccc:dddddddd"
	partUUID  = "33333333-2222-4333-8444-555555555555"
)

// made are the disks that need programs and modules of a guest to be made, by
// what is on them. One guest makes all: a boot takes longer than the work.
var made = []struct {
	names  string
	size   int64
	script string
}{
	// Intel's metadata needs disks with serial numbers, and a machine that has
	// no Intel firmware.
	{"scsi:imsm1 scsi:imsm2", 96 * mib, `
export IMSM_NO_PLATFORM=1
mdadm --create /dev/md/imsm --run --metadata=imsm --raid-devices=2 $imsm1 $imsm2
mdadm --create /dev/md/ivol --run --level=1 --raid-devices=2 --size=60M /dev/md/imsm
mkfs.ext4 -q -L imsmroot /dev/md/ivol
fill /dev/md/ivol
mdadm --wait-clean --scan || true
mdadm --stop /dev/md/ivol
mdadm --stop /dev/md/imsm`},
	// The oldest superblock, at the end, with a filesystem that shows on each member.
	{"scsi:old1 scsi:old2", 64 * mib, `
mdadm --create /dev/md2 --run --level=1 --raid-devices=2 --metadata=0.90 --uuid=` + oldUUID + ` $old1 $old2
mkfs.ext4 -q -L oldroot /dev/md2
fill /dev/md2
mdadm --stop /dev/md2`},
	// An array that is not synchronised when it is stopped.
	{"scsi:sync1 scsi:sync2", 512 * mib, `
echo 1 >/proc/sys/dev/raid/speed_limit_min
echo 1 >/proc/sys/dev/raid/speed_limit_max
mdadm --create /dev/md3 --run --level=1 --raid-devices=2 --metadata=1.2 --bitmap=none --homehost=other --name=sync --uuid=` + syncUUID + ` $sync1 $sync2
mkfs.ext4 -q -L syncroot -E lazy_itable_init=1 /dev/md3
fill /dev/md3
mdadm --stop /dev/md3`},
	{"scsi:fast1 scsi:fast2", 96 * mib, `
lvm vgcreate -q fast $fast1 $fast2
lvm lvcreate -q -y -L 64M -n root fast $fast1
lvm lvcreate -q -y --type cache-pool -L 32M -n pool fast $fast2
lvm lvconvert -q -y --type cache --cachepool pool fast/root
mkfs.ext4 -q -L cacheroot /dev/fast/root
fill /dev/fast/root
lvm vgchange -q -an fast`},
	{"scsi:leg1 scsi:leg2", 96 * mib, `
lvm vgcreate -q legs $leg1 $leg2
lvm lvcreate -q -y --type raid1 -m 1 -L 64M -n root legs
mkfs.ext4 -q -L legsroot /dev/legs/root
fill /dev/legs/root
lvm vgchange -q -an legs`},
	{"stack1 stack2", 96 * mib, `
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --homehost=other --name=stack --uuid=` + arrayUUID + ` $stack1 $stack2
crypt_format /dev/md0 ` + luksUUID + `
printf secret | cryptsetup open --key-file - /dev/md0 plain
lvm vgcreate -q vg-a /dev/mapper/plain
lvm lvcreate -q -y -l 100%FREE -n the-root vg-a
mkfs.ext4 -q -L "my root" /dev/vg-a/the-root
fill /dev/vg-a/the-root
lvm vgchange -q -an
cryptsetup close plain
mdadm --stop /dev/md0`},
	{"pool1 pool2", 128 * mib, `
mkfs.btrfs -q -L pool -d raid0 -m raid1 $pool1 $pool2
mount $pool1 /new
btrfs subvolume create /new/@
cp -a /marker/. /new/@
umount /new`},
	{"xfs", 320 * mib, `
mkfs.xfs -q -f -L xroot $xfs
fill $xfs`},
	{"thin", 128 * mib, `
lvm vgcreate -q thick $thin
lvm lvcreate -q -y -L 80M --thinpool pool thick
lvm lvcreate -q -y -V 70M --thin -n thin thick/pool
mkfs.ext4 -q -L thinroot /dev/thick/thin
fill /dev/thick/thin
lvm vgchange -q -an`},
	{"ddf1 ddf2", 96 * mib, `
mdadm --create /dev/md/ddf --run --metadata=ddf --raid-devices=2 $ddf1 $ddf2
mdadm --create /dev/md/vol --run --level=1 --raid-devices=2 /dev/md/ddf --size=60M
mkfs.ext4 -q -L ddfroot /dev/md/vol
fill /dev/md/vol
mdadm --wait-clean --scan || true
mdadm --stop /dev/md/vol
mdadm --stop /dev/md/ddf`},
	// The superblock is at the end: each member looks like the array.
	{"end1 end2", 96 * mib, `
mdadm --create /dev/md1 --run --level=1 --raid-devices=2 --metadata=1.0 --homehost=other --name=parts --uuid=bbbbbbbb:bbbbbbbb:cccccccc:dddddddd $end1 $end2
printf 'label: gpt\nsize=60M, name="root part", uuid=` + partUUID + `\n' | sfdisk -q /dev/md1
mkfs.ext4 -q -L mdpart /dev/md1p1
fill /dev/md1p1
mdadm --stop /dev/md1`},
	{"log1 log2", 320 * mib, `
mkfs.xfs -q -f -L logroot -l logdev=$log2 $log1
fill $log1 -ologdev=$log2`},
	// LUKS version 1 straight on the disk, opened by a key file elsewhere.
	{"key1", 64 * mib, `
printf 0123456789 > /keyfile
cryptsetup luksFormat --batch-mode --type luks1 --pbkdf-force-iterations 1000 --key-file /keyfile $key1
cryptsetup open --key-file /keyfile $key1 plain
mkfs.ext4 -q -L keyroot /dev/mapper/plain
fill /dev/mapper/plain
cryptsetup close plain`},
}

// makeDisks makes those of the named groups.
func makeDisks(t *testing.T, groups ...string) map[string]qemu.Disk {
	t.Helper()
	script := `
export MDADM_NO_UDEV=1 DM_DISABLE_UDEV=1
for m in raid1 dm_crypt dm_mod xts btrfs xfs dm_thin_pool dm_cache dm_cache_smq dm_raid; do modprobe $m; done
mkdir /new
# SCSI disks come in any order; each is called by its serial number.
for b in /sys/block/sd*; do [ ! -e $b ] || eval "$(tail -c +5 $b/device/vpd_pg80 | tr -d ' \0')=/dev/${b##*/}"; done
fill() { mount $2 $1 /new; cp -a /marker/. /new; umount /new; }
crypt_format() { printf secret | cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid $2 --key-file - $1; }
`
	out := map[string]qemu.Disk{}
	var list []qemu.Disk
	virtio := 0
	for _, m := range made {
		if !slices.Contains(groups, strings.ReplaceAll(m.names, "scsi:", "")) {
			continue
		}
		for _, name := range strings.Fields(m.names) {
			d := qemu.Disk{Path: vmtest.BlankDisk(t, m.size)}
			if n, ok := strings.CutPrefix(name, "scsi:"); ok {
				name, d.Bus, d.Serial = n, "scsi", n
			} else {
				script += name + "=/dev/vd" + string(rune('a'+virtio)) + "\n"
				d.Serial = name
				virtio++
			}
			out[name] = d
			list = append(list, d)
		}
		script += m.script + "\n"
	}
	vmtest.Prepare(t, []string{"mdadm", "mdmon", "cryptsetup", "lvm", "mkfs.ext4", "mkfs.btrfs", "btrfs", "mkfs.xfs", "thin_check", "cache_check", "sfdisk"}, stand, script, list...)
	return out
}

// extRoot makes a disk with a root of ext4 on it here; files are put in.
func extRoot(t *testing.T, label string, files map[string]string) string {
	t.Helper()
	tree := vmtest.MarkerTree(t, stand)
	for name, text := range files {
		p := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ext(t, label, tree)
}

func ext(t *testing.T, label, tree string) string {
	t.Helper()
	disk := vmtest.BlankDisk(t, 64*mib)
	tool(t, "mkfs.ext4", "-q", "-F", "-L", label, "-d", tree, disk)
	return disk
}

// tool runs a program of this machine.
func tool(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", argv, err, out)
	}
}

package vmtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bareroot/internal/cpio"
	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
)

// envAll is set by ./test --all.
const envAll = "BAREROOT_TEST_ALL"

// AllOnly leaves a case to ./test --all. Each feature needs a case without it.
func AllOnly(t testing.TB) {
	t.Helper()
	if os.Getenv(envAll) == "" {
		t.Skip("for ./test --all")
	}
}

// Program is the path of one of this checkout's programs: of BAREROOT_BIN, or
// of bin/ at the top of the checkout.
func Program(name string) (string, error) {
	if dir := os.Getenv("BAREROOT_BIN"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the tests run inside the checkout, or with BAREROOT_BIN")
		}
		dir = filepath.Dir(dir)
	}
	p := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(p); err != nil {
		return "", fmt.Errorf("the tests run the programs of bin/, or of BAREROOT_BIN: %w; make build", err)
	}
	return p, nil
}

// built keeps what the tests of this run share.
var built struct {
	sync.Mutex
	dir   string
	files map[string]func() (string, error) // of Ramdisk
}

// Folder is the one in which the tests of this run keep what they share. It is
// gone after the run.
func Folder() (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "bareroot-vm")
		if err != nil {
			return "", err
		}
		built.dir = dir
	}
	return built.dir, nil
}

// Ramdisk builds a ramdisk for the distribution's kernel as an operator does,
// with these further words of "bareroot build". The same words are built once
// a run; files they name must not change in it.
func Ramdisk(t testing.TB, words ...string) string {
	t.Helper()
	k := Kernel(t)
	key := strings.Join(words, "\x00")
	dir, err := Folder()
	if err != nil {
		t.Fatal(err)
	}
	built.Lock()
	if built.files == nil {
		built.files = map[string]func() (string, error){}
	}
	build, ok := built.files[key]
	if !ok {
		out := filepath.Join(dir, fmt.Sprintf("%x.img", sha256.Sum256([]byte(key))))
		build = sync.OnceValues(func() (string, error) {
			bin, err := Program("bareroot")
			if err != nil {
				return "", err
			}
			args := append([]string{bin, "build", "--kernel", k.Image, "--modules-dir", k.ModulesDir, "--kver", k.Version, "-o", out}, words...)
			_, err = hosttool.Run(context.Background(), args...)
			return out, err
		})
		built.files[key] = build
	}
	built.Unlock()
	out, err := build()
	if err != nil {
		t.Fatalf("build a ramdisk with %q: %v", words, err)
	}
	return out
}

// removeBuilt is for the end of the run.
func removeBuilt() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // what stays is in the temporary folder
	}
}

// Direct is a machine that starts the distribution's kernel with a ramdisk;
// words are added to its command line.
func Direct(t testing.TB, ramdisk, words string, disks ...qemu.Disk) qemu.Spec {
	t.Helper()
	return qemu.Spec{Kernel: Kernel(t).Image, Initrds: []string{ramdisk}, MemoryMiB: 1024, Disks: disks,
		// An emulated machine on a busy host can miss the kernel's test of its timer.
		Append: "console=ttyS0,115200 no_timer_check panic=-1 " + words}
}

// Marker is what the init of a marker root says first, followed by what it
// stands on.
const Marker = "MARKER-ROOT"

// MarkerTree makes a root of busybox in a new directory. Its /sbin/init says
// Marker, the line of / in /proc/mounts, its pid and its arguments; then it
// runs script (shell, with busybox's commands) and switches the machine off.
func MarkerTree(t testing.TB, script string) string {
	t.Helper()
	dir := t.TempDir()
	box, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static, or set %s=REASON", err, envNoVM)
	}
	files := map[string]string{
		"bin/busybox": string(box),
		"sbin/init": `#!/bin/busybox sh
exec </dev/console >/dev/console 2>&1
/bin/busybox mount -o remount,rw / 2>/dev/null
/bin/busybox --install -s /bin
export PATH=/bin
[ -e /proc/mounts ] || mount -t proc proc /proc
echo ` + Marker + ` on $(awk '$2 == "/" && $1 != "rootfs" {print $1, $3, $4}' /proc/mounts | tail -1) pid $$ args "$@"
. /script
sync
poweroff -f
`,
		"script": script + "\n",
	}
	for _, d := range []string{"bin", "sbin", "proc", "sys", "dev", "run", "tmp", "etc", "usr", "mnt", "var"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// MarkerRoot makes a disk file of size bytes that is one filesystem with a
// MarkerTree in it. mkfs is mkfs.ext4 with its options, "-d" excepted.
func MarkerRoot(t testing.TB, size int64, script string, mkfs ...string) string {
	t.Helper()
	tree := MarkerTree(t, script)
	disk := BlankDisk(t, size)
	if len(mkfs) == 0 {
		mkfs = []string{"mkfs.ext4", "-q", "-F"}
	}
	if _, err := hosttool.Run(t.Context(), append(mkfs[:len(mkfs):len(mkfs)], "-d", tree, disk)...); err != nil {
		t.Fatal(err)
	}
	return disk
}

// BlankDisk makes an empty disk file.
func BlankDisk(t testing.TB, size int64) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "disk")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// Prepare changes disks in a guest that runs script (busybox's shell, set -e)
// in place of a ramdisk's init: it has modprobe, the kernel modules of disks and
// what is made of them, and the programs that are named. A MarkerTree of marker
// is at /marker. The disks must have a Path; they are /dev/vda, /dev/vdb, ...
// with the default bus.
func Prepare(t testing.TB, programs []string, marker, script string, disks ...qemu.Disk) {
	t.Helper()
	tree := MarkerTree(t, marker)
	// Not the generic set: uncompressed, as busybox wants its modules, it takes
	// longer to start than the work that is done in it.
	words := []string{"--compress", "none", "--drivers", "=drivers/md =drivers/block =drivers/ata =drivers/nvme =drivers/virtio virtio_scsi sd_mod " +
		"=fs/ext4 =fs/btrfs =fs/xfs =fs/f2fs =fs/fat =crypto =arch/x86/crypto"}
	if len(programs) > 0 {
		words = append(words, "--install", strings.Join(programs, " "))
	}
	init := `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run
exec </dev/console >/dev/console 2>&1
ln -s /init /usr/sbin/modprobe
for m in virtio_pci virtio_blk virtio_scsi ahci nvme sd_mod ext4; do modprobe $m; done
(set -ex; . /prepare/script) && echo PREPARE-DONE || echo PREPARE-FAILED
sync
poweroff -f
`
	extra := filepath.Join(t.TempDir(), "prepare.cpio")
	if err := writePrepare(extra, tree, init, script); err != nil {
		t.Fatal(err)
	}
	spec := Direct(t, Ramdisk(t, words...), "quiet rdinit=/prepare/init", disks...)
	spec.Initrds = append(spec.Initrds, extra)
	spec.Name = "prepare"
	v := Boot(t, spec)
	if got := v.Expect(`PREPARE-(DONE|FAILED)`, 4*time.Minute); got[1] != "DONE" {
		t.Fatalf("prepare the disks:\n%s", v.console.Tail(40))
	}
	v.WaitPowerOff(time.Minute)
}

func writePrepare(path, tree, init, script string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	if err := errors.Join(w.Dir("prepare", 0o755), w.File("prepare/init", 0o755, []byte(init)), w.File("prepare/script", 0o644, []byte(script+"\n"))); err != nil {
		return err
	}
	err = filepath.WalkDir(tree, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tree, p)
		if err != nil {
			return err
		}
		name := filepath.Join("marker", rel)
		if d.IsDir() {
			return w.Dir(name, 0o755)
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return w.File(name, 0o755, data)
	})
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	return f.Close()
}

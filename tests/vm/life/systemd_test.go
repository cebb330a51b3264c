package life

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"bareroot/internal/lab/qemu"
	"bareroot/internal/lab/sysimage"
	"bareroot/tests/vm/vmtest"
)

// TestSystemd: a root with systemd comes up with nothing waiting or failed, has
// the ramdisk's log in its journal, and gives the machine back to the ramdisk
// at its end.
func TestSystemd(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	img, err := sysimage.Build(t.Context(), vmtest.CacheDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if err := unpack(img.RawZst, disk); err != nil {
		t.Fatal(err)
	}
	words := hook(t, "shutdown", "10-late.sh", "echo \"shutdown hook: $*; $(grep -c oldroot /proc/mounts) mounts left\"\n")
	spec := vmtest.Direct(t, vmtest.Ramdisk(t, words...), "root=LABEL=root rw systemd.show_status=1", qemu.Disk{Path: disk})
	v := vmtest.Boot(t, spec)
	v.Expect(`switching to LABEL=`, boundBoot)
	v.Expect(`login: `, boundBoot)
	v.Send("root\n")
	v.Expect(`root@\S+# `, boundStep)
	run(t, v, "systemctl is-system-running --wait; systemctl list-units --failed --no-legend")
	v.Send("journalctl -b -t bareroot -o cat --no-pager | grep 'switching to'; echo jour-$((1+1))\n")
	v.Expect(`switching to LABEL=root: /`, boundStep)
	v.Expect(`jour-2`, boundStep)
	v.Send("systemctl poweroff\n")
	v.Expect(`poweroff: the ramdisk takes the root apart`, boundBoot)
	v.Expect(`the old root is unmounted`, boundBoot)
	v.Expect(`shutdown hook: poweroff; 0 mounts left`, boundStep)
	v.Expect(`all that the root stood on is released`, boundStep)
	v.WaitPowerOff(boundStep)
}

func unpack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	z, err := zstd.NewReader(in)
	if err != nil {
		return err
	}
	defer z.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, z); err != nil {
		return err
	}
	return out.Close()
}

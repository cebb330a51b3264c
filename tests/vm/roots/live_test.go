package roots

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestLiveMedium: a medium with a live image in the nested form that installers
// have, a filesystem in a squashfs in a filesystem, below an overlay in memory.
// The plain form, fetched over the network, is in tests/vm and tests/vm/net.
func TestLiveMedium(t *testing.T) {
	vmtest.AllOnly(t)
	inner, outer := filepath.Join(t.TempDir(), "LiveOS"), filepath.Join(t.TempDir(), "LiveOS")
	for _, d := range []string{inner, outer} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := vmtest.MarkerRoot(t, 32*mib, "echo changed >/etc/changed && cat /etc/changed; cat /proc/mounts")
	tool(t, "cp", "--sparse=always", image, filepath.Join(inner, "rootfs.img"))
	tool(t, "mksquashfs", filepath.Dir(inner), filepath.Join(outer, "squashfs.img"), "-quiet", "-no-progress")
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t), "root=live:LABEL=LIVE", qemu.Disk{Path: ext(t, "LIVE", filepath.Dir(outer))}))
	v.Expect(vmtest.Marker+` on LiveOS_rootfs overlay rw`, boot)
	v.Expect(`changed`, time.Minute)
	v.Expect(`/dev/loop\d+ /run/rootfsbase ext4 ro`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

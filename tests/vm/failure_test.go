package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// damage registers the disk image under a name and hash of its own and then
// changes the bytes that the server has stored.
func (s *site) damage(t *testing.T, name string, change func(path string) error) {
	t.Helper()
	// The content must differ from the other tests' images: zstd allows a
	// skippable frame behind the data.
	b, err := os.ReadFile(s.image.RawZst)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0x50, 0x2a, 0x4d, 0x18, byte(len(name)), 0, 0, 0)
	b = append(b, name...)
	path := filepath.Join(t.TempDir(), "image.zst")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	img, err := s.api().AddImage(t.Context(), api.ImageRequest{Name: name, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	stored := filepath.Join(s.dir, "state/images", img.SHA256)
	if err := os.Chmod(stored, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := change(stored); err != nil {
		t.Fatal(err)
	}
}

// startable says whether a firmware would take the disk for one to boot
// from: by the mark of a boot sector, or by a partition table.
func startable(v *vmtest.VM, disk int) bool {
	return v.DiskHas(disk, 510, []byte{0x55, 0xaa}) || v.DiskHas(disk, 512, []byte("EFI PART"))
}

// TestDamagedImage: bytes that changed, or are missing, on their way are
// never a deployment, and what is on the disk then does not look bootable.
func TestDamagedImage(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := vmtest.Boot(t, netbooting("damaged", qemu.BIOS, qemu.Disk{Size: 2 << 30}))
	s.discovered(t, v)
	for _, c := range []struct {
		name, want string
		change     func(string) error
	}{
		{"changed", "sha256", func(p string) error {
			f, err := os.OpenFile(p, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			// In the middle of the random part, where a changed byte is a
			// changed literal and no broken frame.
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, 60<<20); err != nil {
				return err
			}
			b[0] ^= 0x01
			_, err = f.WriteAt(b, 60<<20)
			return err
		}},
		{"truncated", "bytes", func(p string) error { return os.Truncate(p, 60<<20) }},
	} {
		s.damage(t, c.name, c.change)
		o := s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: c.name}))
		if o.State != api.StateFailed || !strings.Contains(o.Message, c.want) {
			t.Errorf("%s image: order is %s: %s", c.name, o.State, o.Message)
		}
		if startable(v, 0) {
			t.Errorf("%s image: the disk looks bootable", c.name)
		}
		m, err := s.api().Machine(t.Context(), v.Spec().UUID)
		if err != nil {
			t.Fatal(err)
		}
		if m.Boot == api.BootDisk || m.Status == "deployed" {
			t.Errorf("%s image: the machine is %q and boots %s", c.name, m.Status, m.Boot)
		}
	}
}

// TestPowerCut: the power goes in the middle of the writing; the machine ends
// deployed, and the order tells the story.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := vmtest.Boot(t, netbooting("cut", qemu.BIOS, qemu.Disk{Size: 2 << 30}))
	s.discovered(t, v)
	id := s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk"})
	s.writing(t, v, id)
	v.PowerCut()
	if startable(v, 0) {
		t.Error("half an image, and the disk looks bootable already")
	}
	v.PowerOn()
	o := s.orderEnds(t, v, id)
	if o.State != api.StateDone || o.Attempt != 2 {
		t.Errorf("order is %s in attempt %d: %s", o.State, o.Attempt, o.Message)
	}
	var attempts [3]bool
	for _, e := range o.Events {
		if e.Attempt < len(attempts) {
			attempts[e.Attempt] = true
		}
	}
	if !attempts[1] || !attempts[2] {
		t.Errorf("the history does not show both attempts: %+v", o.Events)
	}
	v.Expect(diskReached, boundBoot)
	s.deployed(t, v, 0)
}

// TestServerKilled: the server dies in the middle and comes back. Not beside
// other tests: they need it.
func TestServerKilled(t *testing.T) {
	s := start(t)
	v := vmtest.Boot(t, netbooting("orphan", qemu.BIOS, qemu.Disk{Size: 2 << 30}))
	s.discovered(t, v)
	id := s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk"})
	s.writing(t, v, id)
	s.kill(t)
	if err := s.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := s.orderEnds(t, v, id)
	if o.State != api.StateDone {
		t.Errorf("order is %s: %s", o.State, o.Message)
	}
	v.Expect(diskReached, boundBoot)
	s.deployed(t, v, 0)
}

// TestBootLoop: a machine whose ramdisk never gets to say hello is parked
// instead of booting for ever, and says so.
func TestBootLoop(t *testing.T) {
	t.Parallel()
	s := start(t)
	// Small, for it is sent and unpacked many times.
	if err := s.bootset(t.Context(), "broken", "rdinit=/nowhere panic=1", "--drivers", "virtio_net"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.api().AddBootSet(t.Context(), api.BootSetRequest{Name: "broken", Path: filepath.Join(s.dir, "broken")}); err != nil {
		t.Fatal(err)
	}
	v := vmtest.Boot(t, netbooting("loop", qemu.BIOS, qemu.Disk{Size: 1 << 30}))
	s.discovered(t, v)
	if _, err := s.api().Approve(t.Context(), v.Spec().UUID, api.ApproveRequest{BootSet: "broken"}); err != nil {
		t.Fatal(err)
	}
	s.order(t, v, api.OrderRequest{Kind: api.KindReboot})
	m := s.wait(t, v, "it to be parked", 12*time.Minute, func(m *api.Machine) bool { return m.Approval == api.ApprovalHeld })
	if len(m.Warnings) == 0 {
		t.Errorf("a parked machine without a reason: %+v", m)
	}
	v.Expect(`is held: boot loop`, 2*time.Minute)
}

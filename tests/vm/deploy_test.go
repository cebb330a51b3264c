package vm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func kernel(ctx context.Context) (distro.Found, error) {
	dir, err := distro.CacheDir()
	if err != nil {
		return distro.Found{}, err
	}
	return distro.Kernel(ctx, dir)
}

// deployed checks the disk against the image: all of it but the tables,
// which were fitted to the disk, and a backup table at the disk's end.
func (s *site) deployed(t *testing.T, v *vmtest.VM, disk int) {
	t.Helper()
	want, err := os.Open(s.raw)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	got, err := os.Open(v.DiskPath(disk))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	const tables = 34 * 512
	st, err := want.Stat()
	if err != nil {
		t.Fatal(err)
	}
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(tables); off < st.Size()-tables; off += int64(len(a)) {
		n := min(int64(len(a)), st.Size()-tables-off)
		if _, err := want.ReadAt(a[:n], off); err != nil {
			t.Fatal(err)
		}
		if _, err := got.ReadAt(b[:n], off); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if !bytes.Equal(a[:n], b[:n]) {
			t.Fatalf("the disk differs from the image in the MiB at byte %d", off)
		}
	}
	size := int64(v.Spec().Disks[disk].Size)
	if !v.DiskHas(disk, 512, []byte("EFI PART")) || !v.DiskHas(disk, size-512, []byte("EFI PART")) {
		t.Error("the partition table is not both at the disk's start and at its real end")
	}
}

// TestDeploy: blank machines of both firmwares netboot, are discovered, get
// the image, and boot from their disk from then on, though they ask the
// network first.
func TestDeploy(t *testing.T) {
	for name, spec := range map[string]qemu.Spec{
		"bios": netbooting("bios", qemu.BIOS, qemu.Disk{Size: 2 << 30}),
		"uefi": netbooting("uefi", qemu.UEFI, qemu.Disk{Size: 2 << 30, Bus: "nvme"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			v := vmtest.Boot(t, spec)
			m := s.wait(t, v, "its facts", boundBoot, func(m *api.Machine) bool { return m.Facts != nil })
			if f := m.Facts; f.Firmware != name || len(f.Disks) != 1 || len(f.NICs) != 1 || f.System.UUID != v.Spec().UUID || !f.NICs[0].Booted {
				t.Errorf("facts: %+v", f)
			}
			_, err := s.api().PlaceOrder(t.Context(), m.ID, api.OrderRequest{Kind: api.KindDeploy, Image: "disk"})
			var p *api.Problem
			if !errors.As(err, &p) || p.Status != 409 {
				t.Errorf("an order for a machine that nobody approved: %v, expected a refusal", err)
			}
			s.discovered(t, v)
			o := s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk"}))
			if o.State != api.StateDone || o.Attempt != 1 || o.Plan == nil || len(o.Plan.Disks) != 1 || o.Result == nil || o.Result.ImageBytes != s.image.RawSize {
				t.Errorf("order: %+v, plan %+v, result %+v", o.Order, o.Plan, o.Result)
			}
			v.Expect(diskReached, boundBoot)
			s.deployed(t, v, 0)
		})
	}
}

// TestTwoDisks: it refuses to guess, takes the disk that is named, leaves the
// other alone, and needs the word for data that is in the way.
func TestTwoDisks(t *testing.T) {
	t.Parallel()
	s := start(t)
	spec := netbooting("two", qemu.BIOS, qemu.Disk{Size: 2 << 30, Bus: "scsi", Serial: "FIRST"}, qemu.Disk{Size: 2 << 30, Bus: "sata", Serial: "SECOND"})
	spec.NICs = append(spec.NICs, qemu.NIC{Model: "e1000"})
	v := vmtest.Boot(t, spec)
	m := s.discovered(t, v)
	if len(m.Facts.Disks) != 2 || len(m.Facts.NICs) != 2 {
		t.Fatalf("facts name %d disks and %d network interfaces, expected 2 and 2", len(m.Facts.Disks), len(m.Facts.NICs))
	}
	o := s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk"}))
	if o.State != api.StateFailed || !strings.Contains(o.Message, "FIRST") || !strings.Contains(o.Message, "SECOND") {
		t.Errorf("two disks fit, and the order is %s: %s", o.State, o.Message)
	}
	target := api.DiskHint{Serial: "SECOND"}
	o = s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk", Target: target, DryRun: true}))
	if o.State != api.StateDone || o.Plan == nil || !v.DiskHas(1, 0, make([]byte, 1<<20)) {
		t.Errorf("a dry run is %s: %s; plan %+v", o.State, o.Message, o.Plan)
	}
	o = s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk", Target: target, After: "wait"}))
	if o.State != api.StateDone {
		t.Fatalf("order is %s: %s", o.State, o.Message)
	}
	s.deployed(t, v, 1)
	if !v.DiskHas(0, 0, make([]byte, 1<<20)) {
		t.Error("the disk that was not named is no longer blank")
	}
	o = s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk", Target: target}))
	if o.State != api.StateFailed || !strings.Contains(o.Message, "erase") {
		t.Errorf("data is in the way, and the order is %s: %s", o.State, o.Message)
	}
	o = s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk", Target: target, Erase: true, After: "poweroff"}))
	if o.State != api.StateDone {
		t.Errorf("with erase the order is %s: %s", o.State, o.Message)
	}
	v.WaitPowerOff(time.Minute)
	s.deployed(t, v, 1)
}

// TestLiveRoot: without a disk, over HTTP, and again after a power cut
// without a new order.
func TestLiveRoot(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := vmtest.Boot(t, netbooting("live", qemu.BIOS))
	s.discovered(t, v)
	o := s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindRoot, Image: "live"}))
	if o.State != api.StateDone {
		t.Errorf("order is %s: %s", o.State, o.Message)
	}
	for range 2 {
		v.Expect(`overlay written on overlay`, boundBoot)
		v.Expect(`fstab: # live root: LABEL=root / ext4.* LABEL=data /data`, time.Minute)
		v.Expect(`pid 1 `, time.Minute)
		v.Expect(liveReached, time.Minute)
		v.PowerCut()
		v.PowerOn()
	}
}

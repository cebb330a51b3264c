package vm

import (
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"bareroot/api"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestCableAndSecondOrder: a cable that is pulled while the image is written
// costs time and nothing else. A second order, without leave to erase, is
// refused, and the machine still belongs to its disk.
func TestCableAndSecondOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := vmtest.Boot(t, netbooting("cable", qemu.BIOS, qemu.Disk{Size: 2 << 30}))
	s.discovered(t, v)
	id := s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk", After: "wait"})
	s.writing(t, v, id)
	tap, err := netlink.LinkByName(v.Spec().NICs[0].Tap)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(tap); err != nil {
		t.Fatal(err)
	}
	before := s.wait(t, v, "any answer", time.Minute, func(m *api.Machine) bool { return true })
	if want := "writes image disk to its disk"; before.Message != want {
		t.Errorf("while it writes the machine says %q, want %q", before.Message, want)
	}
	// Long enough that what was on its way is gone; there is no event to wait for.
	time.Sleep(5 * time.Second)
	if err := netlink.LinkSetUp(tap); err != nil {
		t.Fatal(err)
	}
	if o := s.orderEnds(t, v, id); o.State != api.StateDone || o.Attempt != 1 {
		t.Fatalf("order is %s in attempt %d: %s", o.State, o.Attempt, o.Message)
	}
	s.deployed(t, v, 0)

	o := s.orderEnds(t, v, s.order(t, v, api.OrderRequest{Kind: api.KindDeploy, Image: "disk"}))
	if o.State != api.StateFailed || !strings.Contains(o.Message, "--erase") {
		t.Errorf("the second order is %s: %s", o.State, o.Message)
	}
	m := s.wait(t, v, "the refusal", time.Minute, func(m *api.Machine) bool { return m.Failed })
	if m.Boot != api.BootDisk {
		t.Errorf("after a refusal that touched nothing the machine boots %s, want %s", m.Boot, api.BootDisk)
	}
	s.deployed(t, v, 0)
}

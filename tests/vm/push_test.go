package vm

import (
	"path/filepath"
	"strings"
	"testing"

	"bareroot/api"
	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestPushedBootSet: a machine follows the boot set that is pushed for it. The
// second generation has a kernel that the root has no modules for, as far as
// init can tell, and is told to refuse that; after a rollback it boots.
func TestPushedBootSet(t *testing.T) {
	t.Parallel()
	s := start(t)
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		t.Fatal(err)
	}
	bareroot := func(args ...string) string {
		t.Helper()
		args = append([]string{bin}, args...)
		out, err := hosttool.Run(t.Context(), append(args, "--server", "unix://"+filepath.Join(s.dir, "admin.sock"))...)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for i, words := range []string{"", "bareroot.modules=refuse"} {
		name := []string{"pushed1", "pushed2"}[i]
		if err := s.bootset(t.Context(), name, words); err != nil {
			t.Fatal(err)
		}
		t.Log(bareroot("boot", "push", "--name", "san-root", filepath.Join(s.dir, name)))
	}

	v := vmtest.Boot(t, netbooting("pushed", qemu.BIOS))
	m := s.discovered(t, v)
	if _, err := s.api().Approve(t.Context(), m.ID, api.ApproveRequest{BootSet: "san-root"}); err != nil {
		t.Fatal(err)
	}
	v.PowerCut()
	id := s.order(t, v, api.OrderRequest{Kind: api.KindRoot, Image: "live"})
	v.PowerOn()
	o := s.orderEnds(t, v, id)
	if o.State != api.StateFailed || !strings.Contains(o.Message, "refused by bareroot.modules=refuse") {
		t.Fatalf("order is %s: %s", o.State, o.Message)
	}
	v.PowerCut()
	if out := bareroot("boot", "rollback", "san-root"); !strings.Contains(out, "generation 1 again") {
		t.Error(out)
	}
	if _, err := s.api().Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	v.PowerOn()
	if o := s.orderEnds(t, v, id); o.State != api.StateDone {
		t.Errorf("order is %s: %s", o.State, o.Message)
	}
	v.Expect(liveReached, boundBoot)
}

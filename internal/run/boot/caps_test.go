package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
)

// A kernel that knows no modules, or no kexec, is what was asked for.
func TestDisable(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "modules_disabled")
	if err := os.WriteFile(p, []byte("0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := disable(cmdline.Parse("rd.caps.disablemodules=0 rd.caps.disablekexec", "t"), dir); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(p); string(b) != "0\n" {
		t.Errorf("modules: %q", b)
	}
	if err := disable(cmdline.Parse("rd.caps.disablemodules rd.caps.disablekexec", "t"), dir); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(p); string(b) != "1\n" {
		t.Errorf("modules: %q", b)
	}
	if _, err := os.Stat(filepath.Join(dir, "kexec_load_disabled")); err == nil {
		t.Error("a file of the kernel's was made")
	}
	if err := disable(cmdline.Parse("rd.caps.disablemodules", "t"), p); err == nil {
		t.Error("what cannot be written was passed over")
	}
}

func TestDroppedCapabilities(t *testing.T) {
	for line, want := range map[string]string{
		"":                                 "[] <nil>",
		"drop_capabilities=CAP_SYS_MODULE": fmt.Sprint([]int{unix.CAP_SYS_MODULE}, " <nil>"),
		"drop_capabilities=chown,cap_bpf":  fmt.Sprint([]int{unix.CAP_CHOWN, unix.CAP_BPF}, " <nil>"),
		"rd.caps.initdrop=cap_checkpoint_restore": fmt.Sprint([]int{unix.CAP_CHECKPOINT_RESTORE}, " <nil>"),
		"drop_capabilities=cap_fly":               "[] drop_capabilities=cap_fly: no such capability",
	} {
		caps, err := dropped(cmdline.Parse(line, "t").Canonical())
		if got := fmt.Sprint(caps, " ", err); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	for set, want := range map[string]string{"4294967295\t511\n": "4294901759 383", "0 0": "0 0"} {
		if got, err := without(set, []int{16, 39}); got != want || err != nil {
			t.Errorf("%q: %q, %v", set, got, err)
		}
	}
	for _, bad := range []string{"", "1", "1 2 3", "x 1", "4294967296 0"} {
		if got, err := without(bad, nil); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

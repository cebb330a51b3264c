package assemble

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machine is a /sys with a volume (dm-0) on an encrypted device (dm-1) on an
// array of the firmware (md126) on two disks, and a loop device.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"dm-0/dm/name": "vg-lv", "dm-1/dm/name": "luks", "md126/md/array_state": "active", "md126/md/metadata_version": "external:/md127/0",
		"md127/md/array_state": "inactive", "md127/md/metadata_version": "external:imsm", "loop0/loop/backing_file": "/image", "loop1/size": "0", "sda/size": "1", "md0/md/array_state": "clear",
		"dm-1/holders/dm-0/x": "", "md126/holders/dm-1/x": "",
	} {
		p := filepath.Join(root, "block", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestStop(t *testing.T) {
	root := machine(t)
	var did []string
	gone := func(dir string) error {
		for _, d := range []string{"dm-0", "dm-1", "md126"} {
			_ = os.RemoveAll(filepath.Join(root, "block", d, "holders", dir))
		}
		return os.RemoveAll(filepath.Join(root, "block", dir))
	}
	err := stop(t.Context(), root, stopper{
		mapped: func(name string) error {
			did = append(did, "remove "+name)
			return gone(map[string]string{"vg-lv": "dm-0", "luks": "dm-1"}[name])
		},
		array: func(dev string) error { did = append(did, "stop "+dev); return gone(filepath.Base(dev)) },
		loop:  func(dev string) error { did = append(did, "detach "+dev); return gone(filepath.Base(dev)) },
		clean: func() error { did = append(did, "wait-clean"); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"remove vg-lv", "remove luks", "detach /dev/loop0", "wait-clean", "stop /dev/md126", "stop /dev/md127"}
	if d := cmp.Diff(want, did); d != "" {
		t.Error(d)
	}
}

func TestStopKeepsWhatIsInUse(t *testing.T) {
	root := machine(t)
	tries := 0
	refuse := func(string) error { tries++; return errors.New("busy") }
	err := stop(t.Context(), root, stopper{mapped: refuse, array: refuse, loop: refuse, clean: func() error { return nil }})
	if err == nil || !strings.Contains(err.Error(), "dm-1 is in use") || tries > 4 {
		t.Errorf("%v after %d tries", err, tries)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stop(ctx, root, stopper{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a shutdown that is over: %v", err)
	}
}

// A loop device that is mounted is freed later: nothing has changed, and that
// is no reason to look at what is in use for ever.
func TestStopLoopInUse(t *testing.T) {
	root := machine(t)
	tries := 0
	refuse := func(string) error { return errors.New("busy") }
	err := stop(t.Context(), root, stopper{mapped: refuse, array: refuse, clean: func() error { return nil }, loop: func(string) error {
		if tries++; tries > 3 {
			t.Fatal("it is asked again and again")
		}
		return nil
	}})
	if err == nil || !strings.Contains(err.Error(), "dm-1 is in use") || strings.Contains(err.Error(), "loop0") {
		t.Errorf("%v", err)
	}
}

func TestNeedsStop(t *testing.T) {
	root := machine(t)
	if err := os.MkdirAll(filepath.Join(root, "dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "block/md126/md126p1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for number, c := range map[string]struct {
		to   string
		want bool
	}{"253:0": {"dm-0", true}, "9:126": {"md126", true}, "259:0": {"md126/md126p1", true}, "8:0": {"sda", false}, "7:0": {"loop0", true}} {
		if err := os.Symlink(filepath.Join(root, "block", c.to), filepath.Join(root, "dev/block", number)); err != nil {
			t.Fatal(err)
		}
		if got := needsStop(root, number); got != c.want {
			t.Errorf("%s (%s): %v", number, c.to, got)
		}
	}
	if needsStop(root, "1:1") {
		t.Error("a device that is not there needs a stop")
	}
}

package device

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"bareroot/internal/run/console"
)

func TestNodeOf(t *testing.T) {
	for text, want := range map[string]struct {
		name   string
		perm   uint32
		number uint64
		ok     bool
	}{
		"MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n":     {"null", 0o666, unix.Mkdev(1, 3), true},
		"MAJOR=5\nMINOR=1\nDEVNAME=console":                  {"console", 0o600, unix.Mkdev(5, 1), true},
		"MAJOR=13\nMINOR=63\nDEVNAME=input/mice\n":           {"input/mice", 0o600, unix.Mkdev(13, 63), true},
		"MAJOR=259\nMINOR=1048575\nDEVNAME=nvme0n1p1\nX=y\n": {"nvme0n1p1", 0o600, unix.Mkdev(259, 1048575), true},
		"MAJOR=10\nMINOR=1\n":                                {},
		"MAJOR=x\nMINOR=1\nDEVNAME=a\n":                      {},
		"MAJOR=1\nMINOR=1\nDEVNAME=../etc/passwd\n":          {},
		"MAJOR=1\nMINOR=1\nDEVNAME=a\nDEVMODE=rw\n":          {},
		"": {},
	} {
		name, perm, number, ok := nodeOf(text)
		if name != want.name || perm != want.perm || number != want.number || ok != want.ok {
			t.Errorf("%q: %s %o %#x %v, want %v", text, name, perm, number, ok, want)
		}
	}
}

func FuzzNodeOf(f *testing.F) {
	f.Add("MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n")
	f.Add("DEVNAME=../x\nMAJOR=5\nMINOR=1\n")
	f.Fuzz(func(t *testing.T, text string) {
		name, perm, _, ok := nodeOf(text)
		if ok && (name == "" || name[0] == '/' || perm > 0o7777) {
			t.Errorf("%q: %q %o", text, name, perm)
		}
	})
}

// On a kernel that makes no nodes those of devices that come later appear with
// their events, and go with them.
func TestNodes(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	if err := unix.Mknod(filepath.Join(dev, "probe"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("device nodes cannot be made here: %v", err)
	}
	for p, text := range map[string]string{
		"devices/null/uevent":  "MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n",
		"devices/vda/uevent":   "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n",
		"devices/mice/uevent":  "MAJOR=13\nMINOR=63\nDEVNAME=input/mice\n",
		"devices/plain/uevent": "DRIVER=x\n",
	} {
		p = filepath.Join(sys, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for kind, numbers := range map[string]map[string]string{"char": {"1:3": "null"}, "block": {"254:0": "vda"}} {
		for number, name := range numbers {
			p := filepath.Join(sys, "dev", kind, number)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.Symlink("../../devices/"+name, p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	is := func(name string, mode os.FileMode, number uint64) {
		t.Helper()
		var st unix.Stat_t
		fi, err := os.Lstat(filepath.Join(dev, name))
		if err != nil || unix.Stat(filepath.Join(dev, name), &st) != nil || fi.Mode() != mode || st.Rdev != number {
			t.Errorf("%s: %v, number %#x, %v", name, fi, st.Rdev, err)
		}
	}
	for range 2 { // again over what is there
		if err := MakeNodes(sys, dev); err != nil {
			t.Fatal(err)
		}
	}
	is("null", os.ModeDevice|os.ModeCharDevice|0o666, unix.Mkdev(1, 3))
	is("vda", os.ModeDevice|0o600, unix.Mkdev(254, 0))
	m := newManager(console.NewLog(io.Discard), nil, sys, dev)
	for _, u := range []Uevent{
		{Action: "add", DevPath: "/devices/mice", Subsystem: "input", DevName: "input/mice"},
		{Action: "add", DevPath: "/devices/plain", Subsystem: "pci"},
		{Action: "add", DevPath: "/devices/gone", Subsystem: "block", DevName: "gone"},
		{Action: "remove", DevPath: "/devices/vda", Subsystem: "block", DevName: "vda"},
	} {
		m.node(u)
	}
	is("input/mice", os.ModeDevice|os.ModeCharDevice|0o600, unix.Mkdev(13, 63))
	for _, name := range []string{"vda", "gone"} {
		if _, err := os.Lstat(filepath.Join(dev, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/sys"
)

func TestCopyRamdisk(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, d := range []string{"usr/bin", "usr/lib/modules/6.1", "dev", "proc"} {
		if err := os.MkdirAll(filepath.Join(from, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(p, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(from, p), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("init", "init", 0o755)
	write("usr/bin/tool", "tool", 0o700)
	write("usr/lib/modules/6.1/x.ko", "module", 0o644)
	if err := os.Link(filepath.Join(from, "usr/bin/tool"), filepath.Join(from, "usr/bin/twin")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("usr/bin", filepath.Join(from, "bin")); err != nil {
		t.Fatal(err)
	}
	write("usr/lib/secret.json", "s", 0o600)
	for range 2 { // a second time over what is there
		n, err := copyRamdisk(from, to, func(rel string) bool { return rel != "usr/lib/secret.json" })
		if err != nil || n != 8 {
			t.Fatal(n, err)
		}
	}
	var got []string
	_ = filepath.Walk(to, func(p string, fi os.FileInfo, _ error) error {
		rel, _ := filepath.Rel(to, p)
		got = append(got, fi.Mode().String()+" "+rel)
		return nil
	})
	want := []string{"drwxr-xr-x .", "Lrwxrwxrwx bin", "drwxr-xr-x dev", "-rwxr-xr-x init", "drwxr-xr-x proc", "drwxr-xr-x usr", "drwxr-xr-x usr/bin", "-rwx------ usr/bin/tool", "-rwx------ usr/bin/twin", "drwxr-xr-x usr/lib"}
	if d := cmp.Diff(want[1:], got[1:]); d != "" { // "." has the test folder's own mode
		t.Error(d)
	}
	a, _ := os.Stat(filepath.Join(to, "usr/bin/tool"))
	b, _ := os.Stat(filepath.Join(to, "usr/bin/twin"))
	if !os.SameFile(a, b) {
		t.Error("two names of one file became two files")
	}
}

// What cannot be copied whole is not left in a /run that is full.
func TestCopyRamdiskFails(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, p := range []string{filepath.Join(from, "a"), filepath.Join(from, "b")} {
		if err := os.WriteFile(p, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(to, "b/in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := copyRamdisk(from, to, func(string) bool { return true }); err == nil {
		t.Error("copied over a folder")
	}
	if _, err := os.Lstat(filepath.Join(to, "a")); err == nil {
		t.Error("half of the ramdisk is left")
	}
}

func TestMountsBelow(t *testing.T) {
	const info = `22 1 0:20 / / rw - tmpfs tmpfs rw
30 22 8:1 / /oldroot rw,relatime shared:1 - ext4 /dev/sda1 rw
31 30 0:5 / /oldroot/dev rw - devtmpfs dev rw
32 30 8:2 / /oldroot/a\040b rw - ext4 /dev/sda2 rw
33 22 8:2 / /oldrootbeer rw - ext4 /dev/sda2 rw

odd
`
	if d := cmp.Diff([]string{"/oldroot/a b", "/oldroot/dev", "/oldroot"}, mountsBelow(info, "/oldroot")); d != "" {
		t.Error(d)
	}
}

func FuzzMountsBelow(f *testing.F) {
	f.Add(`1 2 3:4 / /a\040 x`)
	f.Add(`1 2 3:4 / /a\9\04`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range mountsBelow(s, "/") {
			if m == "" {
				t.Error("a mount without a place")
			}
		}
	})
}

func TestShutdownAction(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"poweroff", "--log-level", "6"}, sys.ActPowerOff}, {[]string{"--log-level", "halt"}, sys.ActHalt}, {[]string{"kexec"}, sys.ActKexec},
		{[]string{"exit"}, sys.ActReboot}, {nil, sys.ActReboot},
	} {
		if got := shutdownAction(c.args); got != c.want {
			t.Errorf("%q: %s", c.args, got)
		}
	}
}

// Of the processes those that the kernel runs, and those marked as needed, are
// not for us to end.
func TestOthers(t *testing.T) {
	proc := t.TempDir()
	for pid, cmd := range map[string]string{"1": "/init", "2": "", "30": "/sbin/mdmon\x00md0", "31": "@sbin/mdmon\x00md0", "400": "sh", "self": "x"} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "cmdline"), []byte(cmd), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]process{{30, "/sbin/mdmon"}, {400, "sh"}}, others(proc), cmp.AllowUnexported(process{})); d != "" {
		t.Error(d)
	}
}

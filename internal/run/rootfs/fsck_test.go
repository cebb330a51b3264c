package rootfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/cmdline"
)

func TestCheckPlan(t *testing.T) {
	for in, want := range map[string]string{
		"ext4":                                "e2fsck -p -C 1 /dev/x",
		"ext3 forcefsck":                      "e2fsck -p -C 1 -f /dev/x",
		"ext4 fsck.mode=force fsck.repair=no": "e2fsck -n -C 1 -f /dev/x",
		"ext4 fsck.repair=yes":                "e2fsck -y -C 1 /dev/x",
		"ext4 fsck.repair=rubbish":            "e2fsck -p -C 1 /dev/x",
		"ext4 rd.skipfsck":                    "", "ext4 fastboot": "", "ext4 fsck.mode=skip forcefsck": "", "ext4 rd.skipfsck=0 fsck.mode=auto": "e2fsck -p -C 1 /dev/x",
		"xfs": "", "xfs forcefsck": "xfs_repair -e /dev/x", "xfs forcefsck fsck.repair=no": "xfs_repair -n /dev/x",
		"vfat": "fsck.vfat -a /dev/x", "vfat fsck.repair=yes": "fsck.vfat -y /dev/x", "f2fs": "fsck.f2fs -a /dev/x", "btrfs": "", "squashfs": "", "": "",
	} {
		fs, words, _ := strings.Cut(in, " ")
		if got := strings.Join(readChecks(cmdline.Parse(words, "t")).plan(fs, "/dev/x"), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	ext := []string{"e2fsck", "-p", "/dev/x"}
	for _, c := range []struct {
		argv         []string
		code         int
		notice, fail string
		reboot       bool
	}{
		{ext, 0, "", "", false},
		{ext, 1, "corrected", "", false},
		{ext, 2, "", "corrected", true},
		{ext, 3, "", "corrected", true},
		{ext, 4, "", `run "e2fsck /dev/x"`, false},
		{ext, 12, "", "does not correct", false},
		{ext, 8, "could not check", "", false},
		{[]string{"fsck.vfat", "-a", "/dev/x"}, 1, "corrected", "", false},
		{[]string{"fsck.vfat", "-a", "/dev/x"}, 2, "could not check", "", false},
		{[]string{"xfs_repair", "-e", "/dev/x"}, 4, "corrected", "", false},
		{[]string{"xfs_repair", "-e", "/dev/x"}, 1, "", "(exit code 1)", false},
	} {
		notice, err := judge(c.argv, c.code)
		if (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) || !strings.Contains(notice, c.notice) || (notice == "") != (c.notice == "") {
			t.Errorf("%v exit %d: %q, %v", c.argv, c.code, notice, err)
		}
		if errors.Is(err, ErrReboot) != c.reboot {
			t.Errorf("%v exit %d: reboot %v", c.argv, c.code, !c.reboot)
		}
	}
}

func TestProgress(t *testing.T) {
	for line, want := range map[string][3]int64{
		"1 5 100 /dev/vda": {1, 5, 100}, "3 0 0 my root": {3, 0, 0},
		"/dev/vda: clean": {}, "1 x 100 /dev/vda": {}, "1 5 100": {}, "": {}, "1 99999999999999999999 2 /dev/x": {},
	} {
		p, d, n, ok := progress(line)
		if got := [3]int64{p, d, n}; got != want || ok != (want != [3]int64{}) {
			t.Errorf("%q: %v %v", line, got, ok)
		}
	}
}

// TestExtClean holds our reading of the superblock against e2fsck's.
func TestExtClean(t *testing.T) {
	p := filepath.Join(t.TempDir(), "img")
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(args[0], append(args[1:], p)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		return string(out)
	}
	if err := os.WriteFile(p, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run("mke2fs", "-q", "-F", "-t", "ext4")
	clean := func() bool {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		return extClean(b[1024:2048], 0)
	}
	if !clean() {
		t.Error("a new filesystem needs a check")
	}
	for _, spoil := range [][]string{
		{"tune2fs", "-c", "1", "-C", "5"},
		{"debugfs", "-w", "-R", "set_super_value state 2"},
		{"debugfs", "-w", "-R", "feature needs_recovery"},
		{"debugfs", "-w", "-R", "set_super_value last_orphan 12"},
	} {
		if err := os.WriteFile(p, make([]byte, 8<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		run("mke2fs", "-q", "-F", "-t", "ext4")
		run(spoil...)
		if clean() {
			t.Errorf("clean after %v", spoil)
		}
	}
	if extClean(nil, 0) || extClean(make([]byte, 1024), 0) {
		t.Error("nothing is clean")
	}
}

func TestFstab(t *testing.T) {
	in := `# /dev/a / ext4
UUID="1-2" / ext4 noatime,errors=remount-ro,x-systemd.device-timeout=1 0 1
/dev/disk/by-label/my\040usr /usr/ xfs ro,nofail
PARTLABEL=x /home auto defaults 0 2
none
proc /proc proc`
	want := []Mountpoint{
		{"UUID=1-2", "/", "ext4", "noatime,errors=remount-ro,x-systemd.device-timeout=1", "1"},
		{"/dev/disk/by-label/my usr", "/usr", "xfs", "ro,nofail", "0"},
		{"PARTLABEL=x", "/home", "auto", "defaults", "2"},
		{"proc", "/proc", "proc", "defaults", "0"},
	}
	got := ParseFstab(in)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	kept, ro := kernelOptions(got[0].Options)
	if d := cmp.Diff([]string{"noatime", "errors=remount-ro"}, kept); d != "" || ro {
		t.Error(d, ro)
	}
	if kept, ro = kernelOptions("ro,defaults,nofail,_netdev"); len(kept) != 0 || !ro {
		t.Error(kept, ro)
	}
}

func FuzzFstab(f *testing.F) {
	f.Add("UUID=\"x\" / ext4 defaults 0 1\n/dev/a\\040b /usr xfs")
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range ParseFstab(s) {
			if m.Source == "" || m.FS == "" || m.Options == "" && !strings.Contains(s, `\`) {
				t.Fatalf("%+v of %q", m, s)
			}
			kernelOptions(m.Options)
		}
		progress(s)
	})
}

package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/cmdline"
)

func TestParse(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for line, want := range map[string]string{
		"root=LABEL=x": "LABEL=x",
		"root=live:http://h/i bareroot.live.sha256=" + sum: "live:http://h/i",
		"root=http://h/i bareroot.live.insecure":           "live:http://h/i",
		"root=live:CDLABEL=x":                              "live:LABEL=x",
		"":                                                 "error: no root=",
		"root=":                                            "error: no root=",
		"root=live:http://h/i":                             "error: not believed without its hash",
		"root=live:http://h/i bareroot.live.sha256=12 bareroot.live.insecure":     "error: 64 hexadecimal",
		"root=live:http://h/i bareroot.live.size=big bareroot.live.sha256=" + sum: "error: number of bytes",
		"root=zfs:x": "error: not supported",
	} {
		r, err := Parse(cmdline.Parse(line, "t"))
		if e, bad := strings.CutPrefix(want, "error: "); bad {
			if err == nil || !strings.Contains(err.Error(), e) {
				t.Errorf("%q: %v, want an error with %q", line, err, e)
			}
			continue
		}
		if err != nil || r.Describe() != want {
			t.Errorf("%q: %v, %v", line, r, err)
		}
	}
	if _, err := Parse(nil); !errors.Is(err, ErrNone) {
		t.Errorf("no root: %v", err)
	}
}

func TestCommentRoot(t *testing.T) {
	in := "# /dev/x / ext4\nLABEL=root  /  ext4 defaults 0 1\nUUID=1 /home ext4\n\t/dev/a / btrfs\nLABEL=r /r ext4"
	out, cut := CommentRoot(in)
	want := "# /dev/x / ext4\n# live root: LABEL=root  /  ext4 defaults 0 1\nUUID=1 /home ext4\n# live root: \t/dev/a / btrfs\nLABEL=r /r ext4"
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"LABEL=root  /  ext4 defaults 0 1", "/dev/a / btrfs"}, cut); d != "" {
		t.Error(d)
	}
}

func TestFindInit(t *testing.T) {
	d := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(d, "usr/lib/systemd"), 0o755))
	must(os.MkdirAll(filepath.Join(d, "usr/sbin"), 0o755))
	must(os.Symlink("usr/sbin", filepath.Join(d, "sbin")))
	must(os.WriteFile(filepath.Join(d, "usr/lib/systemd/systemd"), nil, 0o755))
	must(os.Symlink("/lib/systemd/systemd", filepath.Join(d, "usr/sbin/init"))) // absolute: inside the root
	must(os.Symlink("usr/lib", filepath.Join(d, "lib")))
	must(os.Symlink("loop", filepath.Join(d, "loop")))
	must(os.Symlink("../../../../../../../bin/sh", filepath.Join(d, "escape")))
	must(os.WriteFile(filepath.Join(d, "plain"), nil, 0o644))
	for line, want := range map[string]string{
		"": "/sbin/init", "init=/lib/systemd/systemd": "/lib/systemd/systemd", "init=/loop": "error", "init=/escape": "error",
		"init=/plain": "error", "init=/absent": "error",
	} {
		got, err := FindInit(d, cmdline.Parse(line, "t"))
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", line, got, err, want)
		}
	}
	if _, err := FindInit(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "/etc/init") {
		t.Errorf("an empty root: %v", err)
	}
}

package cmdline

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestReadSources(t *testing.T) {
	files := map[string]string{
		"etc/cmdline.d/10-a.conf": "k=drop a=drop\n", "etc/cmdline.d/20-b.conf": "k=drop2 b=drop2", "etc/cmdline.d/99-cmdline-ask.conf": "asked=1", "etc/cmdline.d/README": "k=no",
		"etc/cmdline": "k=etc", "proc/cmdline": "k=proc\n", "run/initramfs/cmdline.d/99.conf": "c=run",
	}
	for name, row := range map[string]struct {
		proc, want string
		notices    int
	}{
		"all":           {"k=proc", "config=1 k=drop a=drop k=drop2 b=drop2 asked=1 k=etc k=proc c=run", 0},
		"host only off": {"k=proc rd.hostonly=0", "config=1 asked=1 k=proc rd.hostonly=0 c=run", 3},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for p, text := range files {
				root[p] = &fstest.MapFile{Data: []byte(text)}
			}
			root["proc/cmdline"].Data = []byte(row.proc)
			sources, notices, err := ReadSources(root)
			if err != nil || len(notices) != row.notices {
				t.Fatal(notices, err)
			}
			l, _ := Merge(nil, Source{Name: "configuration", Text: "config=1"}, sources...)
			if got := l.String(); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
	if s, _, err := ReadSources(fstest.MapFS{}); err != nil || len(s) != 0 {
		t.Errorf("of an empty ramdisk: %v, %v", s, err)
	}
	if _, _, err := ReadSources(fstest.MapFS{"etc/cmdline": {Mode: fs.ModeDir | 0o755}}); err == nil || !strings.Contains(err.Error(), "read command line") {
		t.Errorf("a folder in place of a file: %v", err)
	}
}

// Deprecated spellings are written in their proper one.
func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"rdloaddriver=a,b rd.driver.pre=c": "rd.driver.pre=a,b rd.driver.pre=c",
		"modprobe.blacklist=x":             "rd.driver.blacklist=x",
		"rdinitdebug":                      "rd.debug=1",
		"METAL_NOWIPE=0":                   "metal.no-wipe=1", // dracut's -y: its presence counts
		"live_dir=x live_ram=0":            "rd.live.dir=x rd.live.ram=1",
		"rd_NO_LVM nodmraid rdbreak=mount": "rd.lvm=0 rd.dm=0 rd.break=mount",
		"rd_LVM_VG=a luks.uuid=b":          "rd.lvm.vg=a rd.luks.uuid=b",
		"single 3 nomodeset unknown=1":     "single 3 nomodeset unknown=1",
		"quiet -- rdinitdebug":             "quiet -- rdinitdebug",
	} {
		l := Parse(in, "t").Canonical()
		if l.String() != want {
			t.Errorf("%s: %s, want %s", in, l, want)
		}
		if again := l.Canonical().String(); again != want {
			t.Errorf("%s: a second time %s", in, again)
		}
	}
	if l := Parse("rdinitdebug quiet", "t").Canonical(); l[0].Old != "rdinitdebug" || l[1].Old != "" {
		t.Errorf("what was written: %+v", l)
	}
}

func TestNotYet(t *testing.T) {
	for _, r := range rules() {
		got := NotYet(Line{{Key: r.Name, Value: "x"}, {Key: r.Name, Value: "x"}})
		if (len(got) == 1) != r.NotYet {
			t.Errorf("%s: %v", r.Name, got)
		}
		if got := NotYet(Line{{Key: r.Name, Value: "0"}}); r.Type == Bool && got != nil {
			t.Errorf("%s=0: %v", r.Name, got)
		}
	}
}

package build

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"bareroot/internal/rdconf"
)

// TestAttributes: what the archive cannot hold is listed for init, by the
// places in the ramdisk, of included files as of installed ones.
func TestAttributes(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "usr/bin/tool", fakeELF(62, false, "", "tool"))
	src := t.TempDir()
	put(t, src, "lib/file", []byte("x"))
	put(t, src, "plain", []byte("x"))
	for p, v := range map[string]string{filepath.Join(root, "usr/bin/tool"): "of a tool", filepath.Join(src, "lib/file"): "of a file", filepath.Join(src, "lib"): "of a folder"} {
		if err := unix.Setxattr(p, "user.test", []byte(v), 0); err != nil {
			t.Skipf("the folder for temporary files keeps no attributes: %v", err)
		}
	}
	o.Install, o.Include = []string{"tool"}, []Include{{src, "/"}, {filepath.Join(src, "lib"), "/opt/mine"}}
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, out)
	text, ok := strings.CutPrefix(unpack(t, out)[strings.TrimPrefix(rdconf.XattrsPath, "/")], "100644 ")
	var got rdconf.Xattrs
	if err := json.Unmarshal([]byte(text), &got); !ok || err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	file, folder := map[string][]byte{"user.test": []byte("of a file")}, map[string][]byte{"user.test": []byte("of a folder")}
	want := rdconf.Xattrs{"usr/bin/tool": {"user.test": []byte("of a tool")}, "usr/lib/file": file, "opt/mine/file": file, "opt/mine": folder}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	o.Install, o.Include = nil, nil
	plain := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, plain)
	if have := unpack(t, plain); have[strings.TrimPrefix(rdconf.XattrsPath, "/")] != "" {
		t.Error("a list of nothing")
	}
}

package kmod

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestBinaryByKmod: kmod's own program finds in the binary indexes what the text
// ones say.
func TestBinaryByKmod(t *testing.T) {
	kmod, err := exec.LookPath("kmod")
	if err != nil {
		if _, err = os.Stat("/usr/bin/kmod"); err != nil {
			t.Fatalf("%v: install kmod", err)
		}
		kmod = "/usr/bin/kmod"
	}
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/6.1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := map[string][]byte{
		"modules.dep":     []byte("kernel/a/net-core.ko:\nkernel/a/net.ko: kernel/a/net-core.ko\nkernel/b/netfs.ko: kernel/a/net.ko kernel/a/net-core.ko\n"),
		"modules.alias":   []byte("alias pci:v00008086d*sv* net\nalias pci:v00008086d00001[0-9]* netfs\nalias fs-net-fs netfs\nalias net-pf-1 net\n"),
		"modules.builtin": []byte("kernel/fs/built-in.ko\n"),
	}
	for name, b := range Binary(text) {
		text[name] = b
	}
	for _, m := range []string{"kernel/a/net-core.ko", "kernel/a/net.ko", "kernel/b/netfs.ko"} {
		text[m] = nil // it looks whether they are there
	}
	for name, b := range text {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	modprobe := filepath.Join(root, "modprobe")
	if err := os.Symlink(kmod, modprobe); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--show-depends netfs", "net-core.ko\nnet.ko\nnetfs.ko"},
		{"--show-depends net-core", "net-core.ko"},
		{"--show-depends built_in", "builtin built_in"},
		{"--resolve-alias fs-net-fs", "netfs"},
		{"--resolve-alias pci:v00008086d00001533sv1", "net\nnetfs"},
		{"--resolve-alias pci:v00008086d0000Xsv", "net"},
		{"--resolve-alias net-pf-1", "net"},
		{"--resolve-alias net-pf-2", ""},
	} {
		out, _ := exec.Command(modprobe, append([]string{"-d", root, "-S", "6.1"}, strings.Fields(c.args)...)...).Output() // no match is an error of its own
		var got []string
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "insmod" {
				got = append(got, filepath.Base(f[1]))
			} else {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
}

// TestBinaryHoldsKeys: every key is found again with its value.
func TestBinaryHoldsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringMatching(`[ab*\[]{0,6}`), 1, 30).Draw(t, "keys")
		n := &trie{}
		want := map[string]int{}
		for _, k := range keys {
			n.add(k, value{0, "v"})
			want[k]++
		}
		for k, count := range want {
			if got := n.find(k); got != count {
				t.Errorf("%q is there %d times, want %d", k, got, count)
			}
		}
		if !bytes.HasPrefix(n.bytes(), []byte{0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1}) {
			t.Error("no head")
		}
	})
}

func (t *trie) find(key string) int {
	rest, ok := strings.CutPrefix(key, t.prefix)
	switch {
	case !ok:
		return 0
	case rest == "":
		return len(t.values)
	case t.children[rest[0]] == nil:
		return 0
	}
	return t.children[rest[0]].find(rest[1:])
}

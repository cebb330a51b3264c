package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// luksMachine is one whose root is LUKS on vda2, with this crypttab.
func luksMachine(t *testing.T, crypttab string) string {
	t.Helper()
	m := t.TempDir()
	const disk = "sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda"
	const dm = "sys/devices/virtual/block/dm-0"
	for name, text := range map[string]string{
		"proc/modules": "", "proc/cmdline": "quiet\n", "proc/self/mountinfo": "1 0 250:2 / / rw - ext4 /dev/mapper/cryptroot rw\n",
		disk + "/dev": "250:0\n", disk + "/vda2/dev": "250:1\n", disk + "/vda2/partition": "2\n",
		dm + "/dev": "250:2\n", dm + "/dm/name": "cryptroot\n", dm + "/dm/uuid": "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-cryptroot\n",
		"etc/crypttab": crypttab, "etc/keys/root.key": "secret", "etc/luks/header.img": "header",
		"sys/devices/pci0000:00/0000:00:05.0/modalias": "pci:v00001AF4d00001001sv0sd0bc01sc00i00\n",
	} {
		put(t, m, name, []byte(text))
	}
	for name, to := range map[string]string{
		"sys/dev/block/250:2": "../../devices/virtual/block/dm-0", "sys/class/block/vda2": "../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda/vda2",
		dm + "/slaves/vda2": "../../../../pci0000:00/0000:00:05.0/virtio2/block/vda/vda2",
	} {
		p := filepath.Join(m, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, p); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// luksSysroot has what a ramdisk for such a machine is made of.
func luksSysroot(t *testing.T, crypttab string) (string, Options) {
	root, o := sysroot(t)
	dep, err := os.ReadFile(filepath.Join(root, "usr/lib/modules/6.1.0-10/modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"dm-mod", "dm-crypt"} {
		put(t, root, "usr/lib/modules/6.1.0-10/kernel/drivers/md/"+m+".ko", signed(m))
		dep = append(dep, "kernel/drivers/md/"+m+".ko:\n"...)
	}
	put(t, root, "usr/lib/modules/6.1.0-10/modules.dep", dep)
	for _, p := range []string{"usr/sbin/cryptsetup", "usr/sbin/dmsetup", "lib/cryptsetup/scripts/askme"} {
		put(t, root, p, fakeELF(62, false, "", p))
	}
	o.Roles, o.Hostonly, o.HostRoot = nil, true, luksMachine(t, crypttab)
	return root, o
}

// TestCrypttab: a ramdisk for one machine opens its root as its crypttab says,
// with the key only if that is asked for.
func TestCrypttab(t *testing.T) {
	const line = "cryptroot UUID=01234567-89ab-cdef-0123-456789abcdef /etc/keys/root.key luks,x-initrd.attach,header=/etc/luks/header.img,keyscript=askme\n"
	_, o := luksSysroot(t, line)
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	got := map[string]string{}
	for p, v := range unpack(t, out) {
		if strings.HasPrefix(p, "etc/crypttab") || strings.HasPrefix(p, "etc/keys/") || strings.HasPrefix(p, "etc/luks/") || strings.HasSuffix(p, "askme") {
			got[p] = v
		}
	}
	want := map[string]string{
		"etc/crypttab": "100600 " + line, "etc/keys/root.key": "100400 secret", "etc/luks/header.img": "100400 header",
		"usr/lib/cryptsetup/scripts/askme": got["usr/lib/cryptsetup/scripts/askme"],
	}
	if d := cmp.Diff(want, got); d != "" || got["usr/lib/cryptsetup/scripts/askme"] == "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if all := strings.Join(res.Notices, "\n"); !strings.Contains(all, out+" holds /etc/keys/root.key, the key of cryptroot, and whoever its server serves can read it") {
		t.Errorf("notices of a boot set: %s", all)
	}

	img := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(img, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := File(t.Context(), o, img, true)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(img); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode of the ramdisk: %v %v", fi.Mode(), err)
	}
	if all := strings.Join(res.Notices, "\n"); strings.Contains(all, "holds") {
		t.Errorf("notices of a file that nobody can read: %s", all)
	}
	if err := os.Chmod(img, 0o640); err != nil {
		t.Fatal(err)
	}
	r := &recipe{secrets: []secret{{"/k", "x"}}}
	if got := r.exposed(&fileOutput{path: img}); len(got) != 1 || got[0] != img+" holds /k, the key of x, and other users can read it" {
		t.Errorf("a file that others can read: %q", got)
	}

	for name, c := range map[string]struct {
		crypttab string
		set      func(root string, o *Options)
		err      string   // "" for none
		notice   []string // parts of notices
		absent   []string
	}{
		"no word that the key is to be in": {crypttab: "cryptroot UUID=01234567-89ab-cdef-0123-456789abcdef /etc/keys/root.key luks\n",
			notice: []string{"/etc/keys/root.key of cryptroot is not copied"}, absent: []string{"etc/keys/root.key"}},
		"the key is gone":            {crypttab: "cryptroot /dev/vda2 /etc/keys/none x-initrd.attach\n", notice: []string{"/etc/keys/none of cryptroot in crypttab is not there"}},
		"no key where systemd looks": {crypttab: "cryptroot /dev/vda2 - x-initrd.attach\n"},
		"the key is a folder":        {crypttab: "cryptroot /dev/vda2 /etc/keys x-initrd.attach\n", err: "key of cryptroot in crypttab: "},
		"the header is gone":         {crypttab: "cryptroot /dev/vda2 - header=/nowhere\n", err: "LUKS header of cryptroot in crypttab: "},
		"the script is gone":         {crypttab: "cryptroot /dev/vda2 - keyscript=nowhere\n", notice: []string{"key script /lib/cryptsetup/scripts/nowhere of cryptroot"}},
		"the operator's own": {crypttab: line, set: func(root string, o *Options) {
			put(t, root, "mine", []byte("own"))
			o.Include = []Include{{filepath.Join(root, "mine"), "/etc/crypttab"}}
		}, absent: []string{"etc/keys/root.key"}},
		"the feature is not wanted":    {crypttab: line, set: func(_ string, o *Options) { o.OmitFeatures = []string{"crypt"} }, absent: []string{"etc/crypttab", "etc/keys/root.key"}},
		"dracut goes on without a key": {crypttab: "cryptroot /dev/vda2 /etc/keys x-initrd.attach\n", set: func(_ string, o *Options) { o.GoOn = true }, absent: []string{"etc/keys"}},
	} {
		root, o := luksSysroot(t, c.crypttab)
		if c.set != nil {
			c.set(root, &o)
		}
		out := filepath.Join(t.TempDir(), "set")
		res, err := Dir(t.Context(), o, out, false)
		if c.err != "" {
			if err == nil || !IsInputError(err) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, n := range c.notice {
			if !strings.Contains(strings.Join(res.Notices, "\n"), n) {
				t.Errorf("%s: no notice %q in %q", name, n, res.Notices)
			}
		}
		have := unpack(t, out)
		for _, p := range c.absent {
			if have[p] != "" {
				t.Errorf("%s: %s is in", name, p)
			}
		}
		if name == "the operator's own" && !strings.HasSuffix(have["etc/crypttab"], " own") {
			t.Errorf("%s: %q", name, have["etc/crypttab"])
		}
	}
}

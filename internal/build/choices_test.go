package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/bootset"
	"bareroot/internal/rdconf"
)

// put writes a file of a test's sysroot.
func put(t *testing.T, root, name string, data []byte) {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, o Options) (*recipe, error) {
	t.Helper()
	if err := o.complete(); err != nil {
		return nil, err
	}
	return newRecipe(t.Context(), &o, false)
}

func moduleNames(r *recipe) (out []string) {
	for _, c := range r.modules {
		if !strings.HasPrefix(c.Module.Name, "s0") && !strings.HasPrefix(c.Module.Name, "s1") && !strings.HasPrefix(c.Module.Name, "s2") && !strings.HasPrefix(c.Module.Name, "s3") {
			out = append(out, c.Module.Name)
		}
	}
	return out
}

// TestModuleChoice: which modules (of a small kernel) the options bring.
func TestModuleChoice(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*Options)
		want []string
		err  []string
	}{
		"generic":                 {func(*Options) {}, []string{"crc32c_generic", "helper", "e1000", "qed", "ext4", "jbd2"}, nil},
		"listed, softdep in":      {func(o *Options) { o.Drivers = []string{"ext4"} }, []string{"crc32c_generic", "ext4", "jbd2"}, nil},
		"built in":                {func(o *Options) { o.Drivers = []string{"virtio"} }, nil, nil},
		"by alias":                {func(o *Options) { o.Drivers = []string{"crypto-crc32c"} }, []string{"crc32c_generic"}, nil},
		"as a file":               {func(o *Options) { o.Drivers = []string{"jbd2.ko.xz"} }, []string{"jbd2"}, nil},
		"folder":                  {func(o *Options) { o.Drivers = []string{"=drivers/net/ethernet/"} }, []string{"helper", "e1000", "qed"}, nil},
		"added":                   {func(o *Options) { o.AddDrivers = []string{"wl"}; o.Drivers = []string{"jbd2"} }, []string{"wl", "jbd2"}, nil},
		"unknown":                 {func(o *Options) { o.AddDrivers = []string{"nvme9"} }, nil, []string{"--add-drivers nvme9", "6.1.0-10"}},
		"unknown folder":          {func(o *Options) { o.Drivers = []string{"=drivers/none"} }, nil, []string{"--drivers =drivers/none", "kernel/drivers/none"}},
		"omitted":                 {func(o *Options) { o.OmitDrivers = []string{"e1000", "crc32c-generic"} }, []string{"helper", "qed", "ext4", "jbd2"}, nil},
		"what needs it goes":      {func(o *Options) { o.OmitDrivers = []string{"jbd2"} }, []string{"crc32c_generic", "helper", "e1000", "qed"}, nil},
		"needed and omitted":      {func(o *Options) { o.AddDrivers, o.OmitDrivers = []string{"ext4"}, []string{"jbd2"} }, nil, []string{"--add-drivers ext4", "jbd2"}},
		"named and omitted":       {func(o *Options) { o.AddDrivers, o.OmitDrivers = []string{"wl"}, []string{"wl"} }, []string{"crc32c_generic", "helper", "e1000", "qed", "ext4", "jbd2"}, nil},
		"filesystems":             {func(o *Options) { o.Filesystems = []string{"jbd2"} }, []string{"crc32c_generic", "helper", "e1000", "qed", "jbd2"}, nil},
		"no kernel":               {func(o *Options) { o.NoKernel = true }, nil, nil},
		"listed, and a feature's": {func(o *Options) { o.Drivers, o.AddFeatures = []string{"jbd2"}, []string{"url"} }, []string{"helper", "e1000", "jbd2", "qed"}, nil},
		"a feature's own":         {func(o *Options) { o.Features = []string{"network"} }, []string{"helper", "e1000", "qed"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := sysroot(t)
			c.set(&o)
			r, err := plan(t, o)
			if (err != nil) != (c.err != nil) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			for _, w := range c.err {
				if !strings.Contains(err.Error(), w) || !IsInputError(err) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if err != nil {
				return
			}
			got := moduleNames(r)
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForcedDrivers(t *testing.T) {
	root, o := sysroot(t)
	o.ForceDrivers = []string{"wl"}
	put(t, root, "etc/modprobe.d/local.conf", []byte("# none\nblacklist e1000\nblacklist not-there\noptions wl a=1 \\\n  b=2\ninstall qed /bin/false\ninstall ext4 /sbin/do it\n"))
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	have := unpack(t, out)
	c, _, err := rdconf.Parse([]byte(strings.TrimPrefix(have[rdconf.Vendor[1:]], "100644 ")))
	if err != nil || !slices.Equal(c.Modules, []string{"wl"}) {
		t.Errorf("configuration %+v %v", c, err)
	}
	if got, want := have["etc/cmdline.d/10-modprobe.conf"], "100644 modprobe.blacklist=e1000,qed wl.a=1 wl.b=2\n"; got != want {
		t.Errorf("words for init %q, want %q", got, want)
	}
	if !slices.ContainsFunc(res.Notices, func(n string) bool { return strings.Contains(n, "install command of module ext4") }) {
		t.Errorf("notices %q", res.Notices)
	}
}

func featureNames(r *recipe) string { return strings.Join(r.featureNames(), " ") }

// TestFeatureChoice: names, aliases, needs, and what is said of a feature that
// cannot be had.
func TestFeatureChoice(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*testing.T, string, *Options)
		want string // all features
		err  []string
	}{
		"exactly, by a stock name": {func(_ *testing.T, _ string, o *Options) { o.Features = []string{"url-lib"} }, "base network url discover deploy", nil},
		"a seed's name": {func(_ *testing.T, _ string, o *Options) {
			o.Roles, o.Features = nil, []string{"base-foreman", "udev-rules"}
		}, "base network discover", nil},
		"unknown":         {func(_ *testing.T, _ string, o *Options) { o.AddFeatures = []string{"cook"} }, "", []string{"cook", "livenet"}},
		"unknown omitted": {func(_ *testing.T, _ string, o *Options) { o.OmitFeatures = []string{"cook"} }, "", []string{"--omit-feature cook"}},
		"base omitted":    {func(_ *testing.T, _ string, o *Options) { o.OmitFeatures = []string{"base"} }, "", []string{"base"}},
		"need omitted": {func(_ *testing.T, _ string, o *Options) {
			o.AddFeatures, o.OmitFeatures = []string{"url"}, []string{"network"}
		}, "", []string{"network", "omitted"}},
		"forced over omitted": {func(_ *testing.T, _ string, o *Options) {
			o.Roles = nil
			o.Features, o.ForceFeatures, o.OmitFeatures = []string{"base"}, []string{"url"}, []string{"url"}
		}, "base network url root", nil},
		"agent missing": {func(_ *testing.T, _ string, o *Options) {
			o.Roles, o.Agent, o.AddFeatures = nil, "", []string{"livenet"}
		}, "", []string{"url", "needed by livenet", "--agent"}},
		"program missing": {func(_ *testing.T, _ string, o *Options) { o.AddFeatures = []string{"sshd"} }, "", []string{"sshd", "Debian: openssh-server"}},
		"module missing":  {func(_ *testing.T, _ string, o *Options) { o.AddFeatures = []string{"bond"} }, "", []string{"bond", "no module bonding"}},
		"kernel option missing": {func(t *testing.T, root string, o *Options) {
			put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_RD_ZSTD=y\n# CONFIG_PACKET is not set\n"))
		}, "", []string{"network", "CONFIG_PACKET", "config-6.1.0-10"}},
		"kernel that starts nothing": {func(t *testing.T, root string, o *Options) {
			put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_BLK_DEV_INITRD=y\n# CONFIG_DEVTMPFS is not set\n"))
		}, "", []string{"base", "CONFIG_DEVTMPFS"}},
		"kernel without 32 bit": {func(t *testing.T, root string, o *Options) {
			put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_RD_ZSTD=y\n# CONFIG_IA32_EMULATION is not set\n"))
			o.AddFeatures = []string{"compat32"}
		}, "", []string{"compat32", "CONFIG_IA32_EMULATION"}},
		"no 32-bit libraries": {func(_ *testing.T, _ string, o *Options) { o.AddFeatures = []string{"compat32"} }, "", []string{"ld-linux.so.2", "libc6:i386"}},
	} {
		t.Run(name, func(t *testing.T) {
			root, o := sysroot(t)
			c.set(t, root, &o)
			r, err := plan(t, o)
			if (err != nil) != (c.err != nil) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			for _, w := range c.err {
				if !strings.Contains(err.Error(), w) || !IsInputError(err) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if err == nil && featureNames(r) != c.want {
				t.Errorf("features %q, want %q", featureNames(r), c.want)
			}
		})
	}
}

// TestFeatureFiles: a feature's programs come with their folder, win over
// busybox's applets, and a default feature that cannot be had is one notice.
func TestFeatureFiles(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "usr/sbin/sshd", fakeELF(62, false, "", "sshd"))
	put(t, root, "usr/bin/cat", fakeELF(62, false, "", "cat"))
	put(t, root, "etc/ssh/sshd_config", []byte("Port 22\n"))
	put(t, root, "etc/passwd", []byte("root:x:0:0::/root:/bin/bash\nsshd:secret:100:65534::/run/sshd:/usr/sbin/nologin\n"))
	o.AddFeatures, o.Install = []string{"ssh-server"}, []string{"cat"}
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	have := unpack(t, out)
	if !strings.HasSuffix(have["usr/sbin/sshd"], "sshd") || have["etc/ssh/sshd_config"] != "100755 Port 22\n" {
		t.Errorf("sshd is %.20q, its settings %q", have["usr/sbin/sshd"], have["etc/ssh/sshd_config"])
	}
	if !strings.HasSuffix(have["usr/bin/cat"], "cat") || have["usr/bin/sh"] != "120777 busybox" {
		t.Errorf("cat is %.20q, sh %q", have["usr/bin/cat"], have["usr/bin/sh"])
	}
	if !strings.Contains(have["etc/passwd"], "\nsshd:*:100:65534::/run/sshd:/usr/sbin/nologin\n") || strings.Contains(have["etc/passwd"], "secret") {
		t.Errorf("users %q", have["etc/passwd"])
	}
	if !slices.ContainsFunc(res.Notices, func(n string) bool {
		return strings.Contains(n, "feature overlayfs is left out") && strings.Contains(n, "overlay")
	}) {
		t.Errorf("notices %q", res.Notices)
	}
	listed, held := map[string]bool{}, map[string]bool{}
	for _, f := range explained(t, o) {
		listed[f.Path] = true
	}
	for p := range have {
		held[p] = true
	}
	if diff := cmp.Diff(held, listed); diff != "" {
		t.Errorf("explain against a build: %s", diff)
	}
}

func explained(t *testing.T, o Options) []bootset.File {
	t.Helper()
	files, _, err := Explain(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestInclude: trees keep modes and links, and what would replace the merged
// /usr goes into it.
func TestInclude(t *testing.T) {
	_, o := sysroot(t)
	src := t.TempDir()
	put(t, src, "lib/mine/tool", []byte("tool"))
	put(t, src, "etc/.hidden", []byte("dot"))
	if err := os.Chmod(filepath.Join(src, "etc/.hidden"), 0o640); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"lib/mine/up": "../../etc/.hidden", "lib/mine/near": "tool", "lib/mine/abs": "/lib/mine/tool"} {
		if err := os.Symlink(target, filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	hook := filepath.Join(src, "hook.sh")
	put(t, src, "hook.sh", []byte("#!/bin/sh\n"))
	o.Include = []Include{{src, "/"}, {hook, "/opt/renamed"}, {hook, "opt/"}}
	o.Hooks = []Hook{{"pre-mount", hook}}
	o.Extra = []ExtraFile{{Path: "etc/cmdline.d/01-default.conf", Data: []byte("quiet\n"), Why: "test"}, {Path: "root/.ssh/authorized_keys", Mode: 0o600, Data: []byte("key"), Why: "test"}, {Path: "tmp/x", Why: "test"}}
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, out)
	have := unpack(t, out)
	for name, want := range map[string]string{
		"usr/lib/mine/tool": "100755 tool", "etc/.hidden": "100640 dot", "usr/lib/mine/near": "120777 tool",
		"usr/lib/mine/up": "120777 ../../../etc/.hidden", "usr/lib/mine/abs": "120777 /usr/lib/mine/tool",
		"opt/renamed": "100755 #!/bin/sh\n", "opt/hook.sh": "100755 #!/bin/sh\n",
		"usr/lib/bareroot/hooks/pre-mount.d/hook.sh": "100755 #!/bin/sh\n",
		"etc/cmdline.d/01-default.conf":              "100644 quiet\n",
		"root":                                       "40700 ", "tmp": "41777 ", "root/.ssh/authorized_keys": "100600 key",
		"lib": "120777 usr/lib", "etc": "40755 ",
	} {
		if have[name] != want {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
	for name, c := range map[string]struct {
		set  func(*Options)
		want string
	}{
		"missing source":   {func(o *Options) { o.Include = []Include{{"/nonexistent", "/x"}} }, "/nonexistent"},
		"missing program":  {func(o *Options) { o.Install = []string{"no-such"} }, "install no-such"},
		"unknown stage":    {func(o *Options) { o.Hooks = []Hook{{"dinner", hook}} }, "pre-mount"},
		"hook is a folder": {func(o *Options) { o.Hooks = []Hook{{"mount", src}} }, "no regular file"},
		"out of the tree":  {func(o *Options) { o.Extra = []ExtraFile{{Path: "", Data: []byte("x")}} }, "add"},
	} {
		_, o := sysroot(t)
		c.set(&o)
		if _, err := plan(t, o); err == nil || !strings.Contains(err.Error(), c.want) || !IsInputError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, o = sysroot(t)
	o.InstallOptional = []string{"no-such"}
	if _, err := plan(t, o); err != nil {
		t.Errorf("optional program: %v", err)
	}
}

// TestDistroTools: the sysroot's programs in busybox's place.
func TestDistroTools(t *testing.T) {
	root, o := sysroot(t)
	o.Tools = "distro"
	if _, err := plan(t, o); err == nil || !strings.Contains(err.Error(), "no sh below") {
		t.Errorf("without a shell: %v", err)
	}
	for _, name := range []string{"dash", "[", "cat"} {
		put(t, root, "usr/bin/"+name, fakeELF(62, false, "", name))
	}
	if err := os.Symlink("dash", filepath.Join(root, "usr/bin/sh")); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, out)
	have := unpack(t, out)
	if have["usr/bin/sh"] != "120777 dash" || !strings.HasSuffix(have["usr/bin/dash"], "dash") || have["usr/bin/["] == "" || have["usr/bin/busybox"] != "" || have["usr/bin/wget"] != "" {
		t.Errorf("sh %q, [ %.10q, busybox %.10q", have["usr/bin/sh"], have["usr/bin/["], have["usr/bin/busybox"])
	}
}

// TestBinaryIndexes: only where a program's library reads them.
func TestBinaryIndexes(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "usr/lib64/libkmod.so.2", fakeELF(62, false, "", "kmod"))
	for _, install := range [][]string{nil, {"/usr/lib64/libkmod.so.2"}} {
		o.Install = install
		var got []string
		for _, f := range explained(t, o) {
			if strings.HasSuffix(f.Path, ".bin") && f.Segment == "modules" {
				got = append(got, filepath.Base(f.Path))
			}
		}
		var want []string
		if install != nil {
			want = []string{"modules.alias.bin", "modules.builtin.bin", "modules.dep.bin"}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestFirmwareChoice: which of the sysroot's firmware comes in, and in a form
// that the kernel can load.
func TestFirmwareChoice(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*testing.T, string, *Options)
		want []string
	}{
		"needed":  {func(*testing.T, string, *Options) {}, []string{"helper.bin.xz", "qed/qed_1.bin", "qed/qed_2.bin", "same.bin.xz"}},
		"none":    {func(_ *testing.T, _ string, o *Options) { o.Firmware = []string{"none"} }, nil},
		"all":     {func(_ *testing.T, _ string, o *Options) { o.Firmware = []string{"all"} }, []string{"extra/x.bin", "helper.bin.xz", "qed/qed_1.bin", "qed/qed_2.bin", "same.bin.xz"}},
		"pattern": {func(_ *testing.T, _ string, o *Options) { o.Firmware = []string{"extra/*"} }, []string{"extra/x.bin"}},
		"and needed": {func(_ *testing.T, _ string, o *Options) {
			o.Firmware, o.OmitFirmware = []string{"needed", "extra/*"}, []string{"qed", "same.bin"}
		}, []string{"extra/x.bin", "helper.bin.xz"}},
		"kernel without xz": {func(t *testing.T, root string, o *Options) {
			put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_RD_ZSTD=y\n"))
			put(t, root, "usr/lib/firmware/helper.bin.xz", compressLike(t, "x.xz", []byte("plain")))
		}, []string{"helper.bin", "qed/qed_1.bin", "qed/qed_2.bin", "same.bin"}},
	} {
		t.Run(name, func(t *testing.T) {
			root, o := sysroot(t)
			put(t, root, "usr/lib/firmware/extra/x.bin", []byte("extra"))
			c.set(t, root, &o)
			var got []string
			for _, f := range explained(t, o) {
				if f.Segment == "firmware" && f.Mode != "directory" {
					got = append(got, strings.TrimPrefix(f.Path, "usr/lib/firmware/"))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMicrocode(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "usr/lib/firmware/intel-ucode/06-02", []byte("b"))
	put(t, root, "usr/lib/firmware/intel-ucode/06-01", []byte("a"))
	put(t, root, "usr/lib/firmware/amd-ucode/fam17.bin", []byte("amd"))
	put(t, root, "usr/lib/firmware/amd-ucode/fam17.bin.asc", []byte("signature"))
	o.Microcode = true
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	if s := res.Manifest.Segments[0]; s.Kind != "microcode" || s.Compression != "" {
		t.Fatalf("first segment %+v", s)
	}
	have := unpack(t, out)
	if have["kernel/x86/microcode/GenuineIntel.bin"] != "100644 ab" || have["kernel/x86/microcode/AuthenticAMD.bin"] != "100644 amd" {
		t.Errorf("microcode %q", have)
	}
}

func TestBudget(t *testing.T) {
	_, o := sysroot(t)
	o.SizeBudget = 1000
	out := filepath.Join(t.TempDir(), "set")
	_, err := Dir(t.Context(), o, out, false)
	over, ok := err.(interface{ Unwrap() error })
	if !ok {
		t.Fatal(err)
	}
	b, ok := over.Unwrap().(*BudgetError)
	if !ok || b.Budget != 1000 || b.Size <= 1000 || len(b.Groups) == 0 || len(b.Files) == 0 || len(b.Segments) < 3 {
		t.Fatalf("%+v %v", b, err)
	}
	var table strings.Builder
	if err := b.Table(&table); err != nil || !strings.Contains(table.String(), "storage") || !strings.Contains(table.String(), "modules") {
		t.Errorf("%v %s", err, &table)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a ramdisk over the budget was left")
	}
	o.SizeBudget = 1 << 30
	buildDir(t, o, out)
}

// TestOwners: files.json names the package of what comes from the sysroot.
func TestOwners(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "var/lib/dpkg/status", []byte("Package: busybox-static\nStatus: install ok installed\nVersion: 1.35\nArchitecture: amd64\n\n"))
	put(t, root, "var/lib/dpkg/info/busybox-static.list", []byte("/.\n/usr/bin\n/usr/bin/busybox\n"))
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, o, out)
	b, err := os.ReadFile(filepath.Join(out, "files.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []bootset.File
	if err := json.Unmarshal(b, &files); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Path == "usr/bin/busybox" && !strings.HasPrefix(f.Package, "busybox-static") {
			t.Errorf("owner of %s is %q", f.Path, f.Package)
		}
	}
}

// TestHostonly: the modules behind this machine's devices and root, with their
// reasons, and the words that find the root.
func TestHostonly(t *testing.T) {
	_, o := sysroot(t)
	machine := t.TempDir()
	put(t, machine, "proc/modules", []byte("e1000 1 0 - Live 0x0\n"))
	put(t, machine, "proc/cmdline", []byte("root=/dev/sda1\n"))
	put(t, machine, "proc/self/mountinfo", []byte("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"))
	put(t, machine, "proc/mounts", []byte("/dev/sda1 / ext4 rw 0 0\n"))
	put(t, machine, "sys/devices/pci0000:00/0000:00:03.0/modalias", []byte("pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n"))
	put(t, machine, "sys/devices/pci0000:00/0000:00:03.0/uevent", []byte("DRIVER=e1000\n"))
	put(t, machine, "etc/fstab", []byte("/dev/sda1 / ext4 defaults 0 1\n"))
	o.Hostonly, o.HostonlyMode, o.HostRoot = true, "strict", machine
	r, err := plan(t, o)
	if err != nil {
		t.Fatal(err)
	}
	why := map[string]string{}
	for _, c := range r.modules {
		why[c.Module.Name] = c.Why
	}
	if why["e1000"] == "" || why["ext4"] == "" || why["jbd2"] == "" || why["qed"] != "" || why["s01"] != "" {
		t.Errorf("modules %q, notices %q", why, r.notices)
	}
	if strings.HasPrefix(why["ext4"], "needed by") || !strings.HasPrefix(why["jbd2"], "needed by") {
		t.Errorf("reasons %q", why)
	}
	words := ""
	for _, it := range r.config {
		if it.Path == "etc/cmdline.d/20-build.conf" {
			words = string(it.Data)
		}
	}
	if !strings.Contains(words, "root=") {
		t.Errorf("words %q", words)
	}
	o.NoHostCmdline = true
	if r, err = plan(t, o); err != nil || slices.ContainsFunc(r.config, func(it item) bool { return it.Path == "etc/cmdline.d/20-build.conf" }) {
		t.Errorf("words without being wanted, %v", err)
	}
}

// TestCardless: where a list of drivers has none of a network card, what could
// only speak to servers stays out, unless it was asked for.
func TestCardless(t *testing.T) {
	root, o := sysroot(t)
	agent := func(change func(*Options)) bool {
		o := o
		o.Roles = nil
		change(&o)
		r, err := plan(t, o)
		if err != nil {
			t.Fatal(err)
		}
		return len(r.agent) > 0
	}
	for name, c := range map[string]struct {
		change func(*Options)
		want   bool
	}{
		"generic":    {func(*Options) {}, true},
		"disks only": {func(o *Options) { o.Drivers = []string{"ext4"} }, false},
		"a card":     {func(o *Options) { o.Drivers = []string{"ext4", "e1000"} }, true},
		"asked for":  {func(o *Options) { o.Drivers, o.AddFeatures = []string{"ext4"}, []string{"url"} }, true},
		"by role":    {func(o *Options) { o.Drivers, o.Roles = []string{"ext4"}, []string{"discover"} }, true},
	} {
		if got := agent(c.change); got != c.want {
			t.Errorf("%s: the agent is in: %v", name, got)
		}
	}
	put(t, root, "usr/lib/modules/6.1.0-10/modules.builtin", []byte("kernel/drivers/net/virtio_net.ko\n"))
	if !agent(func(o *Options) { o.Drivers = []string{"ext4"} }) {
		t.Error("a card that the kernel has built in is not seen")
	}
	for p, want := range map[string]bool{
		"kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko": true, "kernel/drivers/s390/net/qeth.ko": true, "kernel/drivers/infiniband/ulp/ipoib/ib_ipoib.ko": true,
		"updates/dkms/r8125.ko": true, "kernel/drivers/block/virtio_blk.ko": false, "kernel/net/packet/af_packet.ko": false, "kernel/fs/ext4/ext4.ko": false,
	} {
		if maybeCard(p) != want {
			t.Errorf("%s: %v", p, !want)
		}
	}
}

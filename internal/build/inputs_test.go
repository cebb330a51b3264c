package build

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bareroot/internal/kmod"
)

// TestInputErrors: what is wrong with the inputs is one sentence that names the
// object and what to do.
func TestInputErrors(t *testing.T) {
	write := func(name string, data []byte) func(*testing.T, string, *Options) {
		return func(t *testing.T, root string, _ *Options) {
			if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, string, *Options) {
		return func(t *testing.T, root string, _ *Options) {
			if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	opt := func(f func(*Options)) func(*testing.T, string, *Options) {
		return func(_ *testing.T, _ string, o *Options) { f(o) }
	}
	bzImage := make([]byte, 4096)
	copy(bzImage[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(bzImage[0x20e:], 0x400)
	copy(bzImage[0x600:], "6.1.0-9 (builder) #1\x00")

	for name, c := range map[string]struct {
		spoil func(*testing.T, string, *Options)
		want  []string
	}{
		"no modules folder":     {remove("usr/lib/modules"), []string{"lib/modules", "--modules-dir"}},
		"empty modules folder":  {opt(func(o *Options) { o.ModulesDir = t.TempDir() }), []string{"no kernel in it"}},
		"wrong kver":            {opt(func(o *Options) { o.Kver = "5.0" }), []string{"5.0", "6.1.0-10", "6.1.0-9"}},
		"kver that is a path":   {opt(func(o *Options) { o.Kver = "../x" }), []string{"no kernel version"}},
		"tree of another kver":  {opt(func(o *Options) { o.ModulesDir, o.Kver = filepath.Join(o.Sysroot, "usr/lib/modules/6.1.0-10"), "6.2" }), []string{"6.1.0-10", "6.2"}},
		"depmod never ran":      {opt(func(o *Options) { o.Kver = "6.1.0-11"; o.Kernel = filepath.Join(o.Sysroot, "boot/vmlinuz-6.1.0-10") }), []string{"run depmod"}},
		"no kernel":             {remove("boot/vmlinuz-6.1.0-10"), []string{"vmlinuz-6.1.0-10", "--kernel"}},
		"kernel of another":     {write("boot/vmlinuz-6.1.0-10", bzImage), []string{"6.1.0-9", "6.1.0-10"}},
		"kernel is a text":      {write("boot/vmlinuz-6.1.0-10", []byte("root:x:0:0\n")), []string{"boot/vmlinuz-6.1.0-10: it is no kernel image", "bzImage"}},
		"no busybox":            {remove("usr/bin/busybox"), []string{"busybox-static", "--busybox"}},
		"busybox not static":    {write("usr/bin/busybox", fakeELF(elf.EM_X86_64, true, "", appletStrings)), []string{"shared libraries", "busybox-static"}},
		"busybox of other arch": {write("usr/bin/busybox", fakeELF(elf.EM_AARCH64, false, "", appletStrings)), []string{"arm64", "amd64"}},
		"busybox is something":  {write("usr/bin/busybox", fakeELF(elf.EM_X86_64, false, "", "")), []string{"is it busybox?"}},
		"busybox is a script":   {write("usr/bin/busybox", []byte("#!/bin/sh\n")), []string{"no program for Linux"}},
		"no init":               {opt(func(o *Options) { o.Init = "" }), []string{"--init"}},
		"init of other build":   {write("own/bareroot-init", fakeELF(elf.EM_X86_64, false, "", stamp("fedcba9876543210"))), []string{"fedcba9876543210", testID}},
		"init without id":       {write("own/bareroot-init", fakeELF(elf.EM_X86_64, false, "", "")), []string{"make"}},
		"no agent":              {opt(func(o *Options) { o.Agent = "" }), []string{"--agent"}},
		"agent of other arch":   {write("own/bareroot-agent", fakeELF(elf.EM_AARCH64, false, "", stamp(testID))), []string{"arm64"}},
		"module of other arch":  {write("usr/lib/modules/6.1.0-10/kernel/fs/jbd2/jbd2.ko", fakeELF(elf.EM_AARCH64, false, "", "")), []string{"jbd2.ko", "arm64", "amd64"}},
		"role":                  {opt(func(o *Options) { o.Roles = []string{"cook"} }), []string{"cook", "deploy"}},
		"firmware pattern":      {opt(func(o *Options) { o.Firmware = []string{"none-such/*"} }), []string{"--firmware none-such/*", "usr/lib/firmware"}},
		"firmware folder":       {opt(func(o *Options) { o.FirmwareDir = "/nonexistent" }), []string{"/nonexistent"}},
	} {
		t.Run(name, func(t *testing.T) {
			root, o := sysroot(t)
			c.spoil(t, root, &o)
			out := filepath.Join(t.TempDir(), "set")
			_, err := Dir(t.Context(), o, out, false)
			if err == nil {
				t.Fatal("no error")
			}
			if !IsInputError(err) {
				t.Errorf("not an input error: %v", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestNoKernel: without modules neither their folder nor a version is needed,
// and a boot set names its kernel itself.
func TestNoKernel(t *testing.T) {
	root, o := sysroot(t)
	o.NoKernel, o.Roles = true, nil
	if err := os.RemoveAll(filepath.Join(root, "usr/lib/modules")); err != nil {
		t.Fatal(err)
	}
	res, err := File(t.Context(), o, filepath.Join(t.TempDir(), "img"), false)
	if err != nil || res.Manifest.Kver != "" || res.Modules != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, _, err := Explain(t.Context(), o); err != nil {
		t.Error(err)
	}
	if _, err := Dir(t.Context(), o, filepath.Join(t.TempDir(), "set"), false); !IsInputError(err) || !strings.Contains(err.Error(), "--kernel") {
		t.Errorf("a boot set without a kernel: %v", err)
	}
	o.Kver = "6.1.0-10"
	if res, err = Dir(t.Context(), o, filepath.Join(t.TempDir(), "set"), false); err != nil || res.Manifest.Kver != "6.1.0-10" || res.Manifest.Kernel.Size == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestNamedKernel: a kernel that is named is looked at, whatever is made.
func TestNamedKernel(t *testing.T) {
	for _, noKernel := range []bool{false, true} {
		root, o := sysroot(t)
		put(t, root, "etc/passwd", []byte("root:x:0:0\n"))
		o.Kernel, o.NoKernel = filepath.Join(root, "etc/passwd"), noKernel
		for name, make := range map[string]func(context.Context, Options, string, bool) (*Result, error){"ramdisk": File, "boot set": Dir} {
			_, err := make(t.Context(), o, filepath.Join(t.TempDir(), "out"), false)
			if !IsInputError(err) || !strings.HasPrefix(err.Error(), "read kernel: "+o.Kernel+": it is no kernel image") {
				t.Errorf("%s, --no-kernel %v: %v", name, noKernel, err)
			}
		}
	}
	_, o := sysroot(t)
	o.Kernel = filepath.Join(o.Sysroot, "boot/vmlinuz-6.1.0-10")
	if res := buildDir(t, o, filepath.Join(t.TempDir(), "set")); res.Manifest.Kernel.Size == 0 {
		t.Errorf("%+v", res.Manifest.Kernel)
	}
	if res, err := File(t.Context(), o, filepath.Join(t.TempDir(), "out"), false); err != nil || res.Manifest.Kernel.File != "" {
		t.Errorf("%+v, %v", res.Manifest.Kernel, err)
	}
}

func TestKernelChoice(t *testing.T) {
	root, o := sysroot(t)
	for name, c := range map[string]struct {
		set  func(*Options)
		want string
	}{
		"newest that depmod has seen": {func(*Options) {}, "6.1.0-10"},
		"named":                       {func(o *Options) { o.Kver = "6.1.0-9" }, "6.1.0-9"},
		"tree given":                  {func(o *Options) { o.ModulesDir = filepath.Join(root, "usr/lib/modules/6.1.0-9") }, "6.1.0-9"},
	} {
		o := o
		c.set(&o)
		if _, got, err := o.findModules(); err != nil || got != c.want {
			t.Errorf("%s: %s %v, want %s", name, got, err, c.want)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	sorted := []string{"5.10.0", "6.1-rc2", "6.1", "6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-cloud-amd64", "6.9.1", "6.10.0"}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, compareVersions)
	if diff := cmp.Diff(sorted, shuffled); diff != "" {
		t.Fatal(diff)
	}
	word := rapid.StringMatching(`[0-9]{1,3}(\.|-|-rc|a|b|~){0,1}[0-9]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if sign(compareVersions(a, b)) != -sign(compareVersions(b, a)) {
			t.Fatalf("%q and %q are not ordered", a, b)
		}
		if compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0 && compareVersions(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q is not transitive", a, b, c)
		}
	})
}

func sign(n int) int { return max(-1, min(1, n)) }

func TestWithin(t *testing.T) {
	root := t.TempDir()
	for name, target := range map[string]string{"abs": "/real", "up": "../../../real", "loop": "loop", "chain": "abs/x"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for p, want := range map[string]string{
		"abs/file": "real/file", "up": "real", "chain": "real/x", "../../etc/passwd": "etc/passwd", "none/at/all": "none/at/all", "/abs": "real",
	} {
		if got, err := within(root, p); err != nil || got != filepath.Join(root, want) {
			t.Errorf("within(%q) = %s %v, want %s", p, got, err, want)
		}
	}
	if _, err := within(root, "loop"); err == nil {
		t.Error("a loop of links ended well")
	}
}

// TestHiddenApplets: a name is gone from the table, wherever it is not a name it
// stays, and nothing else changes.
func TestHiddenApplets(t *testing.T) {
	box := []byte("modprobe\x00x\x00[\x00[[\x00a\x00no" + appletStrings + "modprobe\x00")
	want := strings.Replace(strings.Replace(string(box), "init\x00modprobe", "init\x00modprob\x7f", 1), "\x00cat\x00", "\x00ca\x7f\x00", 1)
	hideApplets(box, map[string]bool{"modprobe": true, "cat": true, "nothing": true})
	if string(box) != want {
		t.Errorf("%q, want %q", box, want)
	}
}

// TestAppletsOfRealBusybox holds the table in the program against what the
// program says.
func TestAppletsOfRealBusybox(t *testing.T) {
	name, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static", err)
	}
	out, err := exec.Command(name, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(strings.Fields(string(out)), func(n string) bool { return slices.Contains(reserved[:], n) })
	if diff := cmp.Diff(want, applets(b)); diff != "" {
		t.Fatal(diff)
	}
}

// TestGenericSet looks at a real kernel's tree, if there is one.
func TestGenericSet(t *testing.T) {
	trees, err := filepath.Glob("/lib/modules/*/modules.dep")
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("BAREROOT_TEST_MODULES"); dir != "" {
		trees = []string{filepath.Join(dir, "modules.dep")}
	}
	if len(trees) == 0 {
		t.Skip("no kernel modules in /lib/modules, and BAREROOT_TEST_MODULES does not name a tree: the generic set is not held against a real kernel here")
	}
	x, err := kmod.Load(filepath.Dir(trees[0]))
	if err != nil {
		t.Fatal(err)
	}
	sel := newSelection(x, nil)
	sel.rules(genericPicks())
	set, err := sel.result()
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{}
	for _, c := range set {
		in[c.Module.Name] = true
	}
	for _, name := range []string{
		"virtio_net", "virtio_blk", "virtio_scsi", "virtio_pci", "virtio_rng", "virtio_console", "e1000", "e1000e", "igb", "ixgbe", "mlx5_core", "bnxt_en", "r8169",
		"ahci", "ata_piix", "nvme", "sd_mod", "sr_mod", "megaraid_sas", "mpt3sas", "usb_storage", "uas", "xhci_pci", "ehci_pci", "loop", "nbd", "raid1", "dm_mod", "dm_snapshot",
		"ext4", "xfs", "btrfs", "vfat", "nls_cp437", "nls_ascii", "squashfs", "overlay", "isofs", "udf", "nfsv4", "nfsv3", "crc32c_generic", "bonding", "8021q", "bridge",
		"usbhid", "hid_generic", "efivarfs", "iscsi_tcp", "ib_iser",
	} {
		if _, builtin, ok := x.Resolve(name); ok && !builtin && !in[name] {
			t.Errorf("%s is not in the generic set", name)
		}
	}
	for _, name := range []string{"iwlwifi", "amdgpu", "i915", "snd_hda_intel", "snd", "nouveau", "bluetooth", "mac80211", "cfg80211"} {
		if in[name] {
			t.Errorf("%s is in the generic set", name)
		}
	}
}

func FuzzModuleInfo(f *testing.F) {
	f.Add(fakeELF(elf.EM_X86_64, false, "firmware=a\x00license=GPL\x00", ""))
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		firmware, _, err := moduleInfo(b)
		if err == nil && len(strings.Join(firmware, "")) > len(b) {
			t.Fatal("more firmware names than bytes")
		}
	})
}

func FuzzApplets(f *testing.F) {
	f.Add([]byte(appletStrings))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, n := range applets(b) {
			if strings.Contains(n, "/") {
				t.Fatalf("applet %q", n)
			}
		}
	})
}

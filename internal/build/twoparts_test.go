package build

import (
	"bytes"
	"debug/elf"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// splitParts takes a ramdisk of two parts apart.
func splitParts(t *testing.T, o Options) (early, main map[string]string, res *Result) {
	t.Helper()
	o.TwoParts, o.Compress = true, "zstd"
	b, res := buildFile(t, o)
	early, main = map[string]string{}, map[string]string{}
	if bytes.HasPrefix(b, []byte("070701")) {
		at := bytes.Index(b, []byte("TRAILER!!!"))
		at += bytes.IndexByte(b[at:], 0)
		for at < len(b) && b[at] == 0 {
			at++
		}
		unpackArchive(t, b[:at], early)
		b = b[at:]
	}
	unpackArchive(t, inflate(t, b), main)
	return early, main, res
}

// TestTwoParts: the plain archive holds what is compressed by itself, the other
// one all else, and together they are what the segments hold.
func TestTwoParts(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "usr/lib/firmware/intel-ucode/06-01", []byte("a"))
	put(t, root, "usr/bin/tool", fakeELF(elf.EM_X86_64, false, "", ""))
	o.Microcode, o.Install = true, []string{"tool"}
	o.Extra = []ExtraFile{{Path: "etc/cmdline.d/x.conf", Data: []byte("x\n")}}
	img := filepath.Join(t.TempDir(), "set")
	if _, err := Dir(t.Context(), o, img, false); err != nil {
		t.Fatal(err)
	}
	want := unpack(t, img)
	o.Cmdline = "" // which a file carries in its configuration
	if want["usr/bin/bareroot-agent.zst"] == "" {
		t.Error("no agent to look for")
	}
	early, main, res := splitParts(t, o)
	if early["early_cpio"] != "100644 1" || early["kernel/x86/microcode/GenuineIntel.bin"] == "" ||
		early["usr/lib/modules/6.1.0-10/kernel/fs/ext4/ext4.ko.zst"] == "" || early["usr/lib/firmware/qed/qed_1.bin"] == "" || early["usr/bin/bareroot-agent.zst"] == "" {
		t.Errorf("the early part has %v", slices.Sorted(maps.Keys(early)))
	}
	for p := range early {
		if !strings.HasPrefix(p, "usr") && !strings.HasPrefix(p, "kernel") && p != "early_cpio" {
			t.Errorf("%s is in the early part", p)
		}
	}
	got := maps.Clone(early)
	maps.Copy(got, main)
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); d != "" {
		t.Errorf("segments and parts differ:\n%s", d)
	}
	if n := len(res.Segments); n != 2 {
		t.Errorf("%d segments", n)
	}

	o.Microcode, o.NoKernel = false, true
	if early, main, _ = splitParts(t, o); len(early) != 0 || main["init"] == "" {
		t.Errorf("without a kernel: early part %v", early)
	}
	o.NoKernel, o.KernelOnly = false, true
	if early, main, _ = splitParts(t, o); early["early_cpio"] == "" || main["init"] != "" || main["etc/cmdline.d/x.conf"] == "" {
		t.Errorf("kernel only: %v and %v", early, main)
	}
}

// TestGoOn: what is not there is left out with a sentence, and an error without
// GoOn.
func TestGoOn(t *testing.T) {
	for name, tc := range map[string]struct {
		set  func(*Options)
		want string
	}{
		"program":       {func(o *Options) { o.Install = []string{"nosuch"} }, "install nosuch"},
		"file":          {func(o *Options) { o.Install = []string{"/no/such"} }, "install /no/such"},
		"driver":        {func(o *Options) { o.AddDrivers = []string{"e1000", "nosuch"} }, "--add-drivers nosuch"},
		"forced driver": {func(o *Options) { o.ForceDrivers = []string{"nosuch"} }, "--force-drivers nosuch"},
		"only driver":   {func(o *Options) { o.Drivers = []string{"nosuch", "ext4"} }, "--drivers nosuch"},
		"folder":        {func(o *Options) { o.AddDrivers = []string{"=nosuch"} }, "--add-drivers =nosuch"},
		"include":       {func(o *Options) { o.Include = []Include{{"/no/such", "/x"}} }, "include: stat /no/such"},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := sysroot(t)
			tc.set(&o)
			if _, err := File(t.Context(), o, filepath.Join(t.TempDir(), "img"), false); !IsInputError(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want an error about %q", err, tc.want)
			}
			o.GoOn = true
			res, err := File(t.Context(), o, filepath.Join(t.TempDir(), "img"), false)
			if err != nil || len(res.LeftOut) != 1 || !strings.Contains(res.LeftOut[0], tc.want) {
				t.Errorf("%v, left out %q, want %q", err, res.LeftOut, tc.want)
			}
		})
	}
}

// TestIncludedNeeds: a single included script or program has what it needs.
func TestIncludedNeeds(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "usr/bin/bash", fakeELF(elf.EM_X86_64, false, "", ""))
	put(t, root, "home/init-func", []byte("#!/usr/bin/bash\necho\n"))
	put(t, root, "home/odd", []byte("#!/usr/bin/nosuch\n"))
	other := t.TempDir()
	put(t, other, "script", []byte("#! /usr/bin/dash -e\n"))
	put(t, other, "text", []byte("#"))
	put(t, other, "empty", nil)
	put(t, root, "usr/bin/dash", fakeELF(elf.EM_X86_64, false, "", ""))
	o.Include = []Include{{filepath.Join(root, "home/init-func"), "/init-func"}, {filepath.Join(root, "home/odd"), "/odd"}}
	for _, n := range []string{"script", "text", "empty"} {
		o.Include = append(o.Include, Include{filepath.Join(other, n), "/other/" + n})
	}
	_, main, res := splitParts(t, o)
	if main["usr/bin/dash"] == "" || main["other/empty"] == "" {
		t.Errorf("of another system: %v", slices.Sorted(maps.Keys(main)))
	}
	if main["init-func"] == "" || main["usr/bin/bash"] == "" || main["home/init-func"] != "" {
		t.Errorf("%v", slices.Sorted(maps.Keys(main)))
	}
	if main["odd"] == "" || !slices.ContainsFunc(res.Notices, func(n string) bool { return strings.Contains(n, "nosuch") }) {
		t.Errorf("notices %q", res.Notices)
	}
}

func TestRemove(t *testing.T) {
	_, o := sysroot(t)
	o.Remove = []string{"/bin/busybox", "etc/host*", "/lib/modules/*/kernel/drivers/scsi", "lib/firmware/qed/qed_1.bin", "usr/bin/l?"}
	early, main, _ := splitParts(t, o)
	for _, p := range []string{"usr/bin/busybox", "etc/hosts", "usr/bin/ls"} {
		if main[p] != "" {
			t.Errorf("%s is still there", p)
		}
	}
	if main["usr/bin/cat"] == "" || main["etc/passwd"] == "" || early["usr/lib/firmware/qed/qed_2.bin"] == "" {
		t.Error("more than that was removed")
	}
	for p := range early {
		if strings.Contains(p, "drivers/scsi/") || strings.Contains(p, "qed_1") {
			t.Errorf("%s is still there", p)
		}
	}
	o.Remove = []string{"[a"}
	if _, err := File(t.Context(), o, filepath.Join(t.TempDir(), "img"), false); !IsInputError(err) {
		t.Errorf("a pattern that is none: %v", err)
	}
}

// TestFirmwareFolders: several folders, and those that the kernel looks into
// first below each.
func TestFirmwareFolders(t *testing.T) {
	root, o := sysroot(t)
	put(t, root, "fw/qed/qed_1.bin", []byte("mine"))
	put(t, root, "usr/lib/firmware/updates/6.1.0-10/helper.bin", []byte("update"))
	o.FirmwareDir = filepath.Join(root, "fw") + ":" + filepath.Join(root, "usr/lib/firmware")
	early, _, _ := splitParts(t, o)
	if early["usr/lib/firmware/qed/qed_1.bin"] != "100644 mine" || early["usr/lib/firmware/updates/6.1.0-10/helper.bin"] != "100644 update" || early["usr/lib/firmware/helper.bin.xz"] != "" {
		t.Errorf("%v", early)
	}
	o.FirmwareDir += ":/no/such"
	if _, err := File(t.Context(), o, filepath.Join(t.TempDir(), "img"), false); !IsInputError(err) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

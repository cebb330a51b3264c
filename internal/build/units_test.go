package build

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/build/cache"
)

// read is a folder's files, without what names the sources' place.
func readDir(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func openCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// age makes all files of a sysroot older than the grain of a clock; their
// change time cannot be set, so it is waited for.
func age(t *testing.T, root string) {
	t.Helper()
	probe := filepath.Join(root, "own/bareroot-agent") // which was written last
	fi, err := os.Stat(probe)
	if err != nil {
		t.Fatal(err)
	}
	for state(fi, time.Now()) == "" {
		time.Sleep(50 * time.Millisecond)
	}
}

// TestCacheKeepsBytes: no cache, an empty one and a full one give the same
// files, all of them; a changed input is seen.
func TestCacheKeepsBytes(t *testing.T) {
	root, o := sysroot(t)
	age(t, root)
	build := func(c *cache.Cache, o Options) (map[string][]byte, *Result) {
		o.Cache = c
		out := filepath.Join(t.TempDir(), "set")
		res := buildDir(t, o, out)
		return readDir(t, out), res
	}
	want, _ := build(nil, o)
	c := openCache(t)
	for i, name := range []string{"empty", "full", "full again"} {
		got, res := build(c, o)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s cache: %s", name, diff)
		}
		for _, s := range res.Segments {
			worth := strings.HasSuffix(s.File, ".zst") || s.Kind == "modules"
			if s.Cached != (i > 0 && worth) {
				t.Errorf("%s cache: segment %s cached: %v", name, s.Kind, s.Cached)
			}
		}
		if len(res.Notices) > 3 {
			t.Errorf("notices %q", res.Notices)
		}
	}
	stats, err := c.Stats()
	if err != nil || stats.Kinds["pack"].Entries != 1 || stats.Kinds["file"].Entries != 4 || stats.Kinds["agent"].Entries != 1 || stats.Kinds["tree"].Entries != 1 { // two compressed segments, the modules', the kernel
		t.Errorf("cache %+v %v", stats, err)
	}

	rewrite := func(name string, change func([]byte) []byte) { // its time stays
		t.Helper()
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, change(b), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, fi.ModTime(), fi.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	same := func(what string) {
		t.Helper()
		want, _ = build(nil, o)
		got, _ := build(c, o)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	rewrite(filepath.Join(root, "usr/lib/modules/6.1.0-10/kernel/drivers/scsi/s07.ko"), func(b []byte) []byte {
		b[len(b)-40] ^= 1
		return b
	})
	same("another module")

	// Programs that passed, and others in their place.
	swap := func(name, from, to string) {
		t.Helper()
		rewrite(name, func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) })
	}
	swap(o.Agent, "agent", "other")
	same("another agent")
	for _, name := range []string{o.Init, o.Agent} {
		o.Cache = c
		id := testID[1:] + testID[:1]
		swap(name, stamp(testID), stamp(id))
		if _, err := Dir(t.Context(), o, filepath.Join(t.TempDir(), "set"), false); err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("%s of another build: %v", name, err)
		}
		swap(name, stamp(id), stamp(testID))
	}
}

// TestCompressions: every compression holds the same archive, in a form that
// the program of its name reads, and what the kernel cannot unpack is replaced.
func TestCompressions(t *testing.T) {
	root, o := sysroot(t)
	plain := o
	plain.Compress = "none"
	out := filepath.Join(t.TempDir(), "set")
	buildDir(t, plain, out)
	want := readDir(t, out)["10-userland.cpio"]
	have := unpack(t, out)
	if _, ok := have["usr/lib/modules/6.1.0-10/kernel/fs/jbd2/jbd2.ko"]; !ok {
		t.Error("--compress none left modules compressed")
	}
	inArchive := func(b []byte) map[string]string {
		files := map[string]string{}
		unpackArchive(t, b, files)
		return files
	}
	for name, c := range map[string]struct {
		file, magic string
		undo        []string
	}{
		"zstd": {"10-userland.cpio.zst", "\x28\xb5\x2f\xfd", []string{"zstd", "-dc"}},
		"best": {"10-userland.cpio.zst", "\x28\xb5\x2f\xfd", []string{"zstd", "-dc"}},
		"xz":   {"10-userland.cpio.xz", "\xfd7zXZ\x00\x00\x01", []string{"xz", "-dc"}}, // 1: CRC32
		"gzip": {"10-userland.cpio.gz", "\x1f\x8b", []string{"gzip", "-dc"}},
		"lz4":  {"10-userland.cpio.lz4", "\x02\x21\x4c\x18", []string{"lz4", "-dc"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Compress = name
			out := filepath.Join(t.TempDir(), "set")
			res := buildDir(t, o, out)
			packed := readDir(t, out)[c.file]
			if !bytes.HasPrefix(packed, []byte(c.magic)) || len(packed)%4 != 0 {
				t.Fatalf("%d bytes, begin with %x", len(packed), packed[:min(8, len(packed))])
			}
			again := filepath.Join(t.TempDir(), "set")
			if buildDir(t, o, again).Manifest.ID != res.Manifest.ID {
				t.Error("two builds differ")
			}
			if _, err := exec.LookPath(c.undo[0]); err != nil {
				t.Fatalf("%v: install cpio, gzip, lz4, xz-utils and zstd", err)
			}
			// Zeros at the end are padding or the stream's own end.
			for pad := 0; pad < 9 && len(packed) > 0; pad++ {
				cmd := exec.CommandContext(t.Context(), c.undo[0], c.undo[1:]...)
				cmd.Stdin = bytes.NewReader(packed)
				got, err := cmd.Output()
				if err == nil && cmp.Equal(inArchive(got), inArchive(want)) {
					return
				}
				if packed[len(packed)-1] != 0 {
					break
				}
				packed = packed[:len(packed)-1]
			}
			t.Error("the archive did not come back")
		})
	}
	put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\n"))
	for how, used := range map[string]string{"": "gzip", "best": "gzip", "zstd": "gzip", "xz": "xz", "lz4": "gzip", "none": ""} {
		o := o
		o.Compress = how
		res := buildDir(t, o, filepath.Join(t.TempDir(), "set"))
		if got := res.Manifest.Segments[0].Compression; got != used {
			t.Errorf("--compress %q on such a kernel made %q, want %q", how, got, used)
		}
		if said := slices.ContainsFunc(res.Notices, func(n string) bool { return strings.Contains(n, "cannot unpack") }); said != (used == "gzip") {
			t.Errorf("--compress %q: notices %q", how, res.Notices)
		}
	}
	// What every boot unpacks, as far as the kernel can, unless something was asked for.
	put(t, root, "boot/config-6.1.0-10", []byte("CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_RD_ZSTD=y\nCONFIG_RD_LZ4=y\n"))
	for _, c := range []struct {
		how   string
		level int
		want  map[string]string
	}{
		{"", 0, map[string]string{"init": "lz4", "userland": "lz4"}},
		{"", 5, map[string]string{"init": "zstd", "userland": "zstd"}},
		{"zstd", 0, map[string]string{"init": "zstd", "userland": "zstd"}},
	} {
		o := o
		o.Compress, o.CompressLevel = c.how, c.level
		for _, s := range buildDir(t, o, filepath.Join(t.TempDir(), "set")).Manifest.Segments {
			if want, ok := c.want[s.Kind]; ok && s.Compression != want {
				t.Errorf("--compress %q --compress-level %d: %s in %q, want %q", c.how, c.level, s.Kind, s.Compression, want)
			}
		}
	}
	for _, bad := range []Options{{Compress: "rar"}, {CompressLevel: -1}, {CompressLevel: 99}, {Compress: "best", CompressLevel: 3}, {Compress: "none", CompressLevel: 1}} {
		o := o
		o.Compress, o.CompressLevel = bad.Compress, bad.CompressLevel
		if _, err := plan(t, o); err == nil || !IsInputError(err) {
			t.Errorf("%+v: %v", bad.Compress, err)
		}
	}
}

// TestKernelRelease: version and architecture out of each kind of kernel file.
func TestKernelRelease(t *testing.T) {
	image := func(magic string) []byte {
		b := make([]byte, 3<<20)
		copy(b[0x38:], magic)
		copy(b[100:], "Linux version %s (format)\x00")
		copy(b[1<<20+200:], "Linux version 6.1.0-9-arm64 (builder) #1\x00") // across a block of reading
		return b
	}
	bz := make([]byte, 4096)
	copy(bz[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(bz[0x206:], 0x20f)
	binary.LittleEndian.PutUint16(bz[0x20e:], 0x400)
	bz[0x236] = 1
	copy(bz[0x600:], "6.1.0-9 (builder) #1\x00")
	zboot := make([]byte, 512)
	copy(zboot, "MZ\x00\x00zimg")
	packed := compressLike(t, "x.gz", image("ARM\x64"))
	binary.LittleEndian.PutUint32(zboot[8:], 512)
	binary.LittleEndian.PutUint32(zboot[12:], uint32(len(packed)))
	copy(zboot[24:], "gzip\x00")
	for name, c := range map[string]struct {
		data          []byte
		release, arch string
	}{
		"bzImage":     {bz, "6.1.0-9", "amd64"},
		"arm64":       {image("ARM\x64"), "6.1.0-9-arm64", "arm64"},
		"riscv64":     {image("RSC\x05"), "6.1.0-9-arm64", "riscv64"},
		"arm64 gzip":  {packed, "6.1.0-9-arm64", "arm64"},
		"arm64 zboot": {append(zboot, packed...), "6.1.0-9-arm64", "arm64"},
		"zboot, lzo":  {at(512, map[int]string{0: "MZ\x00\x00zimg", 24: "lzo\x00"}), "", ""},
		"loong64":     {image("\xcd\x23\x82\x81"), "6.1.0-9-arm64", "loong64"},
		"arm zImage":  {at(4096, map[int]string{0x24: "\x18\x28\x6f\x01"}), "", "arm"},
		"s390x":       {at(70000, map[int]string{0x10008: "S390EP"}), "", "s390x"},
		"vmlinux":     {append(fakeELF(elf.EM_X86_64, false, "", ""), "Linux version 6.1.0-9-amd64 (builder) #1\x00"...), "6.1.0-9-amd64", "amd64"},
		"UKI":         {unifiedImage(".linux", ".uname"), "6.1.0-9-amd64", "amd64"},
	} {
		p := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(p, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		release, arch, err := kernelRelease(p)
		if release != c.release || arch != c.arch || err != nil {
			t.Errorf("%s: %q %q %v", name, release, arch, err)
		}
	}
	for name, data := range map[string][]byte{
		"text":                    []byte("root:x:0:0:root:/root:/bin/bash\n"),
		"empty":                   nil,
		"long":                    make([]byte, 2<<20),
		"gzipped text":            compressLike(t, "x.gz", []byte("root:x:0:0")),
		"half a gzip":             packed[:5],
		"a program":               fakeELF(elf.EM_X86_64, false, "", "Linux version of a program"),
		"an EFI program":          unifiedImage(".text", ".uname"),
		"MZ only":                 append([]byte("MZ"), make([]byte, 1000)...),
		"zboot with a text in it": append(at(512, map[int]string{0: "MZ\x00\x00zimg\x00\x02\x00\x00\x18\x00\x00\x00", 24: "gzip\x00"}), compressLike(t, "x.gz", []byte("text"))...),
	} {
		p := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if release, arch, err := kernelRelease(p); err == nil || release != "" || !strings.HasPrefix(err.Error(), p+": ") || strings.Count(err.Error(), p) != 1 {
			t.Errorf("%s: %q %q %v", name, release, arch, err)
		}
	}
}

// at is a file of zeros but for some places.
func at(size int, places map[int]string) []byte {
	b := make([]byte, size)
	for i, s := range places {
		copy(b[i:], s)
	}
	return b
}

// unifiedImage is an EFI executable with two sections, the second a version.
func unifiedImage(names ...string) []byte {
	b := at(1024, map[int]string{0: "MZ", 0x3c: "\x40", 0x40: "PE\x00\x00\x64\x86\x02", 512: "6.1.0-9-amd64"})
	for i, n := range names {
		section := b[0x40+24+40*i:]
		copy(section, n)
		binary.LittleEndian.PutUint32(section[16:], 13)
		binary.LittleEndian.PutUint32(section[20:], 512)
	}
	return b
}

// TestLZ4Blocks: content of more than one block, compressible or not, comes
// back from the lz4 program.
func TestLZ4Blocks(t *testing.T) {
	if _, err := exec.LookPath("lz4"); err != nil {
		t.Fatalf("%v: install lz4", err)
	}
	noise := make([]byte, lz4Block+12345)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for name, data := range map[string][]byte{
		"noise": noise, "zeros": make([]byte, 2*lz4Block), "empty": nil, "mixed": append(bytes.Repeat([]byte("bareroot"), lz4Block/8), noise...),
	} {
		for _, level := range []int{0, 3} {
			var b bytes.Buffer
			w := &lz4Stream{w: &b, level: level}
			for part := range slices.Chunk(data, 100_000) {
				if _, err := w.Write(part); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			cmd := exec.CommandContext(t.Context(), "lz4", "-dc")
			cmd.Stdin = &b
			got, err := cmd.Output()
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s at level %d: %d bytes of %d, %v", name, level, len(got), len(data), err)
			}
		}
	}
}

// TestDamagedCacheDoesNotShow: whatever of the cache's files is changed, the
// ramdisk's bytes are not.
func TestDamagedCacheDoesNotShow(t *testing.T) {
	root, o := sysroot(t)
	age(t, root)
	dir := filepath.Join(t.TempDir(), "cache")
	build := func() []byte {
		c, err := cache.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		o.Cache = c
		out := filepath.Join(t.TempDir(), "ramdisk")
		if _, err := File(t.Context(), o, out, true); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := build()
	for range 20 {
		units, err := filepath.Glob(filepath.Join(dir, "??/*"))
		if err != nil || len(units) < 4 {
			t.Fatalf("units %q %v", units, err)
		}
		for _, u := range units {
			b, err := os.ReadFile(u)
			if err != nil {
				t.Fatal(err)
			}
			for range rand.IntN(3) {
				b[rand.IntN(len(b))] ^= byte(1 + rand.IntN(255))
			}
			if err := os.WriteFile(u, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := build(); !bytes.Equal(got, want) {
			t.Fatal("a damaged cache changed the ramdisk")
		}
	}
}

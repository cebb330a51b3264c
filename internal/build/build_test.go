package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"bareroot/internal/bootset"
	"bareroot/internal/cpio"
	"bareroot/internal/kmod"
	"bareroot/internal/rdconf"
)

// unpack reads all segments of a boot set as the kernel would: path -> mode and
// content (or link target).
func unpack(t *testing.T, dir string) map[string]string {
	t.Helper()
	m, err := bootset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := bootset.Verify(dir, m); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range m.Segments {
		b, err := os.ReadFile(filepath.Join(dir, s.File))
		if err != nil {
			t.Fatal(err)
		}
		if len(b)%4 != 0 {
			t.Errorf("%s has %d bytes, not a multiple of 4", s.File, len(b))
		}
		if s.Compression == "zstd" {
			b = inflate(t, b)
		}
		unpackArchive(t, b, out)
	}
	return out
}

// inflate reads one zstd frame and checks that only zeros follow.
func inflate(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for pad := range 4 {
		if end := len(b) - pad; bytes.Count(b[end:], []byte{0}) == pad {
			if out, err := z.DecodeAll(b[:end], nil); err == nil {
				return out
			}
		}
	}
	t.Fatal("not one zstd frame with at most three zeros after it")
	return nil
}

func unpackArchive(t *testing.T, b []byte, out map[string]string) {
	t.Helper()
	r := cpio.NewReader(bytes.NewReader(b))
	here := map[string]bool{".": true}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !here[filepath.Dir(h.Name)] {
			t.Errorf("%s comes before its folder", h.Name)
		}
		here[h.Name] = true
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = fmt.Sprintf("%o %s%s", h.Mode, h.Link, data)
	}
}

func buildDir(t *testing.T, o Options, dir string) *Result {
	t.Helper()
	res, err := Dir(t.Context(), o, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// buildFile returns the bytes of a single ramdisk.
func buildFile(t *testing.T, o Options) ([]byte, *Result) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ramdisk")
	res, err := File(t.Context(), o, path, false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, res
}

// TestFileList is the golden list of what a ramdisk for a small distribution
// holds, and why.
func TestFileList(t *testing.T) {
	root, o := sysroot(t)
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	b, err := os.ReadFile(filepath.Join(out, "files.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []bootset.File
	if err := json.Unmarshal(b, &files); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range files {
		if strings.Contains(f.Path, "/scsi/s") && !strings.HasSuffix(f.Path, "s00.ko.zst") {
			continue
		}
		fmt.Fprintf(&got, "%s %s %s (%s) %s\n", f.Segment, f.Mode, f.Path, f.Why, strings.ReplaceAll(f.Source, root, ""))
	}
	golden := "testdata/files.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Fatalf("differs from %s (UPDATE_GOLDEN=1 writes it): %s", golden, diff)
	}
	if diff := cmp.Diff([]string{"qed/absent.bin"}, res.MissingFirmware); diff != "" {
		t.Errorf("missing firmware: %s", diff)
	}
	listed, held := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		listed[f.Path] = true
	}
	for p := range unpack(t, out) {
		held[p] = true
	}
	if diff := cmp.Diff(listed, held); diff != "" {
		t.Errorf("files.json against the segments: %s", diff)
	}
}

func TestContents(t *testing.T) {
	root, o := sysroot(t)
	out := filepath.Join(t.TempDir(), "set")
	res := buildDir(t, o, out)
	have := unpack(t, out)
	mods := "usr/lib/modules/6.1.0-10/"
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, name := range []string{"kernel/fs/ext4/ext4.ko.xz", "kernel/crypto/crc32c_generic.ko.gz", "kernel/drivers/net/ethernet/intel/e1000/e1000.ko.zst", "kernel/fs/jbd2/jbd2.ko"} {
		want, err := readModule(filepath.Join(root, mods, name), new([]byte))
		if err != nil {
			t.Fatal(err)
		}
		packed := strings.TrimPrefix(have[mods+plainName(name)+".zst"], "100644 ")
		got, err := z.DecodeAll([]byte(packed), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got, want) || !bytes.HasSuffix(got, []byte("~Module signature appended~\n")) {
			t.Errorf("%s changed on its way into the ramdisk", name)
		}
	}
	for name, want := range map[string]string{
		"sbin": "120777 usr/sbin", "usr/sbin/init": "120777 ../../init", "usr/bin/sh": "120777 busybox", ".": "40755 ",
		"etc/ssl/certs/ca-certificates.crt": "100644 certificates", "dev/console": "20600 ",
		"usr/lib/firmware/qed/qed_2.bin": "100644 two",
		"usr/lib/firmware/helper.bin.xz": "100644 stays compressed",
		"usr/lib/firmware/same.bin.xz":   "120777 helper.bin.xz",
		mods + "modules.softdep":         "100644 softdep ext4 pre: crypto-crc32c\n",
	} {
		if have[name] != want {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
	for _, absent := range []string{"usr/bin/modprobe", "usr/sbin/modprobe", "usr/bin/init", mods + "kernel/drivers/net/wireless/wl.ko.zst", "usr/lib/firmware/wl.bin"} {
		if _, ok := have[absent]; ok {
			t.Errorf("%s is in the ramdisk", absent)
		}
	}
	c, notices, err := rdconf.Parse([]byte(strings.TrimPrefix(have[rdconf.Vendor[1:]], "100644 ")))
	if err != nil || len(notices) > 0 || c.Role != "discover" || c.Cmdline != "" {
		t.Errorf("configuration %+v %v %v", c, notices, err)
	}
	m := res.Manifest
	if m.Cmdline != "console=ttyS0" || m.Kver != "6.1.0-10" || m.Arch != "amd64" || m.BuildID != testID || !slices.Equal(m.Roles, []string{"deploy", "discover"}) {
		t.Errorf("manifest %+v", m)
	}
	// The indexes answer for the subset.
	dir := t.TempDir()
	for name, text := range have {
		if d, base := filepath.Split(name); d == mods && strings.HasPrefix(base, "modules.") {
			if err := os.WriteFile(filepath.Join(dir, base), []byte(strings.TrimPrefix(text, "100644 ")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	x, err := kmod.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := x.Closure("ext4")
	want := []string{"kernel/crypto/crc32c_generic.ko.zst", "kernel/fs/jbd2/jbd2.ko.zst", "kernel/fs/ext4/ext4.ko.zst"}
	if diff := cmp.Diff(want, files); err != nil || diff != "" {
		t.Errorf("closure of ext4: %v %s", err, diff)
	}
}

// TestRootRole: no agent without a job for it; the joined file carries the
// command line.
func TestRootRole(t *testing.T) {
	_, o := sysroot(t)
	o.Roles, o.Agent = nil, ""
	b, res := buildFile(t, o)
	if int64(len(b)) != res.Size {
		t.Errorf("%d bytes, result says %d", len(b), res.Size)
	}
	have, at := map[string]string{}, 0
	for _, s := range res.Manifest.Segments {
		if s.Kind == "agent" {
			t.Error("an agent for role root")
		}
		if at%4 != 0 {
			t.Errorf("segment %s begins at byte %d", s.Kind, at)
		}
		part := b[at : at+int(s.Size)]
		if s.Compression == "zstd" {
			part = inflate(t, part)
		}
		unpackArchive(t, part, have)
		at += int(s.Size)
	}
	c, _, err := rdconf.Parse([]byte(strings.TrimPrefix(have[rdconf.Vendor[1:]], "100644 ")))
	if err != nil || c.Role != "root" || c.Cmdline != "console=ttyS0" {
		t.Errorf("configuration %+v %v", c, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(res.Output), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestReproducible: same inputs, same bytes, whatever the folder, the number of
// cores and the wall clock.
func TestReproducible(t *testing.T) {
	rootA, a := sysroot(t)
	a.ModTime = time.Unix(1700000000, 0)
	var first map[string][]byte
	for _, procs := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(procs)
		rootB, b := rootA, a
		if procs > 1 {
			rootB, b = sysroot(t) // another folder
			b.ModTime = a.ModTime
		}
		out := filepath.Join(t.TempDir(), "out", "set")
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			t.Fatal(err)
		}
		buildDir(t, b, out)
		runtime.GOMAXPROCS(before)
		got := map[string][]byte{}
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(out, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got[e.Name()] = bytes.ReplaceAll(data, []byte(rootB), nil) // files.json names sources
		}
		if first == nil {
			first = got
		}
		for name := range first {
			if !bytes.Equal(first[name], got[name]) {
				t.Errorf("%s differs with %d cores", name, procs)
			}
		}
		if len(got) != len(first) {
			t.Errorf("%d files with %d cores, %d with one", len(got), procs, len(first))
		}
	}
}

// TestExistingOutputIsKept: a build that fails or is cancelled leaves what was
// there, and nothing else.
func TestExistingOutputIsKept(t *testing.T) {
	root, o := sysroot(t)
	base := t.TempDir()
	set, img := filepath.Join(base, "set"), filepath.Join(base, "ramdisk")
	buildDir(t, o, set)
	if _, err := File(t.Context(), o, img, false); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, base)

	if _, err := Dir(t.Context(), o, set, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("existing set without force: %v", err)
	}
	if _, err := File(t.Context(), o, img, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("existing file without force: %v", err)
	}
	bad := filepath.Join(root, "usr/lib/modules/6.1.0-10/kernel/drivers/scsi/s20.ko")
	if err := os.WriteFile(bad, []byte("no module"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(context.Context) error{
		"set":  func(ctx context.Context) error { _, err := Dir(ctx, o, set, true); return err },
		"file": func(ctx context.Context) error { _, err := File(ctx, o, img, true); return err },
	} {
		if err := f(t.Context()); err == nil || !strings.Contains(err.Error(), "s20.ko is damaged") {
			t.Errorf("%s with a damaged module: %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f(ctx); err == nil {
			t.Errorf("%s: cancelled build succeeded", name)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, base)); diff != "" {
		t.Fatalf("failed builds changed the outputs: %s", diff)
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(t.Context(), o, set, true); err == nil || !strings.Contains(err.Error(), "s20.ko") {
		t.Errorf("missing module file: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, base)); diff != "" {
		t.Fatal(diff)
	}
}

// TestReplace: force replaces a boot set whole, and never a folder that is none.
func TestReplace(t *testing.T) {
	_, o := sysroot(t)
	base := t.TempDir()
	set := filepath.Join(base, "set")
	old := buildDir(t, o, set).Manifest.ID
	o.Cmdline = "quiet"
	res, err := Dir(t.Context(), o, set, true)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bootset.Read(set)
	if err != nil || m.ID != res.Manifest.ID || m.ID == old {
		t.Errorf("after force: %v %v", m, err)
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	home := filepath.Join(base, "home")
	if err := os.MkdirAll(filepath.Join(home, "letters"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(t.Context(), o, home, true); err == nil || !strings.Contains(err.Error(), "no boot set") {
		t.Errorf("a folder with other files: %v", err)
	}
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			out[p] = "folder"
			return err
		}
		b, err := os.ReadFile(p)
		out[p] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

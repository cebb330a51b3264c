package device

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/run/console"
)

func TestParseUevent(t *testing.T) {
	for in, want := range map[string]Uevent{
		"add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/x\x00SUBSYSTEM=pci\x00MODALIAS=pci:v1\x00SEQNUM=9\x00": {Action: "add", DevPath: "/devices/x", Subsystem: "pci", Modalias: "pci:v1", Seq: "9"},
		"add@/devices/b/vda1\x00SUBSYSTEM=block\x00DEVNAME=vda1\x00DEVTYPE=partition\x00":                        {Action: "add", DevPath: "/devices/b/vda1", Subsystem: "block", DevName: "vda1", DevType: "partition"},
		"libudev\x00\xfe\xed\xca\xfe": {}, "": {}, "add@x\x00": {}, "@/x\x00": {}, "add@/x": {}, "add@/x\x00ACTION=remove\x00": {},
		"add@/x\x00DEVNAME=../../etc/passwd\x00": {},
	} {
		got, err := ParseUevent([]byte(in))
		if (err == nil) != (want != Uevent{}) || got != want {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
	}
}

func FuzzParseUevent(f *testing.F) {
	f.Add([]byte("add@/devices/x\x00ACTION=add\x00DEVNAME=a/b\x00"))
	f.Add([]byte("libudev\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := ParseUevent(b)
		if err == nil && (u.Action == "" || !strings.HasPrefix(u.DevPath, "/") || strings.Contains(u.DevName, "..")) {
			t.Fatalf("accepted %q as %+v", b, u)
		}
	})
}

func TestSignatures(t *testing.T) {
	const id = "12345678-1234-1234-1234-123456789abc"
	for want, args := range map[string][]string{
		"ext4 my root " + id:   {"mke2fs", "-q", "-F", "-t", "ext4", "-L", "my root", "-U", id},
		"ext3 old " + id:       {"mke2fs", "-q", "-F", "-t", "ext3", "-L", "old", "-U", id},
		"vfat ESP 1234-ABCD":   {"mkfs.vfat", "-F", "32", "-n", "ESP", "-i", "1234abcd"},
		"vfat SMALL 1234-ABCD": {"mkfs.vfat", "-F", "16", "-n", "SMALL", "-i", "1234abcd"},
		"swap sw " + id:        {"mkswap", "-q", "-L", "sw", "-U", id},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Fatalf("%v: install e2fsprogs, dosfstools and util-linux", err)
		}
		p := filepath.Join(t.TempDir(), "img")
		f, err := os.Create(p)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(64 << 20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(args[0], append(args[1:], p)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		fs, label, uuid := Signature(f)
		if got := fs + " " + label + " " + uuid; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if fs, _, _ := Signature(strings.NewReader("")); fs != "" {
		t.Errorf("an empty device is %s", fs)
	}
}

func TestPartitions(t *testing.T) {
	p := filepath.Join(t.TempDir(), "img")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = f.Truncate(16 << 20)
	cmd := exec.Command("sfdisk", "-q", p)
	cmd.Stdin = strings.NewReader("label: gpt\nstart=2048, size=2048, name=\"boot part\", uuid=12345678-90AB-CDEF-1234-567890ABCDEF, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, attrs=\"GUID:63\"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	want := Part{UUID: "12345678-90ab-cdef-1234-567890abcdef", Name: "boot part", Type: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", NoAuto: true}
	if got := Partition(f, 1, 512); got != want {
		t.Errorf("partition 1 is %+v", got)
	}
	if got := Partition(f, 999, 512); got != (Part{}) {
		t.Errorf("partition 999 is %+v", got)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add([]byte("hsqs"))
	f.Add(append(make([]byte, 1024+56), 0x53, 0xef))
	f.Fuzz(func(t *testing.T, b []byte) {
		Signature(strings.NewReader(string(b)))
		Partition(strings.NewReader(string(b)), 1, 512)
	})
}

func TestLinksAndWait(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	m := newManager(console.NewLog(&strings.Builder{}), nil, sys, dev)
	add := func(name string, fill func(*os.File)) {
		dir := filepath.Join(sys, "class/block", name)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/size", []byte("131072\n"), 0o644), os.WriteFile(dir+"/serial", []byte("AB C\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(dev, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_ = f.Truncate(64 << 20)
		fill(f)
		m.look(name, false)
		m.leave()
	}
	ext := func(label string) func(*os.File) {
		return func(f *os.File) {
			sb := make([]byte, 1024)
			sb[56], sb[57] = 0x53, 0xef
			copy(sb[120:], label)
			_, _ = f.WriteAt(sb, 1024)
		}
	}
	add("vda", ext("a/b c"))
	if to, err := os.Readlink(filepath.Join(dev, `disk/by-label/a\x2fb\x20c`)); err != nil || to != "../../vda" {
		t.Errorf("link by label: %q, %v", to, err)
	}
	if to, err := os.Readlink(filepath.Join(dev, "disk/by-id/virtio-AB_C")); err != nil || to != "../../vda" {
		t.Errorf("link by id: %q, %v", to, err)
	}
	done := make(chan string)
	go func() {
		p, _, err := m.Wait(t.Context(), "LABEL=late", 30*time.Second)
		done <- filepath.Base(p) + errText(err)
	}()
	add("vdb", ext("late"))
	if got := <-done; got != "vdb" {
		t.Errorf("waiting for LABEL=late: %s", got)
	}
	_, _, err := m.Wait(t.Context(), "LABEL=never", time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "LABEL=never") || !strings.Contains(err.Error(), "vda (ext2 LABEL=a/b c)") {
		t.Errorf("a device that never comes: %v", err)
	}
	// Two with one label: the first keeps the link, and leaves it to the other.
	add("vdc", ext("late"))
	link := filepath.Join(dev, "disk/by-label/late")
	if to, _ := os.Readlink(link); to != "../../vdb" {
		t.Errorf("of two disks %s has the link", to)
	}
	m.look("vdb", true)
	m.leave()
	if p, _, _ := m.Find("LABEL=late"); filepath.Base(p) != "vdc" {
		t.Errorf("without vdb, LABEL=late is %s", p)
	}
	if to, _ := os.Readlink(link); to != "../../vdc" {
		t.Errorf("without vdb, the link is %s", to)
	}
	m.look("vdc", true)
	m.leave()
	if _, _, ok := m.Find("LABEL=late"); ok {
		t.Error("a removed device is found")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSettle(t *testing.T) {
	sys := t.TempDir()
	m := newManager(console.NewLog(&strings.Builder{}), nil, sys, t.TempDir())
	seq := func(n string) {
		if err := errors.Join(os.MkdirAll(filepath.Join(sys, "kernel"), 0o755), os.WriteFile(filepath.Join(sys, "kernel/uevent_seqnum"), []byte(n+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	seq("7")
	m.first = 5
	if m.Settle(t.Context(), time.Millisecond) {
		t.Error("settled before the devices were looked at")
	}
	m.walked = true
	if m.Settle(t.Context(), time.Millisecond) {
		t.Error("settled with uevents outstanding")
	}
	m.handled(7)
	m.loading[rest] = 1
	if m.Settle(t.Context(), time.Millisecond) {
		t.Error("settled while a module loads")
	}
	done := make(chan bool)
	go func() { done <- m.Settle(t.Context(), 30*time.Second) }()
	m.mu.Lock()
	m.loading[rest] = 0
	m.notify()
	m.mu.Unlock()
	if !<-done {
		t.Error("did not settle")
	}
}

package build

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const testID = "0123456789abcdef"

// fakeELF is the smallest file that is ELF with a .modinfo section, if info is
// given, and a program header for an interpreter, if dynamic.
func fakeELF(machine elf.Machine, dynamic bool, info string, tail string) []byte {
	names := "\x00.modinfo\x00.shstrtab\x00"
	var b bytes.Buffer
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(machine), Version: 1, Ehsize: 64, Phentsize: 56, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	at := uint64(64)
	if dynamic {
		h.Phoff, h.Phnum = at, 1
		at += 56
	}
	h.Shoff = at
	at += 3 * 64
	binary.Write(&b, binary.LittleEndian, h)
	if dynamic {
		binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_INTERP)})
	}
	binary.Write(&b, binary.LittleEndian, elf.Section64{})
	binary.Write(&b, binary.LittleEndian, elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: at, Size: uint64(len(info))})
	binary.Write(&b, binary.LittleEndian, elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: at + uint64(len(info)), Size: uint64(len(names))})
	b.WriteString(info + names + tail)
	return b.Bytes()
}

func stamp(id string) string { return "\x00bareroot-build-id=" + id + ";\x00" }

const appletStrings = "\x00[\x00[[\x00ash\x00busybox\x00cat\x00init\x00modprobe\x00sh\x00wget\x00\x01"

// fakeModules: path -> firmware it names. Contents differ in length, so that
// workers finish out of order.
func fakeModules() map[string][]string {
	out := map[string][]string{
		"kernel/fs/ext4/ext4.ko.xz":                            nil,
		"kernel/fs/jbd2/jbd2.ko":                               nil,
		"kernel/crypto/crc32c_generic.ko.gz":                   nil,
		"kernel/drivers/net/ethernet/intel/e1000/e1000.ko.zst": nil,
		"kernel/drivers/net/ethernet/qlogic/qed/qed.ko":        {"qed/qed_*.bin", "qed/absent.bin"},
		"kernel/drivers/net/wireless/wl.ko":                    {"wl.bin"},
		"kernel/drivers/helper.ko":                             {"helper.bin", "same.bin"},
	}
	for i := range 40 {
		out[fmt.Sprintf("kernel/drivers/scsi/s%02d.ko", i)] = nil
	}
	return out
}

// sysroot makes a synthetic distribution and the options to build from it.
func sysroot(t *testing.T) (string, Options) {
	t.Helper()
	root := t.TempDir()
	put := func(name string, data []byte) {
		t.Helper()
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := "usr/lib/modules/6.1.0-10/"
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		t.Fatal(err)
	}
	var dep strings.Builder
	modules := fakeModules()
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		firmware := modules[name]
		info := "license=GPL\x00"
		for _, f := range firmware {
			info += "firmware=" + f + "\x00"
		}
		data := fakeELF(elf.EM_X86_64, false, info, strings.Repeat(name, 10+len(name)*37%1000)+"~Module signature appended~\n")
		put(tree+name, compressLike(t, name, data))
		switch filepath.Base(name) {
		case "ext4.ko.xz":
			fmt.Fprintf(&dep, "%s: kernel/fs/jbd2/jbd2.ko\n", name)
		case "qed.ko":
			fmt.Fprintf(&dep, "%s: kernel/drivers/helper.ko\n", name)
		default:
			fmt.Fprintf(&dep, "%s:\n", name)
		}
	}
	put(tree+"modules.dep", []byte(dep.String()))
	put(tree+"modules.softdep", []byte("softdep ext4 pre: crypto-crc32c\nsoftdep wl pre: x\n"))
	put(tree+"modules.alias", []byte("alias crypto-crc32c crc32c_generic\nalias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000\nalias pci:v1* wl\n"))
	put(tree+"modules.builtin", []byte("kernel/drivers/virtio/virtio.ko\n"))
	put("usr/lib/modules/6.1.0-9/modules.dep", nil)
	put("usr/lib/modules/6.1.0-11/kernel/left.over", nil)
	put("boot/vmlinuz-6.1.0-10", fakeKernel())
	put("usr/lib/firmware/qed/qed_1.bin", []byte("one"))
	put("usr/lib/firmware/qed/qed_2.bin", []byte("two"))
	put("usr/lib/firmware/helper.bin.xz", []byte("stays compressed"))
	if err := os.Symlink("helper.bin.xz", filepath.Join(root, "usr/lib/firmware/same.bin.xz")); err != nil {
		t.Fatal(err)
	}
	put("usr/bin/busybox", fakeELF(elf.EM_X86_64, false, "", appletStrings))
	put("ca/bundle.crt", []byte("certificates"))
	if err := os.MkdirAll(filepath.Join(root, "etc/ssl/certs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/ca/bundle.crt", filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err != nil {
		t.Fatal(err)
	}
	put("own/bareroot-init", fakeELF(elf.EM_X86_64, false, "", stamp(testID)))
	put("own/bareroot-agent", fakeELF(elf.EM_X86_64, false, "", stamp(testID)+"agent"))
	return root, Options{
		Sysroot: root, Roles: []string{"discover", "deploy"}, Cmdline: "console=ttyS0", BuildID: testID,
		Init: filepath.Join(root, "own/bareroot-init"), Agent: filepath.Join(root, "own/bareroot-agent"),
	}
}

func compressLike(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch filepath.Ext(name) {
	case ".xz":
		w, err := xz.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		w.Close()
	case ".gz":
		w := gzip.NewWriter(&b)
		w.Write(data)
		w.Close()
	case ".zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		w.Close()
	default:
		return data
	}
	return b.Bytes()
}

// fakeKernel is a bzImage that tells neither its version nor its architecture.
func fakeKernel() []byte {
	b := make([]byte, 1024)
	copy(b[0x202:], "HdrS")
	return b
}

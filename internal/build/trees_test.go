package build

import (
	"debug/elf"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// distribution is a synthetic sysroot with one kernel, laid out as a family of
// distributions does it.
type distribution struct {
	kver   string
	tree   string            // the modules' folder, below the root
	suffix string            // of compressed modules
	files  map[string]string // beside the modules, below the root
	index  map[string]string // indexes, but modules.dep
}

// signed is a module as a distribution signs it: PKCS #7, its sizes, the mark.
func signed(name string) []byte {
	b := fakeELF(elf.EM_X86_64, false, "license=GPL\x00name="+name+"\x00", strings.Repeat(name, 50))
	signature := []byte("\x30\x82\x02\xaa" + strings.Repeat("\x00\xffs", 100))
	b = append(b, signature...)
	b = append(b, 0, 0, 2, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(signature)))
	return append(b, "~Module signature appended~\n"...)
}

func (d distribution) make(t *testing.T) Options {
	t.Helper()
	root := t.TempDir()
	dep := ""
	for _, m := range []string{"fs/xfs/xfs", "drivers/block/virtio_blk", "drivers/gpu/drm/i915/i915", "crypto/weak", "net/packet/af_packet", "drivers/net/ethernet/intel/e1000e/e1000e"} {
		p := "kernel/" + m + ".ko" + d.suffix
		put(t, root, d.tree+p, compressLike(t, p, signed(filepath.Base(m))))
		dep += p + ":\n"
	}
	put(t, root, d.tree+"modules.dep", []byte(dep))
	for name, text := range d.index {
		put(t, root, d.tree+name, []byte(text))
	}
	for name, text := range d.files {
		put(t, root, name, []byte(text))
	}
	put(t, root, "usr/sbin/busybox", fakeELF(elf.EM_X86_64, false, "", appletStrings))
	own := t.TempDir()
	put(t, own, "bareroot-init", fakeELF(elf.EM_X86_64, false, "", stamp(testID)))
	return Options{Sysroot: root, BuildID: testID, Init: filepath.Join(own, "bareroot-init")}
}

// TestDistributions: kernels where RPM distributions and Ubuntu put them, with
// their compressions and signatures.
func TestDistributions(t *testing.T) {
	for name, c := range map[string]struct {
		distribution
		compression string   // of segments
		notices     []string // a part of each
		drivers     []string
		in, out     []string
	}{
		"RHEL 8: 4.18, xz, all below usr/lib/modules": {
			distribution: distribution{
				kver: "4.18.0-553.el8_10.x86_64", tree: "usr/lib/modules/4.18.0-553.el8_10.x86_64/", suffix: ".xz",
				files: map[string]string{
					"usr/lib/modules/4.18.0-553.el8_10.x86_64/vmlinuz": string(fakeKernel()),
					"usr/lib/modules/4.18.0-553.el8_10.x86_64/config":  "CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\nCONFIG_RD_LZ4=y\nCONFIG_INET=y\nCONFIG_PACKET=y\nCONFIG_MODULE_SIG=y\n# CONFIG_RD_ZSTD is not set\n",
				},
				index: map[string]string{"modules.builtin": "kernel/fs/squashfs/squashfs.ko\nkernel/fs/overlayfs/overlay.ko\nkernel/drivers/virtio/virtio.ko\n"},
			},
			compression: "lz4", notices: []string{"CONFIG_RD_ZSTD is not set): gzip is used"},
			in: []string{"fs/xfs/xfs", "drivers/block/virtio_blk", "drivers/net/ethernet/intel/e1000e/e1000e"}, out: []string{"drivers/gpu/drm/i915/i915"},
		},
		"Fedora: zstd in the kernel, xz modules": {
			distribution: distribution{
				kver: "6.11.4-300.fc41.x86_64", tree: "lib/modules/6.11.4-300.fc41.x86_64/", suffix: ".xz",
				files: map[string]string{
					"lib/modules/6.11.4-300.fc41.x86_64/vmlinuz": string(fakeKernel()),
					"lib/modules/6.11.4-300.fc41.x86_64/config":  "CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\nCONFIG_INET=y\nCONFIG_PACKET=y\n",
				},
				index: map[string]string{"modules.builtin": "kernel/fs/squashfs/squashfs.ko\nkernel/fs/overlayfs/overlay.ko\n"},
			},
			compression: "zstd", in: []string{"fs/xfs/xfs"}, out: []string{"drivers/gpu/drm/i915/i915"},
		},
		"Ubuntu: zst, weak dependencies, aliases of what is built in": {
			distribution: distribution{
				kver: "6.8.0-41-generic", tree: "usr/lib/modules/6.8.0-41-generic/", suffix: ".zst",
				files: map[string]string{"boot/vmlinuz-6.8.0-41-generic": string(fakeKernel()), "boot/config-6.8.0-41-generic": "CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_BINFMT_ELF=y\nCONFIG_RD_ZSTD=y\nCONFIG_INET=y\nCONFIG_PACKET=y\n"},
				index: map[string]string{
					"modules.weakdep":         "# Weak dependencies\nweakdep xfs weak\nweakdep i915 af_packet\n",
					"modules.builtin":         "kernel/fs/ext4/ext4.ko\n",
					"modules.builtin.modinfo": "ext4.license=GPL\x00ext4.alias=fs-ext4\x00ext4.alias=fs-ext3\x00",
				},
			},
			compression: "zstd", drivers: []string{"xfs", "fs-ext3"},
			in: []string{"fs/xfs/xfs", "crypto/weak"}, out: []string{"drivers/block/virtio_blk", "net/packet/af_packet"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.make(t)
			o.Drivers = c.drivers
			out := filepath.Join(t.TempDir(), "set")
			res := buildDir(t, o, out)
			if res.Manifest.Kver != c.kver || res.Manifest.Segments[0].Compression != c.compression { // init's
				t.Errorf("kernel %s, segments in %s", res.Manifest.Kver, res.Manifest.Segments[0].Compression)
			}
			for _, want := range c.notices {
				if !slices.ContainsFunc(res.Notices, func(n string) bool { return strings.Contains(n, want) }) {
					t.Errorf("no notice %q in %q", want, res.Notices)
				}
			}
			have := map[string]string{}
			unpackArchive(t, readDir(t, out)["20-modules.cpio"], have)
			at := "usr/lib/modules/" + c.kver + "/kernel/"
			for _, m := range c.in {
				packed, ok := strings.CutPrefix(have[at+m+".ko.zst"], "100644 ")
				if !ok {
					t.Errorf("%s is not in", m)
					continue
				}
				got, err := decompress([]byte(packed))
				if err != nil || string(got) != string(signed(filepath.Base(m))) {
					t.Errorf("%s is not what was signed: %d bytes, %v", m, len(got), err)
				}
			}
			for _, m := range c.out {
				if have[at+m+".ko.zst"] != "" {
					t.Errorf("%s is in", m)
				}
			}
		})
	}
}

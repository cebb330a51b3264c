package build

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/kmod"
)

// pick is a rule of the generic module set: every module below a folder of the
// kernel tree, or, if name is set, the module of that name.
type pick struct {
	dir, name string
	except    []string // folders below dir, or names, that stay out
	why       string
}

// genericPicks is what a ramdisk holds that is to start any machine: storage,
// network by cable, filesystems, keyboards, virtual machines. Wireless, sound
// and graphics stay out; what a chosen module needs comes in anyway.
func genericPicks() []pick {
	var out []pick
	dirs := func(why string, names ...string) {
		for _, d := range names {
			out = append(out, pick{dir: "kernel/" + d + "/", why: why})
		}
	}
	names := func(why string, names ...string) {
		for _, n := range names {
			out = append(out, pick{name: n, why: why})
		}
	}
	except := func(why, dir string, without ...string) {
		out = append(out, pick{dir: "kernel/" + dir + "/", except: without, why: why})
	}

	dirs("storage", "drivers/ata", "drivers/nvme/host", "drivers/message/fusion", "drivers/mmc", "drivers/usb/storage",
		"drivers/ufs", "drivers/nvdimm", "drivers/cdrom", "drivers/dax", "drivers/memstick")
	except("storage", "drivers/scsi", "kernel/drivers/scsi/pcmcia/", "scsi_debug")
	except("storage", "drivers/block", "null_blk", "kernel/drivers/block/xen-blkback/")
	except("storage", "drivers/md", "dm_log_userspace")
	dirs("raid checksums", "lib/raid6", "crypto/async_tx")
	names("storage", "virtio_blk", "virtio_scsi", "hv_storvsc", "xen_blkfront", "vmw_pvscsi", "firewire_sbp2")

	dirs("network", "drivers/net/ethernet", "drivers/net/phy", "drivers/net/mdio", "drivers/net/pcs", "drivers/net/bonding",
		"drivers/net/team", "drivers/net/hyperv", "drivers/net/vmxnet3", "drivers/net/ipvlan", "drivers/net/fjes", "net/8021q", "net/802",
		"net/bridge", "net/llc", "net/packet", "net/unix", "net/ipv6")
	except("network by USB", "drivers/net/usb", "rndis_wlan", "hso", "qmi_wwan", "huawei_cdc_ncm", "sierra_net", "cdc_mbim", "cdc_phonet", "kalmia", "cx82310_eth", "ipheth")
	names("network", "virtio_net", "net_failover", "failover", "macvlan", "macvtap", "tun", "tap", "dummy", "veth", "xen_netfront", "af_packet", "ipv6", "iscsi_ibft",
		"vxlan", "vsock", "vmw_vsock_virtio_transport")
	dirs("network over InfiniBand", "drivers/infiniband/core", "drivers/infiniband/hw/mlx4", "drivers/infiniband/hw/mlx5", "drivers/infiniband/ulp/ipoib",
		"drivers/infiniband/ulp/iser", "drivers/infiniband/ulp/srp")

	dirs("filesystem", "fs/ext4", "fs/jbd2", "fs/xfs", "fs/btrfs", "fs/fat", "fs/nls", "fs/squashfs", "fs/overlayfs", "fs/isofs", "fs/udf",
		"fs/nfs", "fs/nfs_common", "fs/lockd", "fs/fuse", "fs/exfat", "fs/f2fs", "fs/erofs", "fs/efivarfs", "fs/autofs", "fs/configfs",
		"fs/9p", "fs/smb/client", "fs/jfs", "fs/ntfs3", "fs/fscache", "fs/netfs", "fs/quota", "net/sunrpc", "net/dns_resolver", "net/9p")
	names("filesystem helper", "binfmt_misc", "mbcache", "cifs", "exportfs")

	dirs("keyboard, USB host", "drivers/usb/host", "drivers/usb/core", "drivers/usb/common", "drivers/hid/usbhid", "drivers/input/serio", "drivers/thunderbolt",
		"drivers/hid/i2c-hid", "drivers/hid/surface-hid", "drivers/input/keyboard")
	names("keyboard", "hid", "hid_generic", "hid_apple", "hid_logitech", "hid_logitech_dj", "hid_logitech_hidpp", "hid_microsoft", "hid_cherry",
		"hid_lenovo", "hid_multitouch", "hid_hyperv", "hyperv_keyboard", "evdev", "i8042", "atkbd", "usbhid", "i2c_i801", "i2c_designware_platform", "i2c_designware_pci", "intel_lpss_pci", "intel_lpss_acpi")

	dirs("virtual machine", "drivers/virtio", "drivers/hv", "drivers/char/hw_random")
	names("virtual machine", "virtio_rng", "virtio_console", "virtio_balloon", "virtio_pci", "virtio_mmio", "virtio_crypto", "qemu_fw_cfg", "pvpanic",
		"pvpanic_pci", "pvpanic_mmio", "xen_privcmd", "vmw_vmci", "vmw_balloon")

	dirs("platform", "drivers/firmware/efi", "drivers/char/ipmi", "drivers/char/tpm", "drivers/pci/controller", "drivers/pci/hotplug", "drivers/ptp")
	names("platform", "efi_pstore", "wmi", "mei", "mei_me", "lpc_ich", "nvram", "8250_pci", "8250_dw", "acpi_ipmi", "nfit", "button",
		"cpufreq_ondemand", "mdio", "libphy", "msr", "cpuid", "intel_rapl_msr", "coretemp", "iTCO_wdt", "softdog", "i6300esb", "sp5100_tco", "dca")
	names("checksum or cipher that a module asks for by name", "crc32c_generic", "crc32c_intel", "crc32_pclmul", "crc32_generic", "crct10dif_pclmul",
		"crct10dif_generic", "xxhash_generic", "blake2b_generic", "sha256_generic", "sha256_ssse3", "sha512_generic", "sha512_ssse3", "libcrc32c", "crc64_rocksoft_generic", "xts", "cbc", "ecb",
		"essiv", "aes_generic", "aesni_intel", "dm_crypt", "algif_skcipher", "algif_hash", "af_alg", "hmac", "cmac", "gcm", "ccm", "md5", "arc4", "des_generic", "ctr", "ghash_generic", "seqiv",
		"zstd", "lzo", "lzo_rle", "lz4", "deflate", "sha3_generic", "crypto_user")
	return out
}

// chosen is one module of the ramdisk.
type chosen struct {
	Module *kmod.Module
	Why    string
}

// selection collects modules: by name first, then with all that they need.
type selection struct {
	index  *kmod.Index
	why    map[string]string // by path; the picked ones first
	omit   map[string]bool   // names
	byPath map[string]*kmod.Module
}

func newSelection(x *kmod.Index, omit []string) *selection {
	s := &selection{index: x, why: map[string]string{}, omit: map[string]bool{}, byPath: map[string]*kmod.Module{}}
	for _, n := range omit {
		s.omit[kmod.Normalize(n)] = true
	}
	for _, m := range x.Modules() {
		s.byPath[m.Path] = m
	}
	return s
}

// omitted tells why a module cannot be in: it, or one that it needs, is left out
// on request.
func (s *selection) omitted(m *kmod.Module) string {
	if len(s.omit) == 0 {
		return ""
	}
	if s.omit[m.Name] {
		return m.Name
	}
	for _, d := range m.Deps {
		if n := kmod.NameOf(d); s.omit[n] {
			return n
		}
	}
	return ""
}

// rules adds what picks match; of several, the first gives the reason.
func (s *selection) rules(picks []pick) {
	byName := map[string]int{}
	byTop := map[string][]int{} // the first two folders: what few picks share
	for i, p := range picks {
		if p.name == "" {
			byTop[top(p.dir)] = append(byTop[top(p.dir)], i)
		} else if n := kmod.Normalize(p.name); byName[n] == 0 {
			byName[n] = i + 1
		}
	}
	for _, m := range s.index.Modules() {
		first := byName[m.Name] - 1
		for _, i := range byTop[top(m.Path)] {
			if first >= 0 && i > first {
				break
			}
			if picks[i].matches(m) {
				first = i
				break
			}
		}
		if first >= 0 {
			s.add(m, picks[first].why)
		}
	}
}

// top is a path's first two folders.
func top(p string) string {
	i := strings.IndexByte(p, '/')
	if j := strings.IndexByte(p[i+1:], '/'); j >= 0 {
		return p[:i+1+j]
	}
	return p
}

func (s *selection) add(m *kmod.Module, why string) {
	if s.why[m.Path] == "" && s.omitted(m) == "" {
		s.why[m.Path] = why
	}
}

// words adds modules by name, alias or folder ("=drivers/net/ethernet"). A
// required word that means nothing to this kernel is an error; one that is
// built in is satisfied.
func (s *selection) words(words []string, why, option string, required bool) error {
	for _, w := range words {
		if folder, ok := strings.CutPrefix(w, "="); ok {
			n := s.folder(folder, why)
			if n == 0 && required {
				return inputError{fmt.Errorf("%s %s: %s has no module below kernel/%s", option, w, s.index.Dir(), strings.Trim(folder, "/"))}
			}
			continue
		}
		for _, suffix := range []string{".zst", ".xz", ".gz", ".ko"} {
			w = strings.TrimSuffix(w, suffix)
		}
		names, ok := s.index.Lookup(w)
		if !ok && required {
			return inputError{fmt.Errorf("%s %s: kernel module %w in %s, nor is it built in", option, w, errNoModule, s.index.Dir())}
		}
		for _, n := range names {
			p, _, _ := s.index.Resolve(n)
			m := s.byPath[p]
			if m == nil {
				continue
			}
			if required && !s.omit[m.Name] {
				if lost := s.omitted(m); lost != "" {
					return inputError{fmt.Errorf("%s %s: it needs %s, which --omit-drivers leaves out", option, w, lost)}
				}
			}
			s.add(m, why)
		}
	}
	return nil
}

var errNoModule = errors.New("does not exist")

// folder adds all modules below a folder of the kernel's, or of others' trees.
func (s *selection) folder(folder, why string) (n int) {
	folder = strings.Trim(folder, "/") + "/"
	for _, m := range s.index.Modules() {
		for _, top := range []string{"kernel/", "extra/", "updates/", "updates/dkms/"} {
			if strings.HasPrefix(m.Path, top+folder) {
				s.add(m, why)
				n++
				break
			}
		}
	}
	return n
}

// hashers adds the processor's own form of the hash that the modules are signed
// with: init loads it first, and the kernel checks the others with it.
func (s *selection) hashers() error {
	if len(s.why) == 0 {
		return nil
	}
	var buf []byte
	image, err := readModule(filepath.Join(s.index.Dir(), slices.Min(slices.Collect(maps.Keys(s.why)))), &buf)
	if err != nil {
		return inputError{err}
	}
	for _, n := range s.index.Hashers(kmod.SignatureHash(image)) {
		p, _, _ := s.index.Resolve(n)
		s.add(s.byPath[p], "the kernel checks modules' signatures with it")
	}
	return nil
}

// result adds what the picked modules need and returns all in the order of
// paths.
func (s *selection) result() ([]chosen, error) {
	var names []string
	for p := range s.why {
		names = append(names, s.byPath[p].Name)
	}
	slices.Sort(names) // the reasons do not depend on depmod's order
	take := func(name, why string) error {
		files, err := s.index.Closure(name)
		if err != nil {
			return err
		}
		for _, f := range files {
			m := s.byPath[f]
			if m == nil {
				return fmt.Errorf("select kernel modules: %s is in the closure but not in modules.dep", f)
			}
			s.add(m, why)
		}
		return nil
	}
	for _, name := range names {
		if err := take(name, "needed by "+name); err != nil {
			return nil, err
		}
		for _, w := range s.index.Weak(name) {
			more, _ := s.index.Lookup(w)
			for _, n := range more {
				if err := take(n, "may be asked for by "+name); err != nil {
					return nil, err
				}
			}
		}
	}
	out := make([]chosen, 0, len(s.why))
	for p, w := range s.why {
		out = append(out, chosen{s.byPath[p], w})
	}
	slices.SortFunc(out, func(a, b chosen) int { return strings.Compare(a.Module.Path, b.Module.Path) })
	return out, nil
}

// matches is for picks of a folder.
func (p pick) matches(m *kmod.Module) bool {
	if !strings.HasPrefix(m.Path, p.dir) {
		return false
	}
	for _, e := range p.except {
		if strings.HasSuffix(e, "/") && strings.HasPrefix(m.Path, e) || m.Name == kmod.Normalize(e) {
			return false
		}
	}
	return true
}

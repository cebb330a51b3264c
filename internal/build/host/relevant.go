package host

import (
	"strings"

	"bareroot/internal/kmod"
)

// never are folders of modules that no boot to a root needs, though devices
// ask for them. What a needed module needs comes in anyway.
var never = [...]string{
	"sound/", "drivers/gpu/", "drivers/media/", "drivers/bluetooth/", "net/bluetooth/", "net/wireless/", "net/mac80211/", "net/nfc/",
	"drivers/net/wireless/", "drivers/net/wwan/", "drivers/iio/", "drivers/staging/", "drivers/video/", "drivers/isdn/", "drivers/nfc/",
	"drivers/hwmon/", "drivers/edac/", "drivers/powercap/", "drivers/thermal/", "drivers/leds/", "drivers/platform/x86/", "drivers/comedi/",
	"drivers/accel/", "drivers/acpi/", "drivers/cpufreq/", "drivers/char/agp/", "drivers/parport/", "drivers/rtc/", "drivers/misc/",
	"drivers/net/can/", "drivers/input/mouse/", "drivers/input/joystick/", "drivers/input/tablet/", "drivers/input/misc/",
	"arch/x86/kvm/", "virt/", "arch/x86/events/", "drivers/dca/", "drivers/intel_th/", "drivers/hwtracing/",
}

// always are folders whose loaded modules may matter though no device asks
// for them.
var always = [...]string{
	"fs/", "crypto/", "drivers/md/", "drivers/block/", "drivers/scsi/", "drivers/nvme/", "drivers/ata/", "drivers/net/bonding/",
	"drivers/net/team/", "net/bridge/", "net/8021q/", "net/802/", "net/llc/", "net/ipv6/", "drivers/target/", "lib/",
	"drivers/hid/", "drivers/input/", "drivers/usb/host/", "drivers/usb/storage/", "drivers/virtio/", "drivers/char/tpm/",
	"drivers/char/hw_random/", "drivers/firmware/",
}

// spare are folders that the sloppy mode takes whole, as dracut does: another
// keyboard, another port, another hypervisor, a disk with another filesystem.
var spare = [...]struct{ dir, why string }{
	{"fs/", "another filesystem may be plugged in"},
	{"drivers/hid/", "another keyboard may be plugged in"},
	{"drivers/input/keyboard/", "another keyboard may be plugged in"},
	{"drivers/input/serio/", "another keyboard may be plugged in"},
	{"drivers/usb/host/", "another USB port may be used"},
	{"drivers/usb/storage/", "another USB disk may be plugged in"},
	{"drivers/mmc/", "another card may be plugged in"},
	{"drivers/virtio/", "the machine may be moved to another hypervisor"},
	{"drivers/hv/", "the machine may be moved to another hypervisor"},
	{"crypto/", "a cipher or checksum may be asked for by name"},
	{"arch/x86/crypto/", "a cipher or checksum may be asked for by name"},
	{"arch/arm64/crypto/", "a cipher or checksum may be asked for by name"},
}

// servers are filesystems that dracut's sloppy mode leaves out as well.
var servers = [...]string{"fs/nfs/", "fs/nfsd/", "fs/lockd/", "fs/ocfs2/", "fs/dlm/", "fs/gfs2/", "fs/ceph/", "fs/afs/", "fs/coda/", "fs/orangefs/", "fs/smb/server/"}

// inTree is the module's path below the kernel's own folder; modules from
// elsewhere (extra, updates, dkms) have none.
func inTree(file string) (string, bool) { return strings.CutPrefix(file, "kernel/") }

func below(p string, dirs []string) bool {
	for _, d := range dirs {
		if strings.HasPrefix(p, d) {
			return true
		}
	}
	return false
}

// relevant judges a module that a device asks for. One from outside the
// kernel's tree is kept: it drives something, and where it belongs cannot be
// told.
func relevant(file string) bool {
	p, ok := inTree(file)
	return !ok || !below(p, never[:])
}

// relevantLoaded judges a module that is loaded, though perhaps no device asks
// for it. The ramdisk that this machine booted with may have loaded many that
// nothing uses (Debian's tries all levels of RAID), and filesystems other than
// the root's are no business of a ramdisk: the strict mode leaves both out.
func relevantLoaded(x *kmod.Index, m loaded, mode string) bool {
	file, builtin, ok := x.Resolve(m.Name)
	p, own := inTree(file)
	if mode == Strict && (!m.Held || strings.HasPrefix(p, "fs/")) {
		return false
	}
	return ok && !builtin && own && below(p, always[:]) && !below(p, never[:]) && !below(p, servers[:])
}

func wantSpare(w *wanted) {
	w.add(false, "another USB disk may be plugged in", "sd_mod", "sr_mod")
	w.add(false, "the machine may be moved to another hypervisor", "virtio_blk", "virtio_scsi", "hv_storvsc", "xen_blkfront")
	for _, m := range w.x.Modules() {
		p, ok := inTree(m.Path)
		if !ok || below(p, servers[:]) {
			continue
		}
		for _, s := range spare {
			if strings.HasPrefix(p, s.dir) {
				w.add(false, s.why, m.Name)
				break
			}
		}
	}
}

package dracut

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/build/feature"
)

// stock is a module that dracut itself brings.
type stock struct {
	Name string
	NN   int // its place: the two digits before its name in 059
	// Feature is the feature that it stands for, where that is not the one of
	// its name or alias.
	Feature string
	Drivers []string // what it comes down to, if it is kernel modules only
	Nothing string   // why nothing has to be added for it
}

// Why some of dracut's modules need nothing here.
const (
	noSystemd = "bareroot-init is the init, there is no systemd in the ramdisk"
	noDBus    = "nothing in the ramdisk speaks D-Bus"
)

// stockModules are dracut 059's modules and those that ng and distributions
// ship with it. One with neither feature, drivers nor reason is not here yet.
func stockModules() []stock {
	return []stock{
		{Name: "bash", NN: 0}, {Name: "dash", NN: 0}, {Name: "mksh", NN: 0}, {Name: "busybox", NN: 5},
		{Name: "systemd", NN: 0, Nothing: noSystemd}, {Name: "systemd-network-management", NN: 0, Nothing: noSystemd},
		{Name: "warpclock", NN: 0, Nothing: "the kernel keeps the hardware clock's time, taken as UTC"},
		{Name: "fips", NN: 1},
		{Name: "systemd-ac-power", NN: 1, Nothing: noSystemd}, {Name: "systemd-ask-password", NN: 1, Nothing: noSystemd},
		{Name: "systemd-coredump", NN: 1, Nothing: noSystemd}, {Name: "systemd-hostnamed", NN: 1, Nothing: noSystemd},
		{Name: "systemd-initrd", NN: 1, Nothing: noSystemd}, {Name: "systemd-journald", NN: 1, Nothing: noSystemd},
		{Name: "systemd-ldconfig", NN: 1, Nothing: noSystemd}, {Name: "systemd-modules-load", NN: 1, Nothing: noSystemd},
		{Name: "systemd-networkd", NN: 1}, {Name: "systemd-portabled", NN: 1, Nothing: noSystemd},
		{Name: "systemd-pstore", NN: 1, Nothing: noSystemd}, {Name: "systemd-resolved", NN: 1},
		{Name: "systemd-rfkill", NN: 1, Nothing: noSystemd}, {Name: "systemd-sysctl", NN: 1, Nothing: noSystemd},
		{Name: "systemd-sysusers", NN: 1, Nothing: noSystemd}, {Name: "systemd-timedated", NN: 1, Nothing: noSystemd},
		{Name: "systemd-timesyncd", NN: 1, Nothing: noSystemd}, {Name: "systemd-tmpfiles", NN: 1, Nothing: noSystemd},
		{Name: "systemd-udevd", NN: 1, Nothing: noSystemd}, {Name: "systemd-integritysetup", NN: 1},
		{Name: "systemd-pcrphase", NN: 1}, {Name: "systemd-repart", NN: 1}, {Name: "systemd-sysext", NN: 1},
		{Name: "systemd-veritysetup", NN: 1}, {Name: "systemd-cryptsetup", NN: 1},
		{Name: "caps", NN: 2}, {Name: "modsign", NN: 3},
		{Name: "rescue", NN: 3, Feature: "debug"},
		{Name: "watchdog", NN: 4}, {Name: "watchdog-modules", NN: 4},
		{Name: "dbus-broker", NN: 6, Nothing: noDBus}, {Name: "dbus-daemon", NN: 6, Nothing: noDBus}, {Name: "dbus", NN: 9, Nothing: noDBus},
		{Name: "rngd", NN: 6, Nothing: "the kernel seeds its random numbers itself"},
		{Name: "console-setup", NN: 9, Feature: "keymap"}, {Name: "i18n", NN: 10},
		{Name: "convertfs", NN: 30}, {Name: "network-legacy", NN: 35}, {Name: "network-manager", NN: 35}, {Name: "network-wicked", NN: 35},
		{Name: "connman", NN: 35}, {Name: "network", NN: 40}, {Name: "url-lib", NN: 45}, {Name: "ifcfg", NN: 45}, {Name: "net-lib", NN: 45},
		{Name: "drm", NN: 50, Drivers: []string{"=drivers/gpu/drm"}},
		{Name: "plymouth", NN: 50, Nothing: "no splash is drawn"},
		{Name: "bluetooth", NN: 62}, {Name: "lvmmerge", NN: 80}, {Name: "lvmthinpool-monitor", NN: 80}, {Name: "cio_ignore", NN: 81},
		{Name: "btrfs", NN: 90}, {Name: "crypt", NN: 90}, {Name: "dm", NN: 90}, {Name: "dmraid", NN: 90}, {Name: "dmsquash-live", NN: 90},
		{Name: "dmsquash-live-ntfs", NN: 90}, {Name: "dmsquash-live-autooverlay", NN: 90},
		{Name: "kernel-modules", NN: 90}, {Name: "kernel-modules-extra", NN: 90}, {Name: "kernel-network-modules", NN: 90},
		{Name: "livenet", NN: 90}, {Name: "lvm", NN: 90}, {Name: "mdraid", NN: 90}, {Name: "multipath", NN: 90}, {Name: "nvdimm", NN: 90},
		{Name: "overlay-root", NN: 90}, {Name: "overlayfs", NN: 90}, {Name: "ppcmac", NN: 90}, {Name: "qemu", NN: 90}, {Name: "qemu-net", NN: 90},
		{Name: "stratis", NN: 90}, {Name: "bcache", NN: 90},
		{Name: "crypt-gpg", NN: 91}, {Name: "crypt-loop", NN: 91}, {Name: "fido2", NN: 91}, {Name: "pcsc", NN: 91}, {Name: "pkcs11", NN: 91},
		{Name: "tpm2-tss", NN: 91}, {Name: "zipl", NN: 91},
		{Name: "cifs", NN: 95}, {Name: "dasd", NN: 95}, {Name: "dasd_mod", NN: 95}, {Name: "dasd_rules", NN: 95}, {Name: "dcssblk", NN: 95},
		{Name: "debug", NN: 95}, {Name: "fcoe", NN: 95}, {Name: "fcoe-uefi", NN: 95}, {Name: "fstab-sys", NN: 95}, {Name: "hwdb", NN: 95},
		{Name: "iscsi", NN: 95}, {Name: "lunmask", NN: 95}, {Name: "nbd", NN: 95}, {Name: "nfs", NN: 95}, {Name: "nvmf", NN: 95},
		{Name: "qeth_rules", NN: 95}, {Name: "resume", NN: 95}, {Name: "rootfs-block", NN: 95}, {Name: "ssh-client", NN: 95},
		{Name: "terminfo", NN: 95}, {Name: "udev-rules", NN: 95}, {Name: "virtiofs", NN: 95},
		{Name: "virtfs", NN: 95, Drivers: []string{"9p", "9pnet_virtio", "virtio_pci"}},
		{Name: "zfcp", NN: 95}, {Name: "zfcp_rules", NN: 95}, {Name: "znet", NN: 95},
		{Name: "securityfs", NN: 96}, {Name: "masterkey", NN: 97},
		{Name: "biosdevname", NN: 97, Nothing: "network cards keep the kernel's names"},
		{Name: "dracut-systemd", NN: 98, Nothing: noSystemd}, {Name: "ecryptfs", NN: 98}, {Name: "integrity", NN: 98},
		{Name: "pollcdrom", NN: 98, Nothing: "a disc that is in the drive when its driver loads is seen, and a drive is not asked again later"},
		{Name: "selinux", NN: 98}, {Name: "syslog", NN: 98, Nothing: "bareroot-init keeps the boot's log"}, {Name: "usrmount", NN: 98},
		{Name: "base", NN: 99}, {Name: "fs-lib", NN: 99, Feature: "fsck"}, {Name: "img-lib", NN: 99}, {Name: "initqueue", NN: 99}, {Name: "shutdown", NN: 99},
		{Name: "memstrack", NN: 99, Nothing: "the use of memory is not traced"},
		{Name: "squash", NN: 99, Nothing: hereSquash}, {Name: "squash-lib", NN: 99, Nothing: hereSquash},
		{Name: "squash-squashfs", NN: 99, Nothing: hereSquash}, {Name: "squash-erofs", NN: 99, Nothing: hereSquash},
	}
}

const hereSquash = "kernel modules are compressed one by one and unpacked when they are loaded"

func findStock(name string) (stock, bool) {
	all := stockModules()
	if i := slices.IndexFunc(all, func(s stock) bool { return s.Name == name }); i >= 0 {
		return all[i], true
	}
	return stock{}, false
}

// wanted is what a list of module names comes down to.
type wanted struct {
	Root     string // where modules of others are looked for, as dracut would
	Hostonly bool

	Features []string
	Drivers  []string
	Programs []string
	Notices  []string
}

// wants translates the names of a list that dracut would have to find.
func (w *wanted) wants(names []string) error {
	for _, n := range names {
		st, isStock := findStock(n)
		f, isFeature := feature.Find(n)
		ot, isOther := w.other(n)
		switch {
		case isStock && st.Feature != "":
			w.Features = append(w.Features, st.Feature)
		case isStock && st.Drivers != nil:
			w.Drivers = append(w.Drivers, st.Drivers...)
		case isFeature:
			w.Features = append(w.Features, f.Name)
		case isOther && ot.GenericOnly && w.Hostonly:
			return fmt.Errorf("module %q cannot be installed: it is not for an image of one machine (-H)", n)
		case isOther:
			w.Features = append(w.Features, ot.Features...)
			w.Programs = append(w.Programs, ot.Programs...)
			w.Notices = append(w.Notices, fmt.Sprintf("module %s: %s", n, ot.Here))
		case isStock && st.Nothing != "":
			w.Notices = append(w.Notices, fmt.Sprintf("module %s: nothing to add: %s", n, st.Nothing))
		case isStock:
			return fmt.Errorf("module %q cannot be installed: it is one of dracut's own that is not here yet", n)
		default:
			return fmt.Errorf("module %q cannot be found: it is none of dracut's own, and modules of others (module-setup.sh) come later; --list-modules prints what is there", n)
		}
	}
	w.Features = compact(w.Features)
	w.Drivers = compact(w.Drivers)
	w.Programs = compact(w.Programs)
	return nil
}

// unwanted translates a list of modules to leave out. One that is only a part of
// a feature here (dash of the shell, systemd-networkd of the network) does not
// take the whole with it, and one that is not here is left out already.
func unwanted(names []string) (features, drivers []string) {
	whole := map[string]string{"fs-lib": "fsck", "url-lib": "url", "i18n": "keymap", "console-setup": "keymap", "busybox": "shell", "ssh-server": "sshd", "overlay-root": "overlayfs"}
	for _, n := range names {
		f, ok := feature.Find(orElse(whole[n], n))
		switch {
		case n == "btrfs":
			drivers = append(drivers, "btrfs")
		case ok && f.When != feature.Always && (f.Name == n || whole[n] != ""):
			features = append(features, f.Name)
		}
	}
	return compact(features), drivers
}

// compact drops what is there twice and keeps the order.
func compact(words []string) []string {
	var out []string
	for _, w := range words {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// ListModules are the names that -a takes and that add something, in the order
// of dracut's folders.
func ListModules(root string) []string {
	place := map[string]int{}
	for _, o := range otherModules() {
		if _, ok := (&wanted{Root: root}).other(o.Name); ok {
			place[o.Name] = o.NN
		}
	}
	for _, st := range stockModules() {
		_, ok := feature.Find(st.Name)
		if ok || st.Feature != "" || st.Drivers != nil {
			place[st.Name] = st.NN
		}
	}
	for _, f := range feature.All() {
		if _, ok := place[stockName(f)]; !ok {
			place[f.Name] = ownPlace
		}
	}
	var out []string
	for n := range place {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(place[a], place[b]), strings.Compare(a, b))
	})
	return out
}

// ownPlace is where features stand that dracut does not have.
const ownPlace = 90

// stockName is the name by which dracut's users know a feature.
func stockName(f feature.Info) string {
	for _, n := range append([]string{f.Name}, f.Aliases...) {
		if _, ok := findStock(n); ok && !(f.Role != "") {
			return n
		}
	}
	for _, st := range stockModules() {
		if st.Feature == f.Name {
			return st.Name
		}
	}
	return f.Name
}

// ModulesTxt is the list of modules that lsinitrd prints, in dracut's order.
func ModulesTxt(features []string) []string {
	type placed struct {
		name string
		at   int
	}
	var all []placed
	for _, n := range features {
		f, ok := feature.Find(n)
		if !ok {
			continue
		}
		p := placed{stockName(f), ownPlace}
		if st, ok := findStock(p.name); ok {
			p.at = st.NN
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b placed) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name)) })
	var out []string
	for _, p := range all {
		out = append(out, p.name)
	}
	return slices.Compact(out)
}

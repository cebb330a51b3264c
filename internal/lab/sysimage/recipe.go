package sysimage

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// recipe is everything that decides what the image holds, but for the state
// of the package archive on that day.
type recipe struct {
	Version  int // raised when the steps of the builder change
	Distro   string
	Suite    string
	Packages []string
	Sources  []string // files of the host, in apt's formats
	Overlay  []entry  // files on top of the packages
	GrubCfg  string
}

// entry is one file (Text) or symbolic link (Link) of the overlay.
type entry struct {
	Path string
	Mode int64
	Text string
	Link string
}

// epoch is the time stamp of everything in the image that we write
// ourselves, so that the same packages make the same tree.
var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// kernelPackage is small, with drivers of virtual machines only.
var kernelPackage = map[string]string{"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}

// hostRecipe is the recipe for the distribution found at root.
func hostRecipe(root string) (recipe, error) {
	b, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if err != nil {
		return recipe{}, fmt.Errorf("find the host's distribution: %w", err)
	}
	rel := osRelease(string(b))
	kernel, ok := kernelPackage[rel["ID"]]
	if !ok {
		return recipe{}, fmt.Errorf("the host runs %q; system images are made on Debian or Ubuntu only", rel["ID"])
	}
	r := recipe{
		Version: 3, Distro: rel["ID"], Suite: rel["VERSION_CODENAME"],
		Packages: []string{"systemd-sysv", "systemd-resolved", "udev", "dbus", "kmod", kernel, "initramfs-tools",
			"zstd", "iproute2", "e2fsprogs", "fdisk", "login", "passwd"},
		Overlay: overlay(rel["ID"], string(b)),
		GrubCfg: grubCfg,
	}
	for _, f := range []string{"etc/apt/sources.list", "etc/apt/sources.list.d/" + r.Distro + ".sources"} {
		if b, err := os.ReadFile(filepath.Join(root, f)); err == nil && hasEntries(string(b)) {
			r.Sources = append(r.Sources, filepath.Join("/", f))
		}
	}
	if r.Suite == "" || len(r.Sources) == 0 {
		return recipe{}, fmt.Errorf("no package sources found in /etc/apt for suite %q", r.Suite)
	}
	return r, nil
}

// osRelease reads os-release(5).
func osRelease(text string) map[string]string {
	m := map[string]string{}
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		k, v, ok := strings.Cut(strings.TrimSpace(sc.Text()), "=")
		if ok && !strings.HasPrefix(k, "#") {
			m[k] = strings.Trim(v, `"'`)
		}
	}
	return m
}

// hasEntries tells whether a sources file says anything.
func hasEntries(text string) bool {
	for line := range strings.Lines(text) {
		if l := strings.TrimSpace(line); l != "" && !strings.HasPrefix(l, "#") {
			return true
		}
	}
	return false
}

// hash names the image in the cache.
func (r recipe) hash() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// grubCfg boots at once and talks to the serial line. An emulated machine on a
// busy host can miss the kernel's test of its timer, so the test is left out. Debian keeps the links
// /vmlinuz and /initrd.img pointing to its newest kernel; Ubuntu has them
// in /boot.
const grubCfg = `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry "system" {
	if test -e /vmlinuz; then
		linux /vmlinuz root=LABEL=root rw console=tty0 console=ttyS0,115200 no_timer_check
		initrd /initrd.img
	else
		linux /boot/vmlinuz root=LABEL=root rw console=tty0 console=ttyS0,115200 no_timer_check
		initrd /boot/initrd.img
	fi
}
`

// masked units cost seconds of a lab boot and do nothing for it.
var masked = []string{
	"systemd-networkd-wait-online.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
	"e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "motd-news.timer", "systemd-pstore.service",
	"getty@tty1.service", "systemd-journal-flush.service", "systemd-hwdb-update.service",
}

// overlay is what makes the packages a system for the lab. fstab has no line
// for "/": the kernel's command line says what the root is, so the same tree
// runs from a disk and from a squashfs.
func overlay(distro, osrel string) []entry {
	const units = "etc/systemd/system/"
	es := []entry{
		{Path: "etc/fstab", Mode: 0o644, Text: "# The root is named on the kernel's command line.\n"},
		// Without /etc/hostname a name given earlier (by the ramdisk) is kept;
		// else the default below is taken.
		{Path: "etc/os-release", Mode: 0o644, Text: strings.TrimRight(osrel, "\n") + "\nDEFAULT_HOSTNAME=" + distro + "\n"},
		{Path: "etc/resolv.conf", Link: "../run/systemd/resolve/stub-resolv.conf"},
		{Path: "etc/systemd/network/10-dhcp.network", Mode: 0o644,
			Text: "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n"},
		{Path: units + "multi-user.target.wants/systemd-networkd.service", Link: "/lib/systemd/system/systemd-networkd.service"},
		{Path: units + "getty.target.wants/serial-getty@ttyS0.service", Link: "/lib/systemd/system/serial-getty@.service"},
		{Path: units + "default.target", Link: "/lib/systemd/system/multi-user.target"},
		{Path: "etc/systemd/journald.conf.d/lab.conf", Mode: 0o644, Text: "[Journal]\nStorage=volatile\n"},
		{Path: "boot/grub/grub.cfg", Mode: 0o644, Text: grubCfg},
	}
	for _, u := range masked {
		es = append(es, entry{Path: units + u, Link: "/dev/null"})
	}
	return es
}

// tarball is the overlay for mmdebstrap's tar-in.
func tarball(es []entry) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	done := map[string]bool{}
	for _, e := range es {
		for i, c := range e.Path {
			if dir := e.Path[:i]; c == '/' && !done[dir] {
				done[dir] = true
				h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch}
				if err := w.WriteHeader(h); err != nil {
					return nil, err
				}
			}
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Mode: e.Mode, Size: int64(len(e.Text)), ModTime: epoch}
		if e.Link != "" {
			h = &tar.Header{Typeflag: tar.TypeSymlink, Name: e.Path, Linkname: e.Link, Mode: 0o777, ModTime: epoch}
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(e.Text)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

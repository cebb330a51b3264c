// Package distro finds in the host's distribution what the lab needs: a
// kernel to boot, and the packages whose programs it runs. It knows Debian
// 12 and 13 and Ubuntu 24.04; it installs nothing.
package distro

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"bareroot/internal/hosttool"
)

// Release is one release of a distribution.
type Release struct {
	ID      string // debian, ubuntu
	Version string // 12, 24.04
	Kernel  string // package that depends on the newest kernel
}

// Releases that are known. Debian 12 is tested.
var releases = []Release{
	{"debian", "12", "linux-image-amd64"},
	{"debian", "13", "linux-image-amd64"},
	{"ubuntu", "24.04", "linux-image-generic"},
}

// pkg is one package, with what it is for.
type pkg struct {
	Name string
	Why  string
}

// packages have the same names in all releases known.
var packages = []pkg{
	{"qemu-system-x86", "the virtual machines"},
	{"qemu-utils", "disk images"},
	{"ovmf", "UEFI firmware of the machines"},
	{"ipxe", "boot programs for network cards"},
	{"ipxe-qemu", "ROMs of the machines' network cards"},
	{"mmdebstrap", "the system image"},
	{"uidmap", "the system image, without root"},
	{"squashfs-tools", "the live root"},
	{"e2fsprogs", "the image's filesystem"},
	{"dosfstools", "the image's EFI partition"},
	{"mtools", "the image's EFI partition"},
	{"fdisk", "the image's partition table"},
	{"grub-common", "the image's boot loader"},
	{"grub-pc-bin", "the image's boot loader, BIOS"},
	{"grub-efi-amd64-bin", "the image's boot loader, UEFI"},
	{"busybox-static", "the shell in the ramdisk"},
	{"kmod", "indexes of kernel modules"},
	{"ca-certificates", "downloads over HTTPS"},
}

// testPackages are needed by ./test only.
var testPackages = []pkg{
	{"python3-sushy", "a stock Redfish client"},
	{"redfishtool", "a stock Redfish client"},
}

// Detect reads os-release of the host.
func Detect() (Release, error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return Release{}, fmt.Errorf("find the distribution: %w", err)
	}
	defer f.Close()
	var id, version string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		k, v, _ := strings.Cut(sc.Text(), "=")
		switch k {
		case "ID":
			id = strings.Trim(v, `"'`)
		case "VERSION_ID":
			version = strings.Trim(v, `"'`)
		}
	}
	return find(id, version)
}

func find(id, version string) (Release, error) {
	var known []string
	for _, r := range releases {
		if r.ID == id && r.Version == version {
			return r, nil
		}
		known = append(known, r.ID+" "+r.Version)
	}
	return Release{}, fmt.Errorf("distribution %s %s is not known; known are %s", id, version, strings.Join(known, ", "))
}

// Packages lists what the lab and the demo need, and with tests what the
// tests need besides.
func Packages(tests bool) []string {
	list := packages
	if tests {
		list = append(list[:len(list):len(list)], testPackages...)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// Missing lists those of Packages that are not installed.
func Missing(ctx context.Context, tests bool) ([]string, error) {
	return missing(ctx, hosttool.Host{}, Packages(tests))
}

func missing(ctx context.Context, run hosttool.Runner, names []string) ([]string, error) {
	args := append([]string{"dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"}, names...)
	out, err := run.Run(ctx, hosttool.Cmd{Args: args})
	// It exits 1 when one of the names is unknown, and still lists the rest.
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return nil, fmt.Errorf("find missing packages: %w", err)
	}
	have := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), " installed"); ok {
			have[name] = true
		}
	}
	var lacking []string
	for _, n := range names {
		if !have[n] {
			lacking = append(lacking, n)
		}
	}
	return lacking, nil
}

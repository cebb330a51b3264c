package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"bareroot/internal/human"
	"bareroot/internal/lab/netns"
	"bareroot/internal/serve/netboot"
)

// doctor holds what checks ask of the world outside this machine's files.
type doctor struct {
	serverAnswers func(context.Context) map[string]string
}

// need is a package and the file or program by which it is known.
type need struct {
	job, pkg, probe string // probe: a path, or a program's name
	why             string
	static          bool
}

// needs are the packages of Debian and Ubuntu, by job.
var needs = []need{
	{job: jobServe, pkg: "ipxe", probe: "/usr/lib/ipxe/snponly.efi", why: "boot programs for PXE"},
	{job: jobBuild, pkg: "busybox-static", probe: "busybox", why: "the ramdisk's shell", static: true},
	{job: jobLab, pkg: "qemu-system-x86", probe: "qemu-system-x86_64", why: "virtual machines"},
	{job: jobLab, pkg: "qemu-utils", probe: "qemu-img", why: "disk images"},
	{job: jobLab, pkg: "ovmf", probe: "/usr/share/OVMF/OVMF_CODE_4M.fd", why: "UEFI firmware"},
	{job: jobLab, pkg: "iproute2", probe: "ip", why: "the lab's network"},
	{job: jobLab, pkg: "uidmap", probe: "newuidmap", why: "images without root"},
	{job: jobLab, pkg: "mmdebstrap", probe: "mmdebstrap", why: "the system image"},
	{job: jobLab, pkg: "squashfs-tools", probe: "mksquashfs", why: "the live image"},
	{job: jobLab, pkg: "e2fsprogs", probe: "mke2fs", why: "the system image"},
	{job: jobLab, pkg: "dosfstools", probe: "mkfs.vfat", why: "the image's EFI partition"},
	{job: jobLab, pkg: "mtools", probe: "mcopy", why: "the image's EFI partition"},
	{job: jobLab, pkg: "fdisk", probe: "sfdisk", why: "the image's partition table"},
	{job: jobLab, pkg: "grub-common", probe: "grub-mkimage", why: "the image's boot loader"},
	{job: jobLab, pkg: "grub-pc-bin", probe: "/usr/lib/grub/i386-pc/boot.img", why: "the image's BIOS boot loader"},
	{job: jobLab, pkg: "grub-efi-amd64-bin", probe: "/usr/lib/grub/x86_64-efi/linux.mod", why: "the image's UEFI boot loader"},
}

func programs(job string) []finding {
	var out []finding
	for _, n := range needs {
		if n.job != job {
			continue
		}
		f := finding{Job: job, What: "package " + n.pkg, Result: doctorOK}
		path, err := lookup(n.probe)
		switch {
		case err != nil:
			f.Result, f.Detail = doctorFail, fmt.Sprintf("no %s: %s", n.probe, n.why)
		case n.static && !isStatic(path):
			f.Result, f.Detail = doctorFail, fmt.Sprintf("%s is not a static program", path)
		default:
			f.Detail = path
		}
		out = append(out, f)
	}
	return out
}

// lookup finds a path, or a program also where only root's PATH looks.
func lookup(probe string) (string, error) {
	if filepath.IsAbs(probe) {
		_, err := os.Stat(probe)
		return probe, err
	}
	if p, err := exec.LookPath(probe); err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, probe)); err == nil {
			return p, nil
		}
	}
	return "", fs.ErrNotExist
}

func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// ports tries to open each port for a moment.
func (d doctor) ports(ctx context.Context) []finding {
	ours := strings.Join(mapValues(d.serverAnswers(ctx)), " ")
	var out []finding
	for _, p := range []struct{ network, addr, what string }{
		{"udp4", ":67", "DHCP"}, {"udp4", ":4011", "proxyDHCP"}, {"udp4", ":69", "TFTP"}, {"tcp", ":8080", "provisioning door"}, {"tcp", "127.0.0.1:8081", "operator's door"},
	} {
		f := finding{Job: jobServe, What: fmt.Sprintf("port %s %s", strings.TrimSuffix(p.network, "4"), p.addr), Result: doctorOK, Detail: "free, for " + p.what}
		switch err := tryPort(ctx, p.network, p.addr); {
		case errors.Is(err, syscall.EADDRINUSE):
			_, port, _ := strings.Cut(p.addr, ":")
			if strings.Contains(ours+" ", ":"+port+" ") || strings.Contains(ours, ":"+port+",") {
				f.Detail = "in use by the running server, for " + p.what
			} else {
				f.Result, f.Detail = doctorFail, "another program has it: find it with ss -lnptu; needed for "+p.what
			}
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
			f.Result, f.Detail = doctorSkip, "only root may look; needed for "+p.what
		case err != nil:
			f.Result, f.Detail = doctorSkip, err.Error()
		}
		out = append(out, f)
	}
	return out
}

func mapValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func tryPort(ctx context.Context, network, addr string) error {
	var lc net.ListenConfig
	if network == "tcp" {
		l, err := lc.Listen(ctx, network, addr)
		if err == nil {
			err = l.Close()
		}
		return err
	}
	c, err := lc.ListenPacket(ctx, network, addr)
	if err == nil {
		err = c.Close()
	}
	return err
}

// dhcpServers asks on all interfaces at once.
func (d doctor) dhcpServers(ctx context.Context, ifaces []string) []finding {
	if len(ifaces) == 0 {
		return []finding{{Job: jobServe, What: "other DHCP servers", Result: doctorSkip, Detail: "name a network with --interface"}}
	}
	out := make([]finding, len(ifaces))
	var wg sync.WaitGroup
	for i, name := range ifaces {
		wg.Go(func() {
			out[i] = finding{Job: jobServe, What: "other DHCP servers on " + name, Result: doctorOK, Detail: "none answers"}
			found, err := netboot.OtherServers(ctx, name, ownAddresses(name), netboot.ProbeTime)
			switch {
			case err != nil:
				out[i].Result, out[i].Detail = doctorSkip, err.Error()
			case len(found) > 0:
				out[i].Result, out[i].Detail = doctorWarn, fmt.Sprintf("%v answers: use dhcp: proxy there, not authoritative", found)
			}
		})
	}
	wg.Wait()
	return out
}

func ownAddresses(iface string) []netip.Addr {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}

// diskSpace looks at the nearest directory that exists.
func diskSpace(dir string) finding {
	f := finding{Job: jobServe, What: "disk space", Result: doctorOK}
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		f.Result, f.Detail = doctorSkip, fmt.Sprintf("%s: %v", dir, err)
		return f
	}
	free := int64(st.Bavail) * st.Bsize
	f.Detail = fmt.Sprintf("%s free in %s", human.Bytes(free), dir)
	switch {
	case free < 1<<30:
		f.Result, f.Detail = doctorFail, f.Detail+"; a boot set and an image need 1 GiB at least"
	case free < 10<<30:
		f.Result = doctorWarn
	}
	return f
}

// userNamespaces makes a bridge in fresh namespaces: on some systems the
// namespace is made and everything in it is refused.
func userNamespaces(ctx context.Context) finding {
	f := finding{Job: jobLab, What: "user namespaces", Result: doctorOK, Detail: "a bridge can be made without root"}
	ip, err := lookup("ip")
	if err != nil {
		f.Result, f.Detail = doctorSkip, "no program ip to try with"
		return f
	}
	cmd := exec.CommandContext(ctx, ip, "link", "add", "brdoctor", "type", "bridge")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Result = doctorWarn
		f.Detail = fmt.Sprintf("refused (%v %s): the lab needs root; on Ubuntu see kernel.apparmor_restrict_unprivileged_userns", err, bytes.TrimSpace(out))
	}
	return f
}

// tun looks whether machines can be joined to the lab's network.
func tun() finding {
	f := finding{Job: jobLab, What: "tap devices", Result: doctorOK, Detail: "/dev/net/tun opens"}
	if err := netns.CheckTun(); err != nil {
		f.Result, f.Detail = doctorWarn, err.Error()
	}
	return f
}

// kvm looks at the processor's flags only: a device that opens may still not
// run a guest. The lab boots a guest to know.
func kvm() finding {
	f := finding{Job: jobLab, What: "KVM", Result: doctorWarn}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		f.Result, f.Detail = doctorSkip, err.Error()
		return f
	}
	words := strings.Fields(string(b))
	has := false
	for _, w := range words {
		has = has || w == "vmx" || w == "svm"
	}
	if !has {
		f.Detail = "the processor shows neither vmx nor svm: guests are emulated, minutes instead of seconds"
		return f
	}
	dev, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		f.Detail = err.Error() + ": guests are emulated; become a member of the group kvm"
		return f
	}
	_ = dev.Close() // opened only to see whether it opens
	f.Result, f.Detail = doctorOK, "the processor can and /dev/kvm opens; the lab tries a guest before it relies on it"
	return f
}

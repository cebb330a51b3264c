package boot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bareroot/internal/sys"
)

// networkMount is the place of a mount that hangs on the network, "" if there
// is none.
func networkMount() string {
	info, _ := os.ReadFile("/proc/self/mountinfo")
	return remote(string(info), "/sys")
}

// remote finds a mount that hangs on the network, by the text of
// /proc/self/mountinfo: a network filesystem, or a block device that is one,
// or is made of one. It returns its place, "" if there is none.
func remote(mountinfo, sysfs string) string {
	for _, m := range sys.ParseMountinfo(mountinfo) {
		kind, _, _ := strings.Cut(m.Type, ".")
		if slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "gfs2", "ocfs2", "lustre", "glusterfs"}, kind) || m.Type == "fuse.sshfs" {
			return m.Target
		}
		if remoteDevice(filepath.Join(sysfs, "dev/block", m.Dev), sysfs, 0) {
			return m.Target
		}
	}
	return ""
}

// remoteDevice says whether a block device is NBD, iSCSI, FCoE, NVMe over a
// network, rbd or drbd, or is made of one.
func remoteDevice(link, sysfs string, depth int) bool {
	dir, err := filepath.EvalSymlinks(link)
	if err != nil || depth > 16 {
		return false
	}
	name := filepath.Base(dir)
	for _, p := range []string{"nbd", "rbd", "drbd"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	// iSCSI's disks are below a session, FCoE's below a remote port.
	for _, part := range strings.Split(dir, "/") {
		if digits, ok := strings.CutPrefix(part, "session"); ok && digits != "" && strings.Trim(digits, "0123456789") == "" || strings.HasPrefix(part, "rport-") {
			return true
		}
	}
	if strings.HasPrefix(name, "nvme") {
		for _, p := range []string{"device/transport", "../device/transport", "../transport", "../../transport"} {
			if t := sys.Line(filepath.Join(dir, p)); t != "" {
				return t != "pcie"
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil && remoteDevice(filepath.Dir(dir), sysfs, depth+1) {
		return true
	}
	slaves, err := os.ReadDir(filepath.Join(dir, "slaves"))
	if err != nil {
		return false
	}
	for _, s := range slaves {
		if remoteDevice(filepath.Join(dir, "slaves", s.Name()), sysfs, depth+1) {
			return true
		}
	}
	return false
}

package boot

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// remote finds a mount that hangs on the network, from /proc/self/mountinfo
// (proc(5)): a network filesystem, or a block device that is one, or is made of
// one. It returns its place, "" if there is none.
func remote(mountinfo io.Reader, sys string) string {
	s := bufio.NewScanner(mountinfo)
	for s.Scan() {
		f := strings.Fields(s.Text())
		dash := slices.Index(f, "-")
		if len(f) < 6 || dash < 6 || dash+1 >= len(f) {
			continue
		}
		kind, _, _ := strings.Cut(f[dash+1], ".")
		if slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "gfs2", "ocfs2", "lustre", "glusterfs"}, kind) || f[dash+1] == "fuse.sshfs" {
			return f[4]
		}
		if remoteDevice(filepath.Join(sys, "dev/block", f[2]), sys, 0) {
			return f[4]
		}
	}
	return ""
}

// remoteDevice says whether a block device is NBD, iSCSI, FCoE, NVMe over a
// network, rbd or drbd, or is made of one.
func remoteDevice(link, sys string, depth int) bool {
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
			if t, err := os.ReadFile(filepath.Join(dir, p)); err == nil {
				return strings.TrimSpace(string(t)) != "pcie"
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil && remoteDevice(filepath.Dir(dir), sys, depth+1) {
		return true
	}
	slaves, err := os.ReadDir(filepath.Join(dir, "slaves"))
	if err != nil {
		return false
	}
	for _, s := range slaves {
		if remoteDevice(filepath.Join(dir, "slaves", s.Name()), sys, depth+1) {
			return true
		}
	}
	return false
}

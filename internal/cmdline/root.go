package cmdline

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Root is a parsed root=.
type Root struct {
	// Kind is block, dhcp, nfs, nbd, iscsi, cifs, virtiofs, or of a live image:
	// live (HTTP), live-url (another scheme), live-block, live-file, live-nfs.
	Kind   string
	Device string // block, live-block: "/dev/x", "LABEL=x", ...; live-file: the path; virtiofs: the tag
	URL    string // live, live-url, live-nfs
	Spec   string // nfs, nbd, iscsi, cifs: what ParseNFS and its siblings read
}

// refused are forms that other ramdisks know, with what to do instead.
var refused = [...][2]string{
	{"zfs:", "ZFS is not supported; its modules are not part of the kernel"}, {"ZFS=", "ZFS is not supported; its modules are not part of the kernel"},
	{"fstab", "the root comes from the command line here; name it"},
	{"tmpfs", "a root in memory is root=live:"}, {"file:", "a file in the ramdisk is root=live:/PATH"}, {"live:file:", "a file in the ramdisk is root=live:/PATH"},
}

// ParseRoot reads a value of root=. An unknown form is an error that lists
// the known ones. What several words say together is what ParseRoots reads.
func ParseRoot(v string) (Root, error) {
	bad := func(why string) (Root, error) { return Root{}, fmt.Errorf("root=%s: %s", MaskValue(v), why) }
	for _, r := range refused {
		if v == r[0] || strings.HasSuffix(r[0], ":") && strings.HasPrefix(v, r[0]) || strings.HasSuffix(r[0], "=") && strings.HasPrefix(v, r[0]) {
			return bad(r[1])
		}
	}
	if block, ok := blockForm(strings.TrimPrefix(v, "block:")); ok || v == GPTAuto || hexNumber(v) {
		return Root{Kind: "block", Device: block}, nil
	}
	scheme, rest, _ := strings.Cut(v, ":")
	var err error
	switch scheme {
	case "live", "http", "https":
		if scheme != "live" {
			rest = v
		}
		return parseLive(v, rest)
	case "dhcp", "dhcp6":
		if v == scheme {
			return Root{Kind: "dhcp", Spec: v}, nil
		}
	case "nfs", "nfs4":
		_, err = ParseNFS(v)
		return orError(Root{Kind: "nfs", Spec: v}, err)
	case "nbd":
		_, err = ParseNBD(v)
		return orError(Root{Kind: "nbd", Spec: v}, err)
	case "iscsi":
		_, err = ParseISCSI(v)
		return orError(Root{Kind: "iscsi", Spec: v}, err)
	case "cifs":
		_, err = ParseCIFS(v)
		return orError(Root{Kind: "cifs", Spec: v}, err)
	case "virtiofs":
		if rest == "" {
			return bad("the form is virtiofs:TAG")
		}
		return Root{Kind: "virtiofs", Device: rest}, nil
	}
	switch {
	case v == "/dev/nfs": // the path comes from nfsroot= or DHCP
		return Root{Kind: "nfs", Spec: "nfs"}, nil
	case strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "/dev/"), strings.Contains(v, ":/") && !strings.Contains(v, "://") && !strings.HasPrefix(v, ":"):
		spec := "nfs:" + v // root=/srv, root=HOST:/srv
		_, err = ParseNFS(spec)
		return orError(Root{Kind: "nfs", Spec: spec}, err)
	}
	return bad("unknown form; known are /dev/NAME, LABEL=, UUID=, PARTUUID=, PARTLABEL=, live:http://HOST/PATH, live:LABEL= and the like, nfs:[HOST:]/PATH, nbd:HOST:PORT, iscsi:HOST::::TARGET, cifs://HOST/SHARE, virtiofs:TAG, dhcp")
}

func orError(r Root, err error) (Root, error) {
	if err != nil {
		return Root{}, fmt.Errorf("root=%w", err)
	}
	return r, nil
}

func parseLive(v, rest string) (Root, error) {
	if block, ok := blockForm(strings.Replace(rest, "CDLABEL=", "LABEL=", 1)); ok {
		return Root{Kind: "live-block", Device: block}, nil
	}
	scheme, _, _ := strings.Cut(rest, ":")
	switch scheme {
	case "nfs", "nfs4":
		if _, err := ParseNFSFile(rest); err != nil {
			return Root{}, fmt.Errorf("root=live:%w", err)
		}
		return Root{Kind: "live-nfs", URL: rest}, nil
	case "http", "https", "ftp", "tftp", "torrent":
		if u, err := url.Parse(rest); err == nil && u.Host != "" {
			if scheme == "http" || scheme == "https" {
				return Root{Kind: "live", URL: rest}, nil
			}
			return Root{Kind: "live-url", URL: rest}, nil
		}
	}
	if lower := strings.ToLower(rest); strings.HasPrefix(rest, "/") && (strings.HasSuffix(lower, ".iso") || strings.HasSuffix(lower, ".img")) {
		return Root{Kind: "live-file", Device: rest}, nil
	}
	return Root{}, fmt.Errorf("root=%s: unknown form of a live root; known are live:http://HOST/PATH (https, ftp, tftp), live:LABEL= and the like, live:/dev/NAME, live:/PATH.iso or .img in the ramdisk, live:nfs:HOST:/PATH", MaskValue(v))
}

func blockForm(v string) (string, bool) {
	for _, p := range []string{"LABEL=", "UUID=", "PARTUUID=", "PARTLABEL="} {
		if rest, ok := strings.CutPrefix(v, p); ok {
			return v, rest != ""
		}
	}
	if maj, minor, ok := strings.Cut(v, ":"); ok && digits(maj) && digits(minor) { // the kernel's numbers
		return v, true
	}
	return v, strings.HasPrefix(v, "/dev/") && len(v) > len("/dev/") && v != "/dev/nfs"
}

// GPTAuto is the root= of a root that is found by the type of its partition.
const GPTAuto = "gpt-auto"

// hexNumber says whether v is a device number as the kernel reads it when it is
// nothing else: hexadecimal, with or without 0x.
func hexNumber(v string) bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(v), "0x"), 16, 32)
	return err == nil && n>>8 > 0
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Network says whether the root is fetched over the network.
func (r Root) Network() bool {
	switch r.Kind {
	case "live", "live-url", "live-nfs", "nfs", "nbd", "iscsi", "cifs", "dhcp":
		return true
	}
	return false
}

func (r Root) String() string {
	switch r.Kind {
	case "live", "live-url", "live-nfs":
		return "live:" + r.URL
	case "live-block", "live-file":
		return "live:" + r.Device
	case "virtiofs":
		return "virtiofs:" + r.Device
	case "nfs", "nbd", "iscsi", "cifs", "dhcp":
		return r.Spec
	}
	return r.Device
}

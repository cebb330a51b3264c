package cmdline

import (
	"fmt"
	"strings"
)

// Roots is what root=, netroot=, nfsroot= and rd.live.image say together.
type Roots struct {
	Root         Root   // Kind "": no root= and nothing that implies one
	Net          []Root // netroot= of a root that lies on it: nbd, iscsi (several)
	NeedDHCP     bool   // where the root is comes from DHCP
	DHCPOrServer bool   // an NFS root without server: from ip= or from DHCP
	Notices      []string
}

// ParseRoots reads a line's words about the root. An error names the word.
func ParseRoots(l Line) (Roots, error) {
	var r Roots
	v, _ := l.Get("root")
	nfsroot, isNFS := l.Get("nfsroot")
	if v == "" && (isNFS || l.Is("boot", "nfs")) {
		v = "/dev/nfs"
	}
	if isNFS && v != "/dev/nfs" {
		return r, fmt.Errorf("nfsroot=%s: goes with root=/dev/nfs or without root=, not with root=%s", nfsroot, MaskValue(v))
	}
	if v != "" {
		if _, ok := blockForm(v); ok && l.Has("rd.live.image") {
			v = "live:" + v
		}
		var err error
		if r.Root, err = ParseRoot(v); err != nil {
			return r, err
		}
	}
	if isNFS {
		n, err := ParseNFSRoot(nfsroot)
		if err != nil {
			return r, err
		}
		r.Root = Root{Kind: "nfs", Spec: n.String()}
		r.Notices = append(r.Notices, fmt.Sprintf("nfsroot=%s: old spelling of root=%s", nfsroot, n))
	}
	if err := r.netroots(l); err != nil {
		return r, err
	}
	if _, given := l.Get("rootfallback"); given {
		if _, ok := Fallback(l); !ok {
			r.Notices = append(r.Notices, "rootfallback: takes a block device, as LABEL=x or /dev/x; it is ignored")
		}
	}
	for _, root := range append([]Root{r.Root}, r.Net...) {
		switch root.Kind {
		case "dhcp":
			r.NeedDHCP = true
		case "nfs":
			if n, err := ParseNFS(root.Spec); err == nil && n.Server == "" {
				r.DHCPOrServer = true
			}
		}
	}
	return r, nil
}

// Fallback is the block device that rootfallback= names.
func Fallback(l Line) (string, bool) {
	v, _ := l.Get("rootfallback")
	return blockForm(strings.TrimPrefix(v, "block:"))
}

func (r *Roots) netroots(l Line) error {
	for _, w := range l.All("netroot") {
		if w.Value == "" {
			continue
		}
		value := strings.Replace(w.Value, "livenet:", "live:", 1)
		n, err := ParseRoot(value)
		if err != nil {
			return fmt.Errorf("net%w", err)
		}
		switch {
		case !n.Network():
			return fmt.Errorf("netroot=%s: names nothing on the network; that is for root=", w.Value)
		case r.Root.Network():
			r.Notices = append(r.Notices, fmt.Sprintf("%s: ignored, as root=%s is on the network itself", w.Masked(), MaskValue(r.Root.String())))
		case r.Root.Kind == "":
			r.Root = n
		default:
			r.Net = append(r.Net, n)
		}
	}
	return nil
}

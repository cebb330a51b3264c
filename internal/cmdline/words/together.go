package words

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// together finds what only several words show.
func (r *Report) together(l cmdline.Line) {
	fresh := func(err error) bool { // no word has said so itself
		return err != nil && !slices.ContainsFunc(r.Words, func(w Word) bool { return w.State == Malformed && strings.Contains(maskAll(err.Error(), l), w.Problem) })
	}
	n, nerr := cmdline.ParseNetwork(l)
	roots, rerr := cmdline.ParseRoots(l)
	if fresh(nerr) {
		r.Errors = append(r.Errors, maskAll(nerr.Error(), l))
	}
	if fresh(rerr) {
		r.Errors = append(r.Errors, maskAll(rerr.Error(), l))
	}
	if nerr == nil && rerr == nil {
		if err := n.CheckRoot(roots.NeedDHCP, roots.DHCPOrServer); err != nil {
			r.Errors = append(r.Errors, err.Error())
		}
		for _, t := range roots.Notices {
			if !strings.Contains(t, "old spelling") {
				r.Contradicts = append(r.Contradicts, t)
			}
		}
		if n.BootDev != "" && len(n.Ifaces) > 0 && !slices.Contains(n.Ifaces, n.BootDev) {
			r.Contradicts = append(r.Contradicts, fmt.Sprintf("bootdev=%s: no ip= names this NIC", n.BootDev))
		}
	}
	for _, c := range contradictions {
		if a, b, ok := c.both(l); ok {
			r.Contradicts = append(r.Contradicts, fmt.Sprintf("%s and %s: %s", a, b, c.then))
		}
	}
	if !slices.ContainsFunc(n.IPs, func(ip cmdline.IP) bool { return ip.Client.IsValid() }) {
		for _, k := range []string{"netmask", "gateway", "hostname", "ksdevice", "mtu"} {
			for i := range r.Words {
				if x := &r.Words[i]; x.Name == k && x.State == Works.Text() {
					x.Notice = "means something with ip=ADDRESS only"
				}
			}
		}
	}
}

func maskAll(msg string, l cmdline.Line) string {
	for _, w := range l {
		msg = mask(msg, w)
	}
	return msg
}

// pair is two words that cannot both be meant. A value "yes" or "no" is that
// of a yes-or-no word, "" any; a name ending in "*" is a beginning.
type pair struct{ a, av, b, bv, then string }

var contradictions = []pair{
	{"rd.lvm", "no", "rd.lvm.vg", "", "nothing of LVM is activated"}, {"rd.lvm", "no", "rd.lvm.lv", "", "nothing of LVM is activated"},
	{"rd.md", "no", "rd.md.uuid", "", "no array is assembled"}, {"rd.dm", "no", "rd.dm.uuid", "", "no dmraid set is assembled"},
	{"rd.luks", "no", "rd.luks.*", "", "no LUKS device is opened"},
	{"rd.skipfsck", "yes", "forcefsck", "", "nothing is checked"}, {"fastboot", "", "forcefsck", "", "nothing is checked"},
	{"noresume", "", "resume", "", "nothing is resumed"},
	{"rd.shell", "no", "rd.break", "", "a shell is opened at rd.break all the same"},
	{"bareroot.live.insecure", "yes", "bareroot.live.sha256", "", "the hash is checked"},
	{"rd.bootif", "no", "BOOTIF", "", "BOOTIF is ignored"},
	{"quiet", "", "rd.debug", "yes", "the console is not quiet"}, {"quiet", "", "rd.info", "yes", "the console is not quiet"},
	{"metal.no-wipe", "yes", "metal.wipe-delay", "", "nothing is wiped"},
	{"rd.live.overlay.overlayfs", "yes", "rd.live.overlay.thin", "yes", "thin snapshots are of device-mapper, not of overlayfs"},
	{"rd.iscsi.firmware", "yes", "rd.iscsi.target.group", "", "the firmware names the target"},
}

func (c pair) both(l cmdline.Line) (a, b string, ok bool) {
	a, aok := match(l, c.a, c.av)
	b, bok := match(l, c.b, c.bv)
	return a, b, aok && bok
}

func match(l cmdline.Line, name, value string) (string, bool) {
	if p, any := strings.CutSuffix(name, "*"); any {
		for _, w := range l {
			if off := w.Value == "0" || w.Value == "no" || w.Value == "off"; strings.HasPrefix(w.Key, p) && !off {
				return w.Masked(), true
			}
		}
		return "", false
	}
	w, ok := l.Last(name)
	if !ok || value != "" && l.Bool(false, name) != (value == "yes") {
		return "", false
	}
	return w.Masked(), true
}

// summary is what the boot will do.
func summary(l cmdline.Line, role string) Boot {
	b := Boot{Role: role}
	if v, ok := l.Get("bareroot.role"); ok && v != "" {
		b.Role = v
	}
	roots, err := cmdline.ParseRoots(l)
	switch {
	case err != nil:
		b.Root = "none that can be read"
	case roots.Root.Kind == "":
		b.Root = "none given"
	default:
		b.Root = describeRoot(roots.Root)
		for _, n := range roots.Net {
			b.Root += ", on " + describeRoot(n)
		}
		mode := "read-only"
		if w, ok := l.Last("ro", "rw"); ok && w.Key == "rw" {
			mode = "writable"
		}
		b.Root += ", " + mode
	}
	n, err := cmdline.ParseNetwork(l)
	if err != nil {
		b.Network = "not as the line says: " + maskAll(err.Error(), l)
		return b
	}
	var why []string
	add := func(ok bool, s string) {
		if ok {
			why = append(why, s)
		}
	}
	add(roots.Root.Network() || len(roots.Net) > 0, "the root is on it")
	add(len(n.Ifaces) > 0, "a NIC is named")
	add(n.Need, "rd.neednet")
	if len(why) == 0 {
		b.Network = "not needed by this line; a ramdisk with a server brings it up all the same"
		return b
	}
	var how []string
	for _, ip := range n.IPs {
		how = append(how, describeIP(ip))
	}
	if n.IBFT {
		how = append(how, "as the firmware's iBFT says")
	}
	if len(how) == 0 {
		how = append(how, "any wired NIC is configured by dhcp")
	}
	if n.BootDev != "" {
		how = append(how, "the boot depends on "+n.BootDev)
	}
	b.Network = "brought up (" + strings.Join(why, ", ") + "): " + strings.Join(how, "; ")
	return b
}

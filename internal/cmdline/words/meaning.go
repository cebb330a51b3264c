package words

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// RootKind is a form of root=.
type RootKind struct {
	Kind   string // of cmdline.Root
	Name   string
	Forms  []string
	Status Status
}

// RootKinds is every form of root=.
func RootKinds() []RootKind {
	return []RootKind{
		{"block", "block device", []string{"/dev/NAME", "LABEL=", "UUID=", "PARTUUID=", "PARTLABEL=", "MAJOR:MINOR", "0xNUMBER", "gpt-auto", "block:/dev/NAME"}, Works},
		{"live", "live image over HTTP", []string{"live:http://HOST/PATH", "live:https://HOST/PATH", "http://...", "https://..."}, Works},
		{"live-block", "live medium", []string{"live:LABEL=", "live:CDLABEL=", "live:UUID=", "live:PARTUUID=", "live:PARTLABEL=", "live:/dev/NAME"}, Works},
		{"live-file", "live image in the ramdisk", []string{"live:/PATH.iso", "live:/PATH.img"}, NotYet},
		{"live-url", "live image over FTP, TFTP or BitTorrent", []string{"live:ftp://...", "live:tftp://...", "live:torrent://..."}, NotYet},
		{"live-nfs", "live image on NFS", []string{"live:nfs:HOST:/PATH[:OPTIONS]", "live:nfs://HOST[:PORT]/PATH"}, NotYet},
		{"nfs", "NFS", []string{"nfs:[HOST:]/PATH[:OPTIONS]", "nfs4:...", "HOST:/PATH", "/PATH", "nfs", "/dev/nfs (with nfsroot=)"}, NotYet},
		{"nbd", "network block device", []string{"nbd:HOST:PORT[:FSTYPE[:FLAGS[:OPTIONS]]]", "nbd:HOST:EXPORT"}, NotYet},
		{"iscsi", "iSCSI", []string{"iscsi:[USER:PASS[:INUSER:INPASS]@]HOST:[PROTO]:[PORT]:[[IFACE:]NETDEV:][LUN]:TARGET", "iscsi: (firmware)"}, NotYet},
		{"cifs", "CIFS share", []string{"cifs://[USER[:PASS]@]HOST/SHARE[/DIRECTORY]"}, NotYet},
		{"virtiofs", "virtiofs", []string{"virtiofs:TAG"}, NotYet},
		{"dhcp", "root path of the DHCP answer", []string{"dhcp", "dhcp6"}, Works},
	}
}

func kindOf(r cmdline.Root) RootKind {
	for _, k := range RootKinds() {
		if k.Kind == r.Kind {
			return k
		}
	}
	return RootKind{Name: r.Kind, Status: NotYet}
}

func describeRoot(r cmdline.Root) string {
	s := fmt.Sprintf("%s: %s", kindOf(r).Name, cmdline.MaskValue(r.String()))
	switch r.Kind {
	case "block":
		s = "block device " + r.Device
		if r.Device == "gpt-auto" {
			s = "the partition whose type says that it is the root, on the disk that was booted from"
		}
	case "dhcp":
		s = "what the root path of the DHCP answer says"
	case "nfs":
		n, _ := cmdline.ParseNFS(r.Spec)
		s = fmt.Sprintf("NFS: server %s, path %s", or(n.Server, "from ip= or DHCP"), or(n.Path, "from DHCP"))
		if n.Options != "" {
			s += ", options " + n.Options
		}
	case "nbd":
		n, _ := cmdline.ParseNBD(r.Spec)
		s = fmt.Sprintf("network block device: server %s, %s", n.Server, or(prefix("port ", n.Port), "export "+n.Export))
	case "iscsi":
		i, _ := cmdline.ParseISCSI(r.Spec)
		if i.Firmware {
			return "iSCSI as the firmware's iBFT says"
		}
		s = fmt.Sprintf("iSCSI: server %s port %s, target %s, LUN %s", or(i.Server, "from DHCP"), or(i.Port, "3260"), i.Target, or(i.LUN, "0"))
	case "cifs":
		c, _ := cmdline.ParseCIFS(r.Spec)
		s = fmt.Sprintf("CIFS: server %s, share %s", c.Server, c.Share) + prefix(", directory ", c.Dir)
	}
	return s
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func prefix(p, s string) string {
	if s == "" {
		return ""
	}
	return p + s
}

func describeIP(ip cmdline.IP) string {
	where := or(ip.Device, "any NIC")
	var s string
	if ip.Static() {
		s = fmt.Sprintf("%s gets %s/%d", where, ip.Client, ip.Bits)
		if ip.Gateway.IsValid() {
			s += " with gateway " + ip.Gateway.String()
		}
	} else {
		s = fmt.Sprintf("%s is configured by %s", where, strings.Join(ip.Methods, ", then "))
	}
	if ip.Peer != "" {
		s += ", boot server " + ip.Peer
	}
	if ip.Host != "" {
		s += ", host name " + ip.Host
	}
	for _, d := range ip.DNS {
		s += ", name server " + d.String()
	}
	if ip.MTU > 0 {
		s += fmt.Sprintf(", MTU %d", ip.MTU)
	}
	if ip.MAC != "" {
		s += ", MAC " + ip.MAC
	}
	return s
}

// meaning says what a word does, with its value where it has a grammar of its
// own; err names the rule that the value breaks.
func meaning(d Def, w cmdline.Word, l cmdline.Line) (does, notice string, err error) {
	does = clause(d, w)
	if d.Type == Number && len(w.Value) > 1 && w.Value[0] == '0' {
		notice = fmt.Sprintf("read as %s; dracut takes a leading zero for octal", or(strings.TrimLeft(w.Value, "0"), "0"))
	}
	if strings.HasPrefix(w.Value, "=") {
		notice = fmt.Sprintf("two equals signs: the value is %q", w.Value)
	}
	if d.Type != Form {
		return does, notice, nil
	}
	var n cmdline.Network
	switch d.Name {
	case "root", "netroot":
		if w.Value == "" {
			return "nothing: empty", "", nil
		}
		r, err := cmdline.ParseRoot(strings.Replace(w.Value, "livenet:", "live:", 1))
		if err != nil {
			return "", "", err
		}
		if strings.HasPrefix(r.Device, "/dev/ram") {
			notice = "no such device is made for a ramdisk of today; name the root, or leave the word out if none is to be mounted"
		}
		return describeRoot(r), notice, nil
	case "nfsroot":
		n, err := cmdline.ParseNFSRoot(w.Value)
		return describeRoot(cmdline.Root{Kind: "nfs", Spec: n.String()}), "", err
	case "ip", "nfsaddrs":
		n, err = cmdline.ParseNetwork(append(with(l, "bareroot.ip", "netmask", "gateway", "hostname", "ksdevice", "mtu", "BOOTIF"), w))
		if err == nil && len(n.IPs) == 1 {
			return describeIP(n.IPs[0]), strings.Join(n.Notices, "; "), nil
		}
		if n.IBFT {
			return "the NICs are configured as the firmware's iBFT says", "", err
		}
		return "nothing here", strings.Join(n.Notices, "; "), err
	case "BOOTIF":
		_, err = cmdline.ParseNetwork(cmdline.Line{w})
		return "the boot depends on the NIC " + cmdline.FixBootIF(w.Value), "", err
	case "rd.route", "ifname", "vlan", "bond", "bridge", "team":
		if n, err = cmdline.ParseNetwork(cmdline.Line{w}); err == nil {
			does = describeNet(n, does)
		}
		return does, strings.Join(n.Notices, "; "), err
	case "boot":
		if does != strings.ReplaceAll(d.Meaning, "`", "") {
			break
		}
		does = "where /boot is, for fips=1"
		if _, berr := cmdline.ParseRoot(w.Value); berr != nil {
			err = fmt.Errorf("%s: boot takes nfs, local or a block device; the scripts that other ramdisks have for %q are not here", w, w.Value)
		}
	case "rd.lvm.lv":
		if vg, lv, ok := strings.Cut(w.Value, "/"); !ok || vg == "" || lv == "" {
			err = fmt.Errorf("%s: the form is VG/LV", w)
		}
	case "roothash":
		err = cmdline.Refused(cmdline.Line{w})
	case "fcoe":
		_, err = cmdline.ParseFCoE(w.Value)
	case "rd.znet":
		_, err = cmdline.ParseZNet(w.Value)
	case "rd.znet_ifname":
		if name, ch, ok := strings.Cut(w.Value, ":"); !ok || name == "" || ch == "" {
			err = fmt.Errorf("%s: the form is NAME:CHANNELS", w)
		}
	case "rd.luks.name", "rd.luks.data", "rd.iscsi.param":
		if k, v, ok := strings.Cut(w.Value, "="); !ok || k == "" || v == "" {
			err = fmt.Errorf("%s: the form is %s", w, form(d))
		}
	case "rd.luks.key", "rd.live.overlay", "rd.overlay.crypt", "rd.nvmf.discover", "root_device", "resume", "rootfallback":
		if w.Value == "" {
			err = fmt.Errorf("%s: %s needs a value", w, d.Name)
		}
	case "fdi.pxmac":
		if _, merr := net.ParseMAC(w.Value); merr != nil {
			err = fmt.Errorf("%s: no MAC address", w)
		}
	}
	return does, "", err
}

// form is the first grammar in a meaning.
func form(d Def) string {
	f := strings.Split(d.Meaning, "`")
	if len(f) < 2 {
		return d.Meaning
	}
	return f[1]
}

// with is the words of l with these keys.
func with(l cmdline.Line, keys ...string) cmdline.Line {
	var out cmdline.Line
	for _, w := range l {
		if slices.Contains(keys, w.Key) {
			out = append(out, w)
		}
	}
	return out
}

func describeNet(n cmdline.Network, other string) string {
	switch {
	case len(n.Routes) == 1:
		r := n.Routes[0]
		s := "route to " + r.Dest.String()
		if r.Via.IsValid() {
			s += " by " + r.Via.String()
		}
		return s + prefix(" on ", r.Device)
	case len(n.Rename) == 1:
		return fmt.Sprintf("the NIC %s is called %s", n.Rename[0].MAC, n.Rename[0].Name)
	case len(n.VLANs) == 1:
		return fmt.Sprintf("%s is VLAN %d of %s", n.VLANs[0].Name, n.VLANs[0].ID, n.VLANs[0].Phys)
	case len(n.Bonds) == 1:
		return fmt.Sprintf("%s is a bond of %s", n.Bonds[0].Name, strings.Join(n.Bonds[0].Members, ", ")) + prefix(", options ", n.Bonds[0].Options) + prefix(", MTU ", n.Bonds[0].MTU)
	case len(n.Bridges) == 1:
		return fmt.Sprintf("%s is a bridge of %s", n.Bridges[0].Name, strings.Join(n.Bridges[0].Members, ", "))
	case len(n.Teams) == 1:
		return fmt.Sprintf("%s is a team of %s, runner %s", n.Teams[0].Name, strings.Join(n.Teams[0].Members, ", "), n.Teams[0].Options)
	}
	return other
}

package cmdline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// showRoots writes what ParseRoots says in one string.
func showRoots(r Roots) string {
	s := r.Root.Kind
	add := func(k, v string) {
		if v != "" {
			s += " " + k + "=" + v
		}
	}
	add("dev", r.Root.Device)
	add("url", r.Root.URL)
	add("spec", r.Root.Spec)
	if r.Root.Kind == "nfs" {
		n, _ := ParseNFS(r.Root.Spec)
		s += fmt.Sprintf(" server=%s path=%s opts=%s", n.Server, n.Path, n.Options)
	}
	for _, n := range r.Net {
		s += " on " + n.String()
	}
	if r.NeedDHCP {
		s += " needdhcp"
	}
	if r.DHCPOrServer {
		s += " dhcporserver"
	}
	if len(r.Notices) > 0 {
		s += " notice"
	}
	return strings.TrimSpace(s)
}

// Section 10 of the table made by running dracut's own parsers, each input in
// its order there. "die" is an error; where we differ on purpose, the row says
// so.
func TestRootForms(t *testing.T) {
	const sha = "http://192.0.2.1/x.squashfs"
	for _, row := range []struct{ n, line, want string }{
		{"10.0 precedence", "root=nfs:192.0.2.1:/srv netroot=nbd:h:1", "nfs spec=nfs:192.0.2.1:/srv server=192.0.2.1 path=/srv opts= notice"},
		{"10.0 block", "root=LABEL=x", "block dev=LABEL=x"}, {"10.0 block", "root=UUID=x", "block dev=UUID=x"}, {"10.0 block", "root=PARTUUID=x", "block dev=PARTUUID=x"},
		{"10.0 block", "root=PARTLABEL=x", "block dev=PARTLABEL=x"}, {"10.0 block", "root=/dev/vda1", "block dev=/dev/vda1"}, {"10.0 block", "root=8:1", "block dev=8:1"},
		{"10.1", "root=nfs:192.0.2.1:/srv/root:rw,vers=3", "nfs spec=nfs:192.0.2.1:/srv/root:rw,vers=3 server=192.0.2.1 path=/srv/root opts=rw,vers=3"},
		{"10.2", "root=nfs4:srv:/p,ro", "nfs spec=nfs4:srv:/p,ro server=srv path=/p opts=ro"},
		{"10.3", "root=nfs:/srv", "nfs spec=nfs:/srv server= path=/srv opts= dhcporserver"}, {"10.3", "root=/srv", "nfs spec=nfs:/srv server= path=/srv opts= dhcporserver"},
		{"10.3", "root=nfs", "nfs spec=nfs server= path= opts= dhcporserver"},
		{"10.4", "root=192.0.2.1:/srv/root", "nfs spec=nfs:192.0.2.1:/srv/root server=192.0.2.1 path=/srv/root opts="},
		{"10.5", "root=nfs:[2001:db8::1]:/srv", "nfs spec=nfs:[2001:db8::1]:/srv server=[2001:db8::1] path=/srv opts="},
		{"10.6", "root=/dev/nfs nfsroot=192.0.2.1:/srv,vers=3,tcp", "nfs spec=nfs:192.0.2.1:/srv:vers=3,tcp server=192.0.2.1 path=/srv opts=vers=3,tcp notice"},
		{"10.7", "root=/dev/nfs", "nfs spec=nfs server= path= opts= dhcporserver"},
		{"10.8", "root=LABEL=x nfsroot=192.0.2.1:/srv", "die"},
		{"10.9", "root=nfs:192.0.2.1:srv", "die"},
		{"10.10", "root=dhcp", "dhcp spec=dhcp needdhcp"}, {"10.10", "root=dhcp6", "dhcp spec=dhcp6 needdhcp"}, {"10.10", "netroot=dhcp", "dhcp spec=dhcp needdhcp"},
		{"10.11", "root=nbd:192.0.2.1:10809", "nbd spec=nbd:192.0.2.1:10809"}, {"10.11", "root=nbd:[2001:db8::1]:disk:ext4:ro:persist", "nbd spec=nbd:[2001:db8::1]:disk:ext4:ro:persist"},
		{"10.11", "root=nbd::10809", "die"}, {"10.11", "root=nbd:srv:", "die"}, {"10.11, ours: the port is missing", "root=nbd:srv", "die"},
		{"10.12", "root=LABEL=x netroot=nbd:srv:disk", "block dev=LABEL=x on nbd:srv:disk"},
		{"10.13", "root=iscsi:192.0.2.1::::iqn.2009-06.dracut:target0", "iscsi spec=iscsi:192.0.2.1::::iqn.2009-06.dracut:target0"},
		{"10.13", "root=LABEL=x netroot=iscsi:a::::iqn.a:1 netroot=iscsi:b::::iqn.b:1", "block dev=LABEL=x on iscsi:a::::iqn.a:1 on iscsi:b::::iqn.b:1"},
		{"10.14", "root=LABEL=x netroot=iscsi rd.iscsi.firmware=1", "block dev=LABEL=x on iscsi"},
		{"10.15", "root=cifs://u:p@srv/share", "cifs spec=cifs://u:p@srv/share"}, {"10.15", "root=cifs://srv", "die"},
		{"10.17", "root=live:http://h/x.squashfs", "live url=http://h/x.squashfs"}, {"10.17", "root=https://h/x", "live url=https://h/x"}, {"10.17", "root=live:ftp://h/x", "live-url url=ftp://h/x"},
		{"10.17", "netroot=livenet:" + sha, "live url=" + sha}, {"10.17", "root=live:nfs:srv:/p/x.img", "live-nfs url=nfs:srv:/p/x.img"},
		{"10.18", "root=live:LABEL=X", "live-block dev=LABEL=X"}, {"10.18", "root=live:CDLABEL=X", "live-block dev=LABEL=X"}, {"10.18", "root=live:/dev/x", "live-block dev=/dev/x"},
		{"10.19", "root=live:/p/x.iso", "live-file dev=/p/x.iso"}, {"10.19", "root=live:/p/x.IMG", "live-file dev=/p/x.IMG"},
		{"10.20", "root=LABEL=X rd.live.image", "live-block dev=LABEL=X"},
		{"10.21, ours: at once", "root=live:foo", "die"},
		{"10.22", "root=virtiofs:fs0", "virtiofs dev=fs0"}, {"10.22, ours: refused", "root=zfs:tank/root", "die"},
		{"12", "nfsroot=/srv,tcp", "nfs spec=nfs:/srv:tcp server= path=/srv opts=tcp dhcporserver notice"},
		{"13", "boot=nfs", "nfs spec=nfs server= path= opts= dhcporserver"}, {"13", "root=/dev/nfs nfsroot=auto", "nfs spec=nfs: server= path= opts= dhcporserver notice"},
		{"13", "nfsroot=srv:dir", "die"},
		{"ours", "", ""}, {"ours", "root=LABEL=x netroot=LABEL=y", "die"}, {"ours", "root=gpt-auto", "block dev=gpt-auto"}, {"kernel", "root=0x801", "block dev=0x801"}, {"kernel", "root=fd00", "block dev=fd00"}, {"kernel", "root=0", "die"}, {"kernel", "root=0x", "die"}, {"ours", "root=tmpfs", "die"}, {"ours", "netroot=bogus", "die"},
	} {
		r, err := ParseRoots(Parse(row.line, "test"))
		got := showRoots(r)
		if err != nil {
			got = "die"
			if !strings.Contains(err.Error(), "root=") {
				t.Errorf("row %s: %s: the message does not name the word: %v", row.n, row.line, err)
			}
		}
		if got != row.want {
			t.Errorf("row %s: %s\n got %s (%v)\nwant %s", row.n, row.line, got, err, row.want)
		}
	}
}

// The iSCSI strings of section 10.
func TestISCSIStrings(t *testing.T) {
	for _, row := range []struct {
		in   string
		want ISCSI
		bad  string
	}{
		{in: "iscsi:192.0.2.1::::iqn.2009-06.dracut:target0", want: ISCSI{Server: "192.0.2.1", Target: "iqn.2009-06.dracut:target0"}},
		{in: "iscsi:192.0.2.1:6:3260:1:iqn.2009-06.x:t", want: ISCSI{Server: "192.0.2.1", Proto: "6", Port: "3260", LUN: "1", Target: "iqn.2009-06.x:t"}},
		{in: "iscsi:[2001:db8::1]::3260:0:iqn.a:t", want: ISCSI{Server: "2001:db8::1", Port: "3260", LUN: "0", Target: "iqn.a:t"}},
		{in: "iscsi:u:p@h::::iqn.a:t", want: ISCSI{User: "u", Password: "p", Server: "h", Target: "iqn.a:t"}},
		{in: "iscsi:u:p:iu:ip@h::::iqn.a:t", want: ISCSI{User: "u", Password: "p", InUser: "iu", InPassword: "ip", Server: "h", Target: "iqn.a:t"}},
		{in: "iscsi:h:::if0:eth0:2:iqn.a:t", want: ISCSI{Server: "h", Iface: "if0", NetDev: "eth0", LUN: "2", Target: "iqn.a:t"}},
		{in: "iscsi:h:6:3260:1:2:iqn.a:t", want: ISCSI{Server: "h", Proto: "6", Port: "3260", NetDev: "1", LUN: "2", Target: "iqn.a:t"}},
		{in: "iscsi:h:6:3260:1:x:iqn.a:t", bad: `LUN "x" is no number`}, // ours: dracut takes LUN x
		{in: "iscsi:h::3260::eui.0123", want: ISCSI{Server: "h", Port: "3260", Target: "eui.0123"}},
		{in: "iscsi:h::3260::tgt", want: ISCSI{Server: "h", Port: "3260", Target: "tgt"}},
		{in: "iscsi:@h::3260::iqn.e:testdi@sk", want: ISCSI{Server: "h", Port: "3260", Target: "iqn.e:testdi@sk"}},
		{in: "iscsi:a:b:c:d:e@h::::iqn.z:t", bad: "the login has 5 parts"},
		{in: "iscsi:", want: ISCSI{Firmware: true}},
		{in: "iscsi:::::iqn.a:t", want: ISCSI{Target: "iqn.a:t"}}, // the server comes from DHCP
		{in: "iscsi:h", bad: "no target"}, {in: "iscsi:h:::", bad: "no target"}, {in: "iscsi:h::99999::iqn.a:t", bad: "port"}, {in: "iscsi:h:iqn.a:t", bad: "0 fields"},
		{in: "iscsi:h:a:1:b:c:d:e:iqn.a:t", bad: "6 fields"}, {in: "nbd:x", bad: "the form is iscsi:"},
	} {
		got, err := ParseISCSI(row.in)
		if row.bad != "" {
			if err == nil || !strings.Contains(err.Error(), row.bad) {
				t.Errorf("%s: %+v, %v", row.in, got, err)
			}
			continue
		}
		if d := cmp.Diff(row.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", row.in, err, d)
		}
	}
}

// NFS strings of section 10, for files.
func TestNFSFiles(t *testing.T) {
	for in, want := range map[string]NFS{
		"nfs://srv/p/x.img":          {Server: "srv", Path: "/p/x.img"},
		"nfs://srv:2050/p/x.img":     {Server: "srv", Port: "2050", Path: "/p/x.img"},
		"nfs:srv:/p/x.img:vers=3":    {Server: "srv", Path: "/p/x.img", Options: "vers=3"},
		"nfs:vers=3,tcp:srv:/p":      {Server: "srv", Path: "/p", Options: "vers=3,tcp"},
		"nfs4:[2001:db8::1]:/p/x":    {V4: true, Server: "[2001:db8::1]", Path: "/p/x"},
		"nfs:ro:[2001:db8::1]:/p/x":  {Server: "[2001:db8::1]", Path: "/p/x", Options: "ro"},
		"nfs:/p/x":                   {Path: "/p/x"},
		"nfs://[2001:db8::1]:1/p":    {Server: "[2001:db8::1]", Port: "1", Path: "/p"},
		"nfs://srv":                  {},
		"nfs://srv:x/p":              {},
		"nfs:srv:/":                  {},
		"nfs:srv:p":                  {},
		"nfs:":                       {},
		"nfs://srv/":                 {},
		"nfs:vers=3:srv:relative":    {},
		"nfs://srv:70000/p/x.img":    {},
		"nfs:srv:/p,vers=4.2,nolock": {Server: "srv", Path: "/p", Options: "vers=4.2,nolock"},
	} {
		got, err := ParseNFSFile(in)
		if (err == nil) != (want != NFS{}) || (err == nil && got != want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
}

func TestOtherNetworkForms(t *testing.T) {
	for in, want := range map[string]string{
		"u:p@srv/share/dir/sub": "u p srv share dir/sub", "srv/share": "  srv share ", "u@srv/share/": "u  srv share ", "u:p@ss@srv/s": "u p@ss srv s ",
		"srv": "die", "": "die", "/share": "die",
	} { // row 10.16: dracut splits the server at the last slash; we do not
		c, err := ParseCIFS("cifs://" + in)
		if got := strings.Join([]string{c.User, c.Password, c.Server, c.Share, c.Dir}, " "); (err != nil) != (want == "die") || err == nil && got != want {
			t.Errorf("cifs://%s: %s, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"eth0:dcb": "{eth0 true }", "edd:nodcb": "{edd false }", "eth0:nodcb:vn2vn": "{eth0 false vn2vn}", "00:A5:6b:00:11:22:dcb": "{00:a5:6b:00:11:22 true }",
		"00:A5:6b:00:11:22:dcb:fabric": "{00:a5:6b:00:11:22 true fabric}", "eth0": "die", "eth0:yes": "die", "eth0:dcb:x": "die", ":dcb": "die", "a:b:c:d": "die", "0:1:2:3:4:5:dcb": "die",
	} {
		f, err := ParseFCoE(in)
		if got := fmt.Sprint(f); (err != nil) != (want == "die") || err == nil && got != want {
			t.Errorf("fcoe=%s: %s, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"qeth,0.0.f5f0,0.0.f5f1,0.0.f5f2,layer2=1,portname=foo": "{qeth [0.0.f5f0 0.0.f5f1 0.0.f5f2] [layer2=1 portname=foo]}", "ctc,0.0.1,0.0.2": "{ctc [0.0.1 0.0.2] []}",
		"qeth,0.0.1,0.0.2": "die", "x,0.0.1,0.0.2": "die", "": "die",
	} {
		z, err := ParseZNet(in)
		if got := fmt.Sprint(z); (err != nil) != (want == "die") || err == nil && got != want {
			t.Errorf("rd.znet=%s: %s, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"nbd:srv:10809": "srv 10809    ", "nbd:srv:disk:xfs:ro:name=x": "srv  disk xfs ro name=x", "nbd:srv:0": "die", "nbd:srv:1:2:3:4:5": "die", "nbd:": "die", "x": "die",
	} {
		n, err := ParseNBD(in)
		if got := strings.Join([]string{n.Server, n.Port, n.Export, n.FSType, n.Flags, n.Options}, " "); (err != nil) != (want == "die") || err == nil && got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

func FuzzRoot(f *testing.F) {
	for _, s := range []string{"LABEL=x", "nfs:[::1]:/p:ro", "nfs4:h:/p,rw", "nbd:[::1]:1:ext4:ro:x", "iscsi:u:p@h::::iqn.a:b", "iscsi:[", "cifs://u:p@h/s/d", "live:nfs:ro:h:/p", "live:http://h/x", "1:2", "nfs:[:", "live:/x.iso", "virtiofs:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRoot(s)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "root=") {
				t.Fatalf("the message does not name the word: %v", err)
			}
			return
		}
		if r.Kind == "" {
			t.Fatalf("root=%s: no kind", s)
		}
		again, err := ParseRoot(r.String())
		if err != nil || again != r {
			t.Fatalf("root=%s is printed as %s, which is %+v, %v", s, r, again, err)
		}
	})
}

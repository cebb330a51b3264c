package cmdline

import (
	"fmt"
	"strings"
	"testing"
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

package cmdline

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// nbdText, iscsiText and cifsText write what their parsers read.
func nbdText(n NBD) string {
	f := []string{"nbd", bracket(n.Server), n.Port + n.Export, n.FSType, n.Flags, n.Options}
	for len(f) > 3 && f[len(f)-1] == "" {
		f = f[:len(f)-1]
	}
	return strings.Join(f, ":")
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func iscsiText(s ISCSI) string {
	if s.Firmware {
		return "iscsi:"
	}
	login := ""
	switch {
	case s.InUser != "" || s.InPassword != "":
		login = strings.Join([]string{s.User, s.Password, s.InUser, s.InPassword}, ":") + "@"
	case s.User != "" || s.Password != "":
		login = s.User + ":" + s.Password + "@"
	case strings.Contains(s.Target, "@"):
		login = "@"
	}
	f := []string{bracket(s.Server), s.Proto, s.Port}
	if s.Iface != "" {
		f = append(f, s.Iface)
	}
	if s.Iface != "" || s.NetDev != "" {
		f = append(f, s.NetDev)
	}
	return "iscsi:" + login + strings.Join(append(f, s.LUN, s.Target), ":")
}

func cifsText(c CIFS) string {
	s := "cifs://"
	if c.User != "" || c.Password != "" {
		s += c.User
		if c.Password != "" {
			s += ":" + c.Password
		}
		s += "@"
	}
	s += c.Server + "/" + c.Share
	if c.Dir != "" {
		s += "/" + c.Dir
	}
	return s
}

// What is printed reads back the same.
func TestPrintedRootsReadBack(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9.-]{0,8}`)
	opt := func(g *rapid.Generator[string]) *rapid.Generator[string] { return rapid.OneOf(rapid.Just(""), g) }
	num := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(1, 65535).Draw(t, "n")) })
	host := rapid.OneOf(name, rapid.Just("192.0.2.1"), rapid.Just("2001:db8::1"))
	rapid.Check(t, func(t *rapid.T) {
		i := ISCSI{
			Server: host.Draw(t, "server"), Proto: opt(rapid.Just("6")).Draw(t, "proto"), Port: opt(num).Draw(t, "port"), LUN: opt(num).Draw(t, "lun"),
			Target: "iqn.2026-01." + rapid.StringMatching(`[a-z:@.]{1,9}`).Draw(t, "target"), NetDev: opt(name).Draw(t, "dev"),
		}
		if rapid.Bool().Draw(t, "login") {
			i.User, i.Password = name.Draw(t, "user"), name.Draw(t, "pass")
			i.InUser = opt(name).Draw(t, "inuser")
		}
		if i.NetDev != "" {
			i.Iface = opt(name).Draw(t, "iface")
		}
		if got, err := ParseISCSI(iscsiText(i)); err != nil || got != i {
			t.Fatalf("%s: %+v, %v", iscsiText(i), got, err)
		}
		n := NBD{Server: host.Draw(t, "server"), FSType: opt(name).Draw(t, "fs"), Flags: opt(name).Draw(t, "flags"), Options: opt(name).Draw(t, "opts")}
		if rapid.Bool().Draw(t, "export") {
			n.Export = name.Draw(t, "export")
		} else {
			n.Port = num.Draw(t, "port")
		}
		if got, err := ParseNBD(nbdText(n)); err != nil || got != n {
			t.Fatalf("%s: %+v, %v", nbdText(n), got, err)
		}
		f := NFS{V4: rapid.Bool().Draw(t, "v4"), Server: opt(rapid.OneOf(name, rapid.Just("[2001:db8::1]"))).Draw(t, "server"), Path: "/" + name.Draw(t, "path"), Options: opt(rapid.Just("vers=3,tcp")).Draw(t, "opts")}
		if got, err := ParseNFS(f.String()); err != nil || got != f {
			t.Fatalf("%s: %+v, %v", f, got, err)
		}
		c := CIFS{User: name.Draw(t, "user"), Password: opt(name).Draw(t, "pass"), Server: name.Draw(t, "server"), Share: name.Draw(t, "share"), Dir: opt(name).Draw(t, "dir")}
		if got, err := ParseCIFS(cifsText(c)); err != nil || got != c {
			t.Fatalf("%s: %+v, %v", cifsText(c), got, err)
		}
	})
}

// What is wrong with an iSCSI string is said.
func TestISCSIErrors(t *testing.T) {
	for in, want := range map[string]string{
		"iscsi:h:6:3260:1:x:iqn.a:t": `LUN "x" is no number`, "iscsi:a:b:c:d:e@h::::iqn.z:t": "the login has 5 parts", "iscsi:h": "no target", "iscsi:h:::": "no target",
		"iscsi:h::99999::iqn.a:t": "port", "iscsi:h:iqn.a:t": "0 fields", "iscsi:h:a:1:b:c:d:e:iqn.a:t": "6 fields", "nbd:x": "the form is iscsi:",
	} {
		if got, err := ParseISCSI(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	if got, err := ParseISCSI("iscsi:::::iqn.a:t"); err != nil || got.Target != "iqn.a:t" || got.Server != "" {
		t.Errorf("the server comes from DHCP: %+v, %v", got, err)
	}
}

func FuzzISCSI(f *testing.F) {
	for _, s := range []string{"iscsi:u:p:iu:ip@[2001:db8::1]:6:3260:if0:eth0:2:iqn.a:t", "iscsi:@h::::eui.01@x", "iscsi:[::]::::t", "iscsi:h::::a:b:c", "iscsi::::::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, err := ParseISCSI(s)
		if err != nil {
			return
		}
		if !i.Firmware && i.Target == "" {
			t.Fatalf("%s: accepted without a target", s)
		}
		if m := MaskValue(s); len(i.Password) > 3 && i.Password != hidden && strings.Contains(m, ":"+i.Password+"@") {
			t.Fatalf("%s: masked as %s", s, m)
		}
	})
}

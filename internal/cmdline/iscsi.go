package cmdline

import (
	"fmt"
	"slices"
	"strings"
)

// ISCSI is iscsi:[USER:PASS[:INUSER:INPASS]@]SERVER:PROTO:PORT:[[IFACE:]NETDEV:]LUN:TARGET.
// The zero value but Firmware asks the firmware's iBFT.
type ISCSI struct {
	Firmware           bool // "iscsi:" and nothing else
	User, Password     string
	InUser, InPassword string
	Server             string // without brackets
	Proto              string // not used by anyone
	Port               string // "" is 3260
	Iface, NetDev      string
	LUN                string // "" is 0
	Target             string
}

// ParseISCSI reads root=iscsi:, netroot=iscsi: and DHCP's root path.
func ParseISCSI(v string) (ISCSI, error) {
	bad := func(format string, a ...any) (ISCSI, error) {
		return ISCSI{}, fmt.Errorf("%s: %s", MaskValue(v), fmt.Sprintf(format, a...))
	}
	rest, ok := strings.CutPrefix(v, "iscsi:")
	if v == "iscsi" || ok && rest == "" {
		return ISCSI{Firmware: true}, nil
	}
	if !ok {
		return bad("the form is iscsi:[LOGIN@]SERVER:[PROTO]:[PORT]:[LUN]:TARGET")
	}
	var s ISCSI
	if login, after, ok := strings.Cut(rest, "@"); ok {
		rest = after
		p := append(strings.Split(login, ":"), "", "", "")
		switch len(p) - 3 {
		case 1:
			if login != "" {
				return bad("the login is USER:PASSWORD or USER:PASSWORD:INUSER:INPASSWORD")
			}
		case 2, 4:
			s.User, s.Password, s.InUser, s.InPassword = p[0], p[1], p[2], p[3]
		default:
			return bad("the login has %d parts; it is USER:PASSWORD or USER:PASSWORD:INUSER:INPASSWORD", len(p)-3)
		}
	}
	host, rest, _ := cutHost(rest)
	s.Server = unbracket(host)
	f := strings.Split(rest, ":")
	at := slices.IndexFunc(f, func(p string) bool {
		return strings.HasPrefix(p, "iqn.") || strings.HasPrefix(p, "eui.") || strings.HasPrefix(p, "naa.")
	})
	if at < 0 {
		at = 3 // a target of any form, after the LUN
	}
	if at >= len(f) || f[at] == "" {
		return bad("no target; the form is iscsi:SERVER:[PROTO]:[PORT]:[LUN]:TARGET, with a target such as iqn.2026-01.example:disk")
	}
	s.Target = strings.Join(f[at:], ":")
	switch f = f[:at]; len(f) {
	case 3:
		s.LUN = f[2]
	case 4:
		s.NetDev, s.LUN = f[2], f[3]
	case 5:
		s.Iface, s.NetDev, s.LUN = f[2], f[3], f[4]
	default:
		return bad("%d fields between server and target; there are PROTO, PORT and LUN, with NETDEV or IFACE and NETDEV before LUN", len(f))
	}
	s.Proto, s.Port = f[0], f[1]
	if s.Port != "" && !port(s.Port) {
		return bad("port %q is no number from 1 to 65535", s.Port)
	}
	if strings.Trim(s.LUN, "0123456789abcdefABCDEF-") != "" {
		return bad("LUN %q is no number", s.LUN)
	}
	return s, nil
}

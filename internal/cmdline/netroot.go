package cmdline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NFS is nfs:[SERVER:]PATH[:OPTIONS]. The server keeps an address's brackets;
// an empty one, or an empty path, comes from DHCP.
type NFS struct {
	V4            bool
	Server, Path  string
	Port, Options string
}

// ParseNFS reads root=nfs: and root=nfs4:, with the scheme. The options may
// also follow a comma.
func ParseNFS(v string) (NFS, error) {
	scheme, rest, _ := strings.Cut(v, ":")
	n := NFS{V4: scheme == "nfs4"}
	if scheme != "nfs" && scheme != "nfs4" {
		return NFS{}, fmt.Errorf("%s: the form is nfs:[SERVER:]PATH[:OPTIONS]", v)
	}
	return n.read(v, rest)
}

// ParseNFSRoot reads nfsroot=[SERVER:]DIR[,OPTIONS]; "auto" is all empty.
func ParseNFSRoot(v string) (NFS, error) {
	if v == "auto" {
		return NFS{}, nil
	}
	n, err := NFS{}.read("nfsroot="+v, v)
	return n, err
}

func (n NFS) read(v, rest string) (NFS, error) {
	if rest == "" {
		return n, nil
	}
	if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, ",") {
		var ok bool
		if n.Server, rest, ok = cutHost(rest); !ok && n.Server != "" {
			return NFS{}, fmt.Errorf("%s: a path must follow the server, as in nfs:%s:/srv/root", v, n.Server)
		}
	}
	end := strings.IndexAny(rest, ":,")
	if end < 0 {
		n.Path = rest
	} else {
		n.Path, n.Options = rest[:end], rest[end+1:]
	}
	if n.Path != "" && !strings.HasPrefix(n.Path, "/") {
		return NFS{}, fmt.Errorf("%s: the path %q must begin with /", v, n.Path)
	}
	return n, nil
}

// ParseNFSFile reads where a file is: nfs://SERVER[:PORT]/PATH,
// nfs:SERVER:/PATH[:OPTIONS], or nfs:OPTIONS:SERVER:/PATH as anaconda has it.
func ParseNFSFile(v string) (NFS, error) {
	scheme, rest, _ := strings.Cut(v, ":")
	n := NFS{V4: scheme == "nfs4"}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		slash := strings.IndexByte(after, '/')
		if slash <= 0 || slash+1 == len(after) {
			return NFS{}, fmt.Errorf("%s: the form is nfs://SERVER[:PORT]/PATH", v)
		}
		n.Server, n.Port, _ = cutHost(after[:slash])
		n.Path = after[slash:]
		if n.Port != "" && !port(n.Port) {
			return NFS{}, fmt.Errorf("%s: port %q is no number from 1 to 65535", v, n.Port)
		}
		return n, nil
	}
	if first, after, ok := cutHost(rest); ok && !strings.HasPrefix(after, "/") && strings.Contains(after, ":/") {
		n.Options, rest = first, after
	}
	opts := n.Options
	n, err := n.read(v, rest)
	if opts != "" {
		n.Options = opts
	}
	if err == nil && (n.Path == "" || n.Path == "/") {
		err = fmt.Errorf("%s: names no file", v)
	}
	return n, err
}

func (n NFS) String() string {
	s := "nfs:"
	if n.V4 {
		s = "nfs4:"
	}
	if n.Port != "" {
		return s + "//" + n.Server + ":" + n.Port + n.Path
	}
	if n.Server != "" {
		s += n.Server + ":"
	}
	s += n.Path
	if n.Options != "" {
		s += ":" + n.Options
	}
	return s
}

// cutHost cuts at the first ":" after a host; brackets belong to the host.
func cutHost(s string) (host, rest string, found bool) {
	if strings.HasPrefix(s, "[") {
		if end := strings.IndexByte(s, ']'); end > 0 {
			host, rest = s[:end+1], s[end+1:]
			if after, ok := strings.CutPrefix(rest, ":"); ok {
				return host, after, true
			}
			return host + rest, "", false
		}
	}
	return strings.Cut(s, ":")
}

func port(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && digits(s) && n > 0 && n < 65536
}

// NBD is nbd:SERVER:PORT|EXPORT[:FSTYPE[:FLAGS[:OPTIONS]]].
type NBD struct {
	Server  string // without brackets
	Port    string // a number, else "" and Export is set
	Export  string
	FSType  string
	Flags   string // mount options
	Options string // of the connection
}

// ParseNBD reads root=nbd: and netroot=nbd:.
func ParseNBD(v string) (NBD, error) {
	const form = "the form is nbd:SERVER:PORT-OR-EXPORT[:FSTYPE[:MOUNT-OPTIONS[:NBD-OPTIONS]]]"
	rest, ok := strings.CutPrefix(v, "nbd:")
	f := splitFields(rest)
	switch {
	case !ok || len(f) > 5:
		return NBD{}, fmt.Errorf("%s: %s", v, form)
	case f[0] == "":
		return NBD{}, fmt.Errorf("%s: the server is missing; %s", v, form)
	case len(f) == 1 || f[1] == "":
		return NBD{}, fmt.Errorf("%s: the port or export is missing; %s", v, form)
	}
	f = append(f, "", "", "")
	n := NBD{Server: f[0], FSType: f[2], Flags: f[3], Options: f[4]}
	if digits(f[1]) {
		if !port(f[1]) {
			return NBD{}, fmt.Errorf("%s: port %s is not in 1..65535", v, f[1])
		}
		n.Port = f[1]
	} else {
		n.Export = f[1]
	}
	return n, nil
}

func (n NBD) String() string {
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

func (s ISCSI) String() string {
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

// CIFS is cifs://[USER[:PASS]@]SERVER/SHARE[/DIR].
type CIFS struct{ User, Password, Server, Share, Dir string }

// ParseCIFS reads root=cifs://.
func ParseCIFS(v string) (CIFS, error) {
	rest, ok := strings.CutPrefix(v, "cifs://")
	host, path, _ := strings.Cut(rest, "/")
	var c CIFS
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		c.User, c.Password, _ = strings.Cut(host[:at], ":")
		host = host[at+1:]
	}
	c.Server = host
	c.Share, c.Dir, _ = strings.Cut(path, "/")
	if !ok || c.Server == "" || c.Share == "" {
		return CIFS{}, fmt.Errorf("%s: the form is cifs://[USER[:PASSWORD]@]SERVER/SHARE[/DIRECTORY]", MaskValue(v))
	}
	return c, nil
}

func (c CIFS) String() string {
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

// FCoE is fcoe=IF|MAC|edd:dcb|nodcb[:fabric|vn2vn].
type FCoE struct {
	Device string // name, MAC in lower case, or "edd"
	DCB    bool
	Mode   string
}

// ParseFCoE reads a value of fcoe=.
func ParseFCoE(v string) (FCoE, error) {
	f := strings.Split(v, ":")
	dev, rest := f[0], f[1:]
	if len(f) >= 7 {
		dev, rest = strings.ToLower(strings.Join(f[:6], ":")), f[6:]
		if !isMAC(dev) {
			return FCoE{}, fmt.Errorf("fcoe=%s: %s is no MAC address", v, dev)
		}
	}
	if dev == "" || len(rest) < 1 || len(rest) > 2 || (rest[0] != "dcb" && rest[0] != "nodcb") || len(rest) == 2 && rest[1] != "fabric" && rest[1] != "vn2vn" {
		return FCoE{}, fmt.Errorf("fcoe=%s: the form is INTERFACE, MAC or edd, then :dcb or :nodcb, then :fabric or :vn2vn if wanted", v)
	}
	e := FCoE{Device: dev, DCB: rest[0] == "dcb"}
	if len(rest) == 2 {
		e.Mode = rest[1]
	}
	return e, nil
}

// ZNet is rd.znet=TYPE,CHANNEL,CHANNEL[,CHANNEL],OPTION=VALUE...
type ZNet struct {
	Type              string
	Channels, Options []string
}

// ParseZNet reads a value of rd.znet=.
func ParseZNet(v string) (ZNet, error) {
	f := strings.Split(v, ",")
	z := ZNet{Type: f[0]}
	want := 2
	switch z.Type {
	case "qeth":
		want = 3
	case "lcs", "ctc":
	default:
		return ZNet{}, fmt.Errorf("rd.znet=%s: type %q is none of qeth, lcs, ctc", v, z.Type)
	}
	for _, p := range f[1:] {
		if strings.Contains(p, "=") {
			z.Options = append(z.Options, p)
		} else if len(z.Options) == 0 {
			z.Channels = append(z.Channels, p)
		}
	}
	if len(z.Channels) != want {
		return ZNet{}, fmt.Errorf("rd.znet=%s: %s has %d channels", v, z.Type, want)
	}
	return z, nil
}

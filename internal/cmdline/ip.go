package cmdline

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// IP is one ip= word.
type IP struct {
	Client  netip.Addr
	Peer    string // address of the peer, or of the boot server, as written
	Gateway netip.Addr
	Bits    int // prefix length, 0 without mask
	Host    string
	Device  string   // name or MAC as written; "" = any
	Methods []string // tried in order: dhcp, on, any, single-dhcp, dhcp6, auto6, either6, link6, none, off, ibft
	MTU     int
	MAC     string // to be set on the NIC
	DNS     []netip.Addr
	NTP     netip.Addr // time server, of the kernel's long form
}

// Static says whether the address is given rather than asked for.
func (i IP) Static() bool { return slices.Contains([]string{"none", "off"}, i.Methods[0]) }

var (
	singleMethods = []string{"none", "off", "dhcp", "on", "any", "single-dhcp", "dhcp6", "auto6", "either6", "link6", "ibft"}
	deviceMethods = []string{"dhcp", "on", "any", "dhcp6", "auto6", "either6"}
	noAddress     = []string{"dhcp", "on", "any", "single-dhcp", "dhcp6"}
)

// splitFields cuts at ":"; a bracketed IPv6 address is one field.
func splitFields(s string) []string {
	var out []string
	for {
		if strings.HasPrefix(s, "[") {
			if end := strings.IndexByte(s, ']'); end > 0 && (end+1 == len(s) || s[end+1] == ':') {
				out = append(out, s[1:end])
				if end+1 == len(s) {
					return out
				}
				s = s[end+2:]
				continue
			}
		}
		f, rest, more := strings.Cut(s, ":")
		out = append(out, f)
		if !more {
			return out
		}
		s = rest
	}
}

func methods(f string, known []string) ([]string, bool) {
	ms := strings.Split(f, ",")
	for _, m := range ms {
		if !slices.Contains(known, m) {
			return nil, false
		}
	}
	return ms, true
}

// ParseIP reads the value of one ip= word. line supplies the words that
// belong to the one-address form: netmask, gateway, hostname, ksdevice, mtu.
// notice is what an operator should know though the word is accepted.
//
// It reads by dracut's rules, unless bareroot.ip= says kernel or klibc.
func ParseIP(v string, line Line) (ip IP, notice string, err error) {
	if style, ok := line.Get("bareroot.ip"); ok && (style == "kernel" || style == "klibc") {
		return parseClassicIP(v, style)
	}
	bad := func(format string, a ...any) (IP, string, error) {
		return IP{}, "", fmt.Errorf("ip=%s: "+format, append([]any{v}, a...)...)
	}
	f := splitFields(v)
	var mask, client, gw string
	var auto string
	switch {
	case len(f) == 1:
		if _, aerr := netip.ParseAddr(f[0]); aerr != nil {
			auto = f[0]
			break
		}
		auto, client = "none", f[0]
		mask, _ = line.Get("netmask")
		gw, _ = line.Get("gateway")
		ip.Host, _ = line.Get("hostname")
		ip.Device, _ = line.Get("ksdevice")
		if ip.Device == "bootif" {
			boot, _ := line.Get("BOOTIF")
			ip.Device = FixBootIF(boot)
		}
		ip.MTU = line.Int(0, 0, 1<<20, "mtu")
	case isMethod(f[1], deviceMethods):
		ip.Device, auto = f[0], f[1]
		if err := ip.mtuMAC(f[2:]); err != nil {
			return bad("%v", err)
		}
	case len(f) == 4 && allQuads(f):
		// pxelinux SYSAPPEND 1, where 0.0.0.0 is "not known". dracut takes the
		// missing method for dhcp and then refuses the address; initramfs-tools
		// and the kernel take it as static, and so do we.
		client, ip.Peer, gw, mask = unset(f[0]), unset(f[1]), unset(f[2]), unset(f[3])
		auto, notice = "none", fmt.Sprintf("ip=%s: no method given; the address is used as it stands", v)
	default:
		for len(f) < 7 {
			f = append(f, "")
		}
		client, ip.Peer, gw, mask, ip.Host, ip.Device, auto = unset(f[0]), unset(f[1]), unset(f[2]), f[3], f[4], f[5], f[6]
		dropped, err := ip.tail(f[7:])
		if err != nil {
			return bad("%v", err)
		}
		if dropped != "" {
			notice = fmt.Sprintf("ip=%s: %q after the name servers is not read", v, dropped)
		}
	}
	if auto == "" {
		auto, notice = "dhcp", fmt.Sprintf("ip=%s: no method given, dhcp is used", v)
	}
	var ok bool
	if ip.Methods, ok = methods(auto, singleMethods); !ok {
		if p, perr := netip.ParsePrefix(auto); perr == nil {
			return bad("an address with its mask is written ip=%s::GATEWAY:%d::INTERFACE:none", p.Addr(), p.Bits())
		}
		if slices.Contains([]string{"bootp", "both", "rarp"}, auto) {
			return bad("method %s is not supported; use dhcp", auto)
		}
		return bad("unknown method %q; known are %s", auto, strings.Join(singleMethods, ", "))
	}
	if client != "" {
		if ip.Client, err = netip.ParseAddr(client); err != nil {
			if IfaceName(client) && !strings.Contains(client, ".") {
				return bad("client %q is no address; after the name of an interface one of %s must follow", client, strings.Join(deviceMethods, ", "))
			}
			return bad("client %q is no address", client)
		}
	}
	if gw != "" {
		if ip.Gateway, err = netip.ParseAddr(gw); err != nil {
			return bad("gateway %q is no address", gw)
		}
	}
	if mask != "" {
		if ip.Bits, err = parseMask(mask, ip.Client); err != nil {
			return bad("%v", err)
		}
	}
	for _, m := range ip.Methods {
		switch {
		case m == "none" || m == "off":
			if !ip.Client.IsValid() {
				return bad("method %s needs a client address", m)
			}
			if mask == "" {
				return bad("method %s needs a netmask", m)
			}
		case ip.Client.IsValid() && slices.Contains(noAddress, m) && !slices.ContainsFunc(ip.Methods, isStatic):
			return bad("a client address and method %s exclude each other", m)
		}
	}
	return ip, notice, nil
}

func isMethod(f string, known []string) bool {
	_, ok := methods(f, known)
	return ok && !strings.Contains(f, ",")
}

// isStatic is for "dhcp,none": the address is what remains when DHCP failed.
func isStatic(method string) bool { return method == "none" || method == "off" }

func allQuads(f []string) bool {
	for _, s := range f {
		if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
			return false
		}
	}
	return true
}

func unset(s string) string {
	if s == "0.0.0.0" {
		return ""
	}
	return s
}

// mtuMAC reads [MTU[:MAC]] after IF:METHOD.
func (i *IP) mtuMAC(f []string) error {
	if len(f) > 0 && f[0] != "" {
		n, err := strconv.Atoi(f[0])
		if err != nil || n < 0 || n > 1<<20 {
			return fmt.Errorf("MTU %q is no number", f[0])
		}
		i.MTU = n
	}
	if len(f) > 1 {
		i.MAC = strings.Join(f[1:], ":")
		if i.MAC != "" && !isMAC(strings.ReplaceAll(i.MAC, "-", ":")) {
			return fmt.Errorf("%q is no MAC address", i.MAC)
		}
	}
	return nil
}

// tail reads what follows the method of the long form: addresses are name
// servers and, third, the kernel's time server; a number is the MTU with a MAC
// after it, empty has a MAC after it. dropped is what dracut drops, too.
func (i *IP) tail(f []string) (dropped string, err error) {
	if len(f) == 0 {
		return "", nil
	}
	if _, err := netip.ParseAddr(f[0]); err != nil {
		if len(f) > 1 && f[0] == "" && (f[1] == "" || hasAddr(f[1:])) {
			f[0] = "0.0.0.0" // the kernel's form with only its second name server
		} else {
			return "", i.mtuMAC(f)
		}
	}
	for n, s := range f {
		a, err := netip.ParseAddr(s)
		switch {
		case n > 2, err != nil && n == 2 && s != "":
			return strings.Join(f[n:], ":"), nil
		case unset(s) == "":
		case err != nil:
			return "", fmt.Errorf("name server %q is no address", s)
		case n == 2:
			i.NTP = a
		default:
			i.DNS = append(i.DNS, a)
		}
	}
	return "", nil
}

func hasAddr(f []string) bool {
	return slices.ContainsFunc(f, func(s string) bool { _, err := netip.ParseAddr(s); return err == nil })
}

func parseMask(mask string, client netip.Addr) (int, error) {
	max := 128
	if client.Is4() || !client.IsValid() {
		max = 32
	}
	if n, err := strconv.Atoi(mask); err == nil {
		if n < 0 || n > max {
			return 0, fmt.Errorf("prefix length %d is not in 0..%d", n, max)
		}
		return n, nil
	}
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is4() {
		return 0, fmt.Errorf("netmask %q is neither a mask nor a prefix length", mask)
	}
	b := a.As4()
	bits, v := 0, uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3])
	for v&(1<<31) != 0 {
		bits++
		v <<= 1
	}
	if v != 0 {
		return 0, fmt.Errorf("netmask %s has holes", mask)
	}
	return bits, nil
}

func isMAC(s string) bool {
	p := strings.Split(s, ":")
	if len(p) != 6 && len(p) != 20 {
		return false
	}
	for _, o := range p {
		if len(o) != 2 || strings.Trim(o, "0123456789abcdefABCDEF") != "" {
			return false
		}
	}
	return true
}

// FixBootIF makes BOOTIF's value a MAC in lower case with colons: if anything
// precedes the last six octets, the first octet is the hardware type. pxelinux
// and iPXE write dashes, GRUB colons after the hardware type.
func FixBootIF(v string) string {
	p := strings.FieldsFunc(strings.ToLower(v), func(r rune) bool { return r == '-' || r == ':' })
	if len(p) > 6 {
		p = p[1:]
	}
	return strings.Join(p, ":")
}

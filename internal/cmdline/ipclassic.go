package cmdline

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// parseClassicIP reads ip= as the kernel (CONFIG_IP_PNP) and klibc's ipconfig
// do: CLIENT:SERVER:GW:MASK:HOST:DEV:METHOD, and for the kernel DNS0:DNS1:NTP0.
// IPv4 only; empty or 0.0.0.0 is not set; the mask comes from the address class
// if it is not given. Without anything to do, Methods is empty.
func parseClassicIP(v, style string) (ip IP, notice string, err error) {
	bad := func(format string, a ...any) (IP, string, error) {
		return IP{}, "", fmt.Errorf("ip=%s: "+format+" (read by the rules of "+style+")", append([]any{v}, a...)...)
	}
	f := strings.Split(v, ":")
	if len(f) == 1 {
		f = []string{"", "", "", "", "", "", v}
		if _, err := netip.ParseAddr(v); err == nil {
			f[0], f[6] = v, ""
		}
	}
	most := map[string]int{"klibc": 7, "kernel": 10}[style]
	if len(f) > most {
		return bad("%d fields; there are %d at most", len(f), most)
	}
	for len(f) < 10 {
		f = append(f, "")
	}
	addr := func(n int, what string) (a netip.Addr) {
		if unset(f[n]) == "" || err != nil {
			return
		}
		if a, err = netip.ParseAddr(f[n]); err != nil || !a.Is4() {
			err = fmt.Errorf("%s %q is no IPv4 address", what, f[n])
		}
		return a
	}
	ip.Client, ip.Gateway, ip.NTP = addr(0, "client"), addr(2, "gateway"), addr(9, "time server")
	if peer := addr(1, "server"); peer.IsValid() {
		ip.Peer = f[1]
	}
	for n := 7; n < 9; n++ {
		if d := addr(n, "name server"); d.IsValid() {
			ip.DNS = append(ip.DNS, d)
		}
	}
	if err != nil {
		return bad("%v", err)
	}
	ip.Host, ip.Device = f[4], f[5]
	if style == "klibc" && ip.Device == "all" {
		ip.Device = ""
	}
	method, id, _ := strings.Cut(f[6], ",") // dhcp,TYPE,CLIENTID
	if id != "" {
		notice = fmt.Sprintf("ip=%s: the client identifier is not sent; DHCP gets the NIC's MAC as such", v)
	}
	switch {
	case method == "none" || method == "off" || method == "static" && style == "klibc":
		if !ip.Client.IsValid() {
			return IP{}, "", nil
		}
		ip.Methods = []string{"none"}
	case slices.Contains([]string{"", "on", "any"}, method) && ip.Client.IsValid():
		ip.Methods = []string{"none"}
	case slices.Contains([]string{"", "on", "any", "dhcp"}, method):
		ip.Methods = []string{"dhcp"}
	case method == "bootp" || method == "both":
		ip.Methods = []string{"dhcp"}
		notice = fmt.Sprintf("ip=%s: %s is asked for by DHCP", v, method)
	case method == "rarp":
		return bad("method rarp is not supported; use dhcp")
	default:
		return bad("unknown method %q", method)
	}
	if !ip.Static() {
		if ip.Client.IsValid() {
			notice = fmt.Sprintf("ip=%s: the address of DHCP is used, not %s", v, ip.Client)
			ip.Client = netip.Addr{}
		}
		return ip, notice, nil
	}
	if ip.Bits, err = classicMask(f[3], ip.Client); err != nil {
		return bad("%v", err)
	}
	return ip, notice, nil
}

func classicMask(mask string, client netip.Addr) (int, error) {
	if unset(mask) != "" {
		return parseMask(mask, client)
	}
	switch first := client.As4()[0]; {
	case first < 128:
		return 8, nil
	case first < 192:
		return 16, nil
	}
	return 24, nil
}

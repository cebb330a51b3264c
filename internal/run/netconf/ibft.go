package netconf

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bareroot/internal/sys"
)

// IBFT reads what firmware that booted from iSCSI says about its NICs (the
// iSCSI boot firmware table, in sysfs: Documentation/ABI/testing/sysfs-ibft)
// as words of the command line, as dracut makes them: the NIC is called ibftN
// and has the firmware's address, or asks DHCP as the firmware did. all takes
// valid NICs that were not booted from, too (rd.iscsi.mp). What cannot be used
// is said in notices.
func IBFT(dir string, all bool) (words, notices []string) {
	nics, _ := filepath.Glob(filepath.Join(dir, "ethernet*"))
	slices.Sort(nics)
	for i, nic := range nics {
		read := func(name string) string { return sys.Line(filepath.Join(nic, name)) }
		w, why := ibftNIC(fmt.Sprintf("ibft%d", i), all, read)
		if why != "" {
			notices = append(notices, fmt.Sprintf("%s: %s", nic, why))
		}
		words = append(words, w...)
	}
	return words, notices
}

// Flags of a NIC in the table: its entry is valid, it was booted from.
const (
	ibftValid  = 1
	ibftBooted = 2
)

// originDHCP is where an address came from, by the table.
const originDHCP = "3"

// ibftNIC is one NIC; read reads its attributes.
func ibftNIC(name string, all bool, read func(string) string) (words []string, why string) {
	flags, err := strconv.Atoi(read("flags"))
	switch {
	case err != nil:
		return nil, fmt.Sprintf("flags %q are no number", read("flags"))
	case flags&ibftValid == 0:
		return nil, "the firmware says that it is not valid"
	case flags&ibftBooted == 0 && !all:
		return nil, "the firmware has not booted from it (rd.iscsi.mp=1 uses it)"
	}
	mac, err := net.ParseMAC(read("mac"))
	if err != nil || len(mac) != 6 {
		return nil, fmt.Sprintf("MAC %q is none", read("mac"))
	}
	addr := func(attr string) string {
		a, err := netip.ParseAddr(read(attr))
		switch {
		case err != nil || a.IsUnspecified():
			return ""
		case a.Is6():
			return "[" + a.WithZone("").String() + "]"
		}
		return a.String()
	}
	words = append(words, "ifname="+name+":"+mac.String())
	dev := name
	if v := read("vlan"); v != "" && v != "0" {
		id, err := strconv.Atoi(v)
		if err != nil || id < 1 || id > 4094 {
			return nil, fmt.Sprintf("VLAN %q is none", v)
		}
		dev = fmt.Sprintf("%s.%d", name, id)
		words = append(words, "vlan="+dev+":"+name)
	}
	server := addr("dhcp")
	if server != "" || read("origin") == originDHCP {
		method := "dhcp"
		if strings.Contains(server, ":") || server == "" && strings.Contains(addr("ip-addr"), ":") {
			method = "dhcp6"
		}
		return append(words, "ip="+dev+":"+method), ""
	}
	ip, mask := addr("ip-addr"), read("prefix-len")
	if mask == "" {
		mask = read("subnet-mask")
	}
	if ip == "" || mask == "" || mask == "0" || mask == "0.0.0.0" {
		return nil, "it has neither an address nor DHCP"
	}
	w := fmt.Sprintf("ip=%s::%s:%s::%s:none", ip, addr("gateway"), mask, dev)
	for _, d := range []string{addr("primary-dns"), addr("secondary-dns")} {
		if d != "" {
			w += ":" + d
		}
	}
	return append(words, w), ""
}

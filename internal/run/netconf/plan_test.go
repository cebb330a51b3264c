package netconf

import (
	"strings"
	"testing"

	"bareroot/internal/cmdline"
)

// TestPlan: what each interface is for.
func TestPlan(t *testing.T) {
	const bond = "bond=bond0:eth0,eth1:mode=4 "
	for name, c := range map[string]struct {
		line string
		nic  names
		made bool
		want string
	}{
		"no words":                     {"", names{"eth0", mac0}, false, "dhcp"},
		"ip= for all":                  {"ip=auto6", names{"eth0", mac0}, false, "auto6"},
		"named":                        {"ip=eth0:dhcp", names{"eth0", mac0}, false, "named dhcp"},
		"named by MAC":                 {"ip=02-00-00-00-00-10:dhcp", names{"eth0", mac0}, false, "named dhcp"},
		"named by the kernel's name":   {"ip=eth0:dhcp", names{"enp1s0", "eth0", mac0}, false, "named dhcp"},
		"another is named":             {"ip=eth1:dhcp", names{"eth0", mac0}, false, "no"},
		"BOOTIF":                       {"BOOTIF=01-02-00-00-00-00-10", names{"eth0", mac0}, false, "named dhcp"},
		"not BOOTIF":                   {"BOOTIF=01-02-00-00-00-00-10", names{"eth1", mac1}, false, "no"},
		"a bond's member":              {bond, names{"eth0", mac0}, false, "named bare in bond0"},
		"the bond":                     {bond, names{"bond0", "bond0", mac0}, true, "dhcp"},
		"the bond, with ip=":           {bond + "ip=bond0:auto6", names{"bond0", "bond0", mac0}, true, "named auto6"},
		"the bond, with BOOTIF inside": {bond + "BOOTIF=01-02-00-00-00-00-10", names{"bond0", "bond0", mac1}, true, "dhcp"},
		"a member, with BOOTIF":        {bond + "BOOTIF=01-02-00-00-00-00-10", names{"eth0", mac0}, false, "named bare in bond0"},
		"what a VLAN is on":            {"vlan=vlan5:eth0", names{"eth0", mac0}, false, "named bare"},
		"what a VLAN is on, with ip=":  {"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:dhcp", names{"eth0", mac0}, false, "named dhcp"},
		"the VLAN":                     {"vlan=vlan5:eth0", names{"vlan5", "vlan5", mac0}, true, "dhcp"},
		"the bond, another is named":   {bond + "ip=eth5:dhcp", names{"bond0", "bond0", mac0}, true, "named bare"},
		"a bond in a bridge":           {bond + "bridge=br0:bond0", names{"bond0", "bond0", mac0}, true, "named bare in br0"},
		"a NIC beside a bond":          {bond, names{"eth2", mac2}, false, "dhcp"},
		"a NIC beside a bond with ip=": {bond + "ip=bond0:dhcp", names{"eth2", mac2}, false, "no"},
		"a NIC whose MAC is another's": {"ip=02-00-00-00-00-99:dhcp", names{"eth0", mac0}, false, "no"},
		"team":                         {"team=tm:eth0,eth1:lacp", names{"eth1", mac1}, false, "named bare in tm"},
	} {
		n, err := cmdline.ParseNetwork(cmdline.Parse(c.line, "test"))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := newPlan(n)
		j, ok := p.job(c.nic, c.made)
		got := "no"
		if ok {
			got = strings.Join(j.ip.Methods, ",")
			if j.bare {
				got = "bare"
			}
			if j.named {
				got = "named " + got
			}
			if j.master != nil {
				got += " in " + j.master.name
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

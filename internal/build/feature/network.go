package feature

var network = Info{
	Name:    "network",
	Aliases: []string{"network-legacy", "network-manager", "network-wicked", "connman", "systemd-networkd", "systemd-resolved", "net-lib", "kernel-network-modules", "ifcfg", "dhcp"},
	About:   "modules of wired network cards, IPv6, 802.1Q; init itself speaks DHCP",
	When:    Default,
	Needs:   []string{"base"},
	Modules: []string{"=drivers/net/ethernet", "=drivers/net/phy", "=drivers/net/mdio", "=drivers/net/pcs", "iscsi_ibft", "virtio_net", "xen_netfront", "hv_netvsc", "vmxnet3", "af_packet", "ipv6", "=drivers/net/usb"},
	Config:  []string{"INET", "PACKET"},
}

package feature

var debug = Info{
	Name:    "debug",
	Aliases: []string{"strace"},
	About:   "programs to look into a machine that does not boot",
	When:    Named,
	Needs:   []string{"shell"},
	Binaries: []Binary{
		{Name: "strace", Package: "strace", Optional: true},
		{Name: "lspci", Package: "pciutils", Optional: true},
		{Name: "lsblk", Package: "util-linux", Optional: true},
		{Name: "ip", Package: "iproute2", Optional: true},
		{Name: "ethtool", Package: "ethtool", Optional: true},
		{Name: "dmidecode", Package: "dmidecode", Optional: true},
		{Name: "smartctl", Package: "smartmontools", Optional: true},
		{Name: "nvme", Package: "nvme-cli", Optional: true},
		{Name: "gdisk", Package: "gdisk", Optional: true},
		{Name: "parted", Package: "parted", Optional: true},
		{Name: "less", Package: "less", Optional: true},
		{Name: "vi", Package: "vim-tiny", Optional: true},
		{Name: "tcpdump", Package: "tcpdump", Optional: true},
		{Name: "file", Package: "file", Optional: true},
		{Name: "lsof", Package: "lsof", Optional: true},
		{Name: "htop", Package: "htop", Optional: true},
	},
}

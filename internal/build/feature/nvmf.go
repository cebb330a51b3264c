package feature

var nvmf = Info{
	Name:    "nvmf",
	Aliases: []string{"nvme-of"},
	About:   "NVMe over fabrics: modules and nvme-cli. init does not connect yet",
	When:    Named,
	Needs:   []string{"network"},
	Binaries: []Binary{
		{Name: "nvme", Package: "nvme-cli", Optional: true},
	},
	Modules:  []string{"nvme_rdma", "nvme_fc"},
	Required: []string{"nvme_tcp"},
	Files: []File{
		{Path: "etc/nvme/hostnqn", Optional: true},
		{Path: "etc/nvme/hostid", Optional: true},
		{Path: "etc/nvme/discovery.conf", Optional: true},
	},
}

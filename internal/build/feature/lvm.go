package feature

var lvm = Info{
	Name:    "lvm",
	Aliases: []string{"lvm2", "lvmmerge", "lvmthinpool-monitor"},
	About:   "LVM: the lvm program. init activates no volume groups yet",
	When:    Hostonly,
	Needs:   []string{"dm"},
	Binaries: []Binary{
		{Name: "lvm", Package: "lvm2"},
		{Name: "thin_check", Package: "thin-provisioning-tools", Optional: true},
		{Name: "cache_check", Package: "thin-provisioning-tools", Optional: true},
	},
	Modules: []string{"dm_raid", "dm_writecache"},
	Files: []File{
		{Path: "etc/lvm/lvm.conf", Optional: true},
	},
}

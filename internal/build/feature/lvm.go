package feature

var lvm = Info{
	Name:    "lvm",
	Aliases: []string{"lvm2", "lvmmerge", "lvmthinpool-monitor"},
	About:   "LVM with thin and cached volumes: the lvm program",
	When:    Hostonly,
	Needs:   []string{"dm"},
	Binaries: []Binary{
		{Name: "lvm", Package: "lvm2"},
		{Name: "thin_check", Package: "thin-provisioning-tools", Optional: true},
		{Name: "cache_check", Package: "thin-provisioning-tools", Optional: true},
	},
	Modules: []string{"dm_raid", "dm_writecache", "raid1", "raid10", "raid456"},
	Files: []File{
		{Path: "etc/lvm/lvm.conf", Optional: true},
	},
}

package feature

var mdraid = Info{
	Name:    "mdraid",
	Aliases: []string{"md", "mdadm", "raid"},
	About:   "software RAID, also that of firmware (Intel, DDF): mdadm and the raid modules",
	When:    Hostonly,
	Needs:   []string{"base"},
	Binaries: []Binary{
		{Name: "mdadm", Package: "mdadm"},
		{Name: "mdmon", Package: "mdadm", Optional: true},
	},
	Modules:  []string{"raid0", "raid1", "raid10", "raid456", "linear"},
	Required: []string{"md_mod"},
	Files: []File{
		{Path: "etc/mdadm/mdadm.conf", Optional: true},
		{Path: "etc/mdadm.conf", Optional: true},
	},
	Config: []string{"BLK_DEV_MD"},
}

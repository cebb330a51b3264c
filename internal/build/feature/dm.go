package feature

var dm = Info{
	Name:    "dm",
	Aliases: []string{"device-mapper"},
	About:   "device mapper: its modules and dmsetup",
	When:    Named,
	Needs:   []string{"base"},
	Binaries: []Binary{
		{Name: "dmsetup", Package: "dmsetup", Optional: true},
	},
	Modules:  []string{"dm_snapshot", "dm_thin_pool", "dm_mirror", "dm_zero", "dm_cache", "dm_cache_smq"},
	Required: []string{"dm_mod"},
	Config:   []string{"BLK_DEV_DM"},
}

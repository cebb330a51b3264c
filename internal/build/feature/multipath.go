package feature

var multipath = Info{
	Name:    "multipath",
	Aliases: []string{"dm-multipath"},
	About:   "several paths to one disk: multipath-tools",
	When:    Hostonly,
	Needs:   []string{"dm"},
	Binaries: []Binary{
		{Name: "multipath", Package: "multipath-tools"},
		{Name: "multipathd", Package: "multipath-tools"},
		{Name: "kpartx", Package: "kpartx", Optional: true},
	},
	Modules:  []string{"dm_round_robin", "dm_service_time", "dm_queue_length", "scsi_dh_alua", "scsi_dh_rdac", "scsi_dh_emc", "scsi_dh_hp_sw"},
	Required: []string{"dm_multipath"},
	Files: []File{
		{Path: "etc/multipath.conf", Optional: true},
		{Path: "etc/multipath/bindings", Optional: true},
		{Path: "etc/multipath/wwids", Optional: true},
		{Path: "lib/multipath/*.so", Optional: true},
		{Path: "usr/lib/*/multipath/*.so", Optional: true},
		{Path: "lib/*/multipath/*.so", Optional: true},
	},
	Config: []string{"DM_MULTIPATH"},
}

package feature

var dmsquashLive = Info{
	Name:     "dmsquash-live",
	Aliases:  []string{"live", "dmsquash-live-ntfs", "dmsquash-live-autooverlay", "iso-scan"},
	About:    "live images: squashfs in memory or on a medium, with an overlay",
	When:     Default,
	Needs:    []string{"overlayfs"},
	Modules:  []string{"loop", "isofs", "udf", "vfat", "nls_cp437", "nls_iso8859_1", "cdrom", "sr_mod"},
	Required: []string{"squashfs"},
	Config:   []string{"SQUASHFS"},
}

package feature

var fsck = Info{
	Name:  "fsck",
	About: "checks of filesystems before they are mounted: e2fsck and those of vfat, xfs, f2fs",
	When:  Hostonly,
	Needs: []string{"base"},
	Binaries: []Binary{
		{Name: "e2fsck", Package: "e2fsprogs", Optional: true},
		{Name: "fsck.vfat", Package: "dosfstools", Optional: true},
		{Name: "xfs_repair", Package: "xfsprogs", Optional: true},
		{Name: "fsck.f2fs", Package: "f2fs-tools", Optional: true},
	},
	Files: []File{
		{Path: "etc/e2fsck.conf", Optional: true},
	},
}

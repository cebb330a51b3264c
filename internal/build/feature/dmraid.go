package feature

var dmraid = Info{
	Name:  "dmraid",
	About: "firmware RAID that mdadm does not know: dmraid",
	When:  Named,
	Needs: []string{"dm"},
	Binaries: []Binary{
		{Name: "dmraid", Package: "dmraid"},
		{Name: "kpartx", Package: "kpartx", Optional: true},
	},
	Required: []string{"dm_mirror"},
}

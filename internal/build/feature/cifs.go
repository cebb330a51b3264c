package feature

var cifs = Info{
	Name:    "cifs",
	Aliases: []string{"smb"},
	About:   "the SMB client's modules and mount program. init does not mount it as root yet",
	When:    Named,
	Needs:   []string{"network"},
	Binaries: []Binary{
		{Name: "mount.cifs", Package: "cifs-utils", Optional: true},
	},
	Modules:  []string{"=fs/smb"},
	Required: []string{"cifs"},
}

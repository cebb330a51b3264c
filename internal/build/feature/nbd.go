package feature

var nbd = Info{
	Name:  "nbd",
	About: "the network block device module and its client. init does not attach an NBD root yet",
	When:  Named,
	Needs: []string{"network"},
	Binaries: []Binary{
		{Name: "nbd-client", Package: "nbd-client"},
	},
	Required: []string{"nbd"},
	Config:   []string{"BLK_DEV_NBD"},
}

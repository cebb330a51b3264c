package feature

var team = Info{
	Name:    "team",
	Aliases: []string{"teamd"},
	About:   "the team network driver and teamd. init understands team= and does not carry it out yet",
	When:    Named,
	Needs:   []string{"network"},
	Binaries: []Binary{
		{Name: "teamd", Package: "libteam-utils", Optional: true},
		{Name: "teamnl", Package: "libteam-utils", Optional: true},
	},
	Modules:  []string{"=drivers/net/team"},
	Required: []string{"team"},
}

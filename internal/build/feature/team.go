package feature

// team has no teamd: init makes a bond with the mode that does the same.
var team = Info{
	Name:    "team",
	Aliases: []string{"teamd"},
	About:   "team=, which init makes as a bond with the equal mode (there is no teamd in the ramdisk)",
	When:    Named,
	Needs:   []string{"bond"},
}

package feature

var bond = Info{
	Name:     "bond",
	Aliases:  []string{"bonding"},
	About:    "the bonding module. init understands bond= and does not carry it out yet",
	When:     Named,
	Needs:    []string{"network"},
	Required: []string{"bonding"},
	Config:   []string{"BONDING"},
}

package feature

var bond = Info{
	Name:     "bond",
	Aliases:  []string{"bonding"},
	About:    "the bonding module: bond=, and team= as a bond",
	When:     Named,
	Needs:    []string{"network"},
	Required: []string{"bonding"},
	Config:   []string{"BONDING"},
}
